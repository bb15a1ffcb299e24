#pragma once
// The rules of store.hpp over any Backend. Written once: RocksDB and memory obey the same code.
//
// Spread over three files: keyed_store.cpp (names, locks, writes), keyed_store_reads.cpp (what is
// asked), history.cpp (what is trimmed).

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "checkpoints/backend.hpp"
#include "checkpoints/keys.hpp"
#include "checkpoints/store.hpp"

namespace sluice::checkpoints {

/// Safe for concurrent calls: writes of one pipeline wait for each other, those of different ones
/// share the disk's syncs. A crash loses nothing that returned.
class KeyedStore final : public Store {
 public:
    /// Reads the names of the pipelines. Errors: `storage`.
    static Result<std::unique_ptr<Store>> over(std::unique_ptr<Backend> backend);

    Result<PipelineState> load(const std::string& pipeline) const override;
    Result<std::vector<std::string>> pipelines() const override;
    Result<void> bind_cluster(const std::string& pipeline, const std::string& cluster_id) override;
    Result<void> put_initial(
        const std::string& pipeline, const std::string& offsets_json,
        const std::map<plan::TopicPartition, plan::Position>& positions) override;
    Result<void> put_initial_receipt(const std::string& pipeline, const Receipt& receipt) override;
    Result<void> put_plan(const std::string& pipeline, const Plan& plan,
                          const std::vector<LossEntry>& losses) override;
    Result<void> put_commit(const std::string& pipeline, const Commit& commit,
                            const std::map<plan::TopicPartition, plan::Position>& positions,
                            const std::optional<Receipt>& receipt,
                            const std::vector<LossEntry>& losses) override;
    Result<void> put_refused(const std::string& pipeline, std::uint64_t batch_id,
                             const std::vector<RefusedRecord>& records) override;
    Result<std::vector<RefusedRecord>> refused(const std::string& pipeline,
                                               std::uint64_t batch_id) const override;
    Result<void> put_losses(const std::string& pipeline,
                            const std::vector<LossEntry>& losses) override;
    Result<void> put_move(const std::string& pipeline, const Move& move) override;
    Result<void> put_run_state(const std::string& pipeline, RunState state,
                               const ControlEntry& audit) override;
    Result<std::vector<BatchSummary>> batches(const std::string& pipeline,
                                              std::size_t limit) const override;
    Result<BatchSummary> batch(const std::string& pipeline, std::uint64_t batch_id) const override;
    Result<BatchSummary> find_batch(const std::string& pipeline,
                                    const plan::TopicPartition& partition,
                                    std::int64_t offset) const override;
    Result<std::vector<LossEntry>> losses(const std::string& pipeline) const override;
    Result<std::vector<ControlEntry>> audit(const std::string& pipeline) const override;
    Result<void> trim_history(const HistoryLimit& limit, WallTime now) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> forget(const std::string& pipeline) override;

 private:
    using Positions = std::map<plan::TopicPartition, plan::Position>;

    /// A write being put together: holds its pipeline, and the registry too while the name is new.
    struct Write {
        std::unique_lock<std::shared_mutex> pipeline_lock;
        std::unique_lock<std::mutex> registry_lock;
        std::string name;
        PipelineId id{};
        bool is_new = false;
        Batch batch;
    };
    /// A pipeline being read. `id` is empty when it has no entries.
    struct Read {
        std::shared_lock<std::shared_mutex> pipeline_lock;
        std::optional<PipelineId> id;
    };

    explicit KeyedStore(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}

    Result<Write> begin_write(const std::string& name);
    Result<void> finish(Write& write);
    Read begin_read(const std::string& name) const;
    std::shared_mutex& mutex_of(const std::string& name) const;
    std::optional<PipelineId> find(const std::string& name) const;

    /// An entry decoded; nullopt when it is not there. Errors name the key.
    template <class T>
    Result<std::optional<T>> entry(Family family, const std::string& key,
                                   Result<T> (*decode)(std::string_view)) const;
    Error unreadable(Family family, std::string_view key, std::string_view why) const;

    Result<std::uint64_t> next_batch_id(PipelineId id) const;
    Result<std::optional<Plan>> plan_of(PipelineId id, std::uint64_t batch_id) const;
    Result<std::optional<Commit>> commit_of(PipelineId id, std::uint64_t batch_id) const;
    /// The newest plan when it has no commit.
    Result<std::optional<Plan>> unfinished(PipelineId id, std::uint64_t next_batch_id) const;
    Result<BatchSummary> summary(PipelineId id, Plan plan) const;
    Result<Positions> positions_of(PipelineId id) const;
    /// Those of `wanted` that have a stored position.
    Result<Positions> stored_positions(PipelineId id, const Positions& wanted) const;
    /// Newest first, from `newest` on when it is given, until `visit` stops.
    Result<void> visit_plans(PipelineId id, std::optional<std::uint64_t> newest,
                             const std::function<Step(Plan)>& visit) const;

    /// Whether going on at `to` from `from` is allowed: forwards, or back over a recorded loss.
    Result<bool> may_move(PipelineId id, const plan::TopicPartition& partition,
                          const plan::Position& from, std::int64_t to,
                          const std::vector<LossEntry>& losses) const;
    Result<void> add_losses(Write& write, const std::vector<LossEntry>& losses) const;
    /// Adds to `changed` the unaccepted entries that the accepted loss covers, accepted.
    Result<void> settle_older(PipelineId id, const plan::Loss& accepted,
                              std::map<std::string, LossEntry>& changed) const;
    Result<void> add_audit(Write& write, const ControlEntry& audit) const;
    /// Bytes of plans and commits, for trimming: counted once, then kept up to date.
    Result<std::uint64_t> history_bytes() const;
    void history_grew(std::uint64_t bytes);

    static void add_changed(Write& write, const Positions& stored, const Positions& positions);

    std::unique_ptr<Backend> backend_;
    mutable std::array<std::shared_mutex, 16> pipeline_mutexes_;  ///< by hash of the name
    mutable std::mutex registry_mutex_;                           ///< taken after a pipeline's
    std::map<std::string, PipelineId> registry_;
    std::uint32_t next_pipeline_ = 0;
    mutable std::mutex history_mutex_;  ///< taken last
    mutable std::optional<std::uint64_t> history_bytes_;
};

template <class T>
Result<std::optional<T>> KeyedStore::entry(Family family, const std::string& key,
                                           Result<T> (*decode)(std::string_view)) const {
    SLUICE_TRY(const std::optional<std::string> bytes, backend_->get(family, key));
    if (!bytes) return std::optional<T>{};
    Result<T> decoded = decode(*bytes);
    if (!decoded) return unreadable(family, key, decoded.error().message);
    return std::optional<T>{std::move(decoded).value()};
}

}  // namespace sluice::checkpoints
