#pragma once
// What must hold, whatever happens: told every durable write, it keeps a model of the checkpoint and
// of what became of every offset, and compares both with the logs and with the sink's target.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoints/store.hpp"
#include "daemon/config/config.hpp"
#include "tests/simulation/broker.hpp"
#include "tests/simulation/target.hpp"
#include "tests/simulation/world.hpp"

namespace sluice::simulation {

class Judge {
 public:
    Judge(World& world, const Broker& broker, Target& target, const Manner& manner,
          const config::Pipeline& config)
        : world_(world), broker_(broker), target_(target), manner_(manner), config_(config) {}

    // Each is called when its write has become durable, whatever the writer is told.
    void initial(const std::map<TopicPartition, plan::Position>& positions);
    void initial_receipt(const checkpoints::Receipt& receipt);
    void planned(const checkpoints::Plan& plan);
    void committed(const checkpoints::Commit& commit,
                   const std::map<TopicPartition, plan::Position>& positions,
                   const std::optional<checkpoints::Receipt>& receipt,
                   const std::vector<checkpoints::LossEntry>& losses);
    void noted(const std::vector<checkpoints::LossEntry>& losses);
    void moved(const checkpoints::Store::Move& move);

    /// The checkpoint as it was read after a process ended, against the model.
    void compare(const checkpoints::PipelineState& state) const;
    /// Everything there is was committed.
    [[nodiscard]] bool caught_up() const;
    /// At the end, when all is caught up: what became of every offset, and what the sink shows.
    void conclude(const std::vector<checkpoints::LossEntry>& ledger) const;

    struct Tally {
        std::uint64_t batches = 0;
        std::uint64_t recovered = 0;
        std::uint64_t records = 0;
        std::uint64_t lost = 0;
        std::uint64_t refused = 0;
        std::uint64_t moves = 0;
    };
    [[nodiscard]] const Tally& tally() const { return tally_; }

 private:
    enum class Fate : std::uint8_t { open, done, lost, skipped };

    const Log& log_of(const LogName& name) const;
    Fate& fate(const LogName& name, std::int64_t offset);
    void settle(const LogName& name, std::int64_t from, std::int64_t until, Fate fate);
    void promise(const LogName& name, std::int64_t from);
    void check_loss(const plan::Loss& loss) const;
    void check_cap(const checkpoints::Plan& plan) const;
    void deliver(const checkpoints::Plan& plan, const checkpoints::Commit& commit,
                 const std::vector<checkpoints::LossEntry>& losses);
    void give_up(const checkpoints::Store::Move& move);
    void leave(const plan::Loss& loss);
    void count_range(const plan::PlannedRange& planned, const checkpoints::RangeBooks& books) const;
    bool in_ledger(const LogName& name, std::int64_t offset) const;
    void record(const std::vector<checkpoints::LossEntry>& losses, bool accepted);

    World& world_;
    const Broker& broker_;
    Target& target_;
    const Manner manner_;
    const config::Pipeline& config_;

    bool begun_ = false;
    std::map<TopicPartition, plan::Position> positions_;
    std::uint64_t next_batch_ = 0;
    std::optional<checkpoints::Plan> unfinished_;
    std::map<LogName, std::int64_t> promised_from_;
    std::map<LogName, std::vector<Fate>> fates_;
    std::map<LogName, std::int64_t> given_up_at_;  ///< logs that are gone, and up to where they were promised
    std::map<Value, int> deliveries_;              ///< by committed batches
    std::vector<plan::Loss> ledger_;               ///< accepted
    Tally tally_;
};

}  // namespace sluice::simulation
