#pragma once
// Every record of a run by name, what may be seen of it just now, and what is seen. Pure. Internal to
// the module.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/sink/sink.hpp"
#include "daemon/sinktest/records.hpp"
#include "daemon/sinktest/report.hpp"
#include "daemon/sinktest/visible.hpp"


namespace sluice::sinktest {

enum class BatchState {
    open,       ///< begun or not, killed or aborted: its commit() was never called
    in_doubt,   ///< its commit() was called, and its answer is not known
    committed,  ///< commit() answered OK, or begin() ALREADY_COMMITTED
};

/// The records of all batches so far, and how many there were to see at the last look. What was seen
/// once is not reported again, so that one mistake is one finding.
class Ledger {
 public:
    /// What can be wrong with how often a record is seen.
    enum class Kind { missing, early, twice, refused, unknown };

    explicit Ledger(Recipe recipe) : recipe_(std::move(recipe)) {}

    /// A batch that is going to be written: open. Offsets of one that was given up belong to it now.
    void plan(const sink::Batch& batch, Flavor flavor);
    /// States only go forward …
    void set(std::uint64_t batch, BatchState state);
    /// … but for a batch that is given up: its offsets wait to be planned again.
    void give_up(std::uint64_t batch) { batches_.at(batch).state = BatchState::open; }
    [[nodiscard]] BatchState state(std::uint64_t batch) const { return batches_.at(batch).state; }
    /// The sink refused it, by name. False when it had before.
    bool refuse(std::uint64_t batch, const sink::Refused& refused);
    [[nodiscard]] const std::vector<sink::Refused>& refused(std::uint64_t batch) const {
        return batches_.at(batch).refused;
    }
    /// Of a flavor whose bad records must be refused: one that was taken.
    [[nodiscard]] std::vector<RecordId> bad_ones_taken(std::uint64_t batch) const;

    /// Holds what is seen against what may be; records of other topics are passed over. `moment` says
    /// what has just happened.
    std::vector<Finding> compare(const std::vector<VisibleRecord>& visible, const std::string& moment);

    [[nodiscard]] std::uint64_t records() const { return entries_.size(); }

 private:
    struct Batch {
        BatchState state = BatchState::open;
        Flavor flavor = Flavor::plain;
        std::vector<sink::Range> ranges;
        std::vector<sink::Refused> refused;
    };
    struct Entry {
        std::uint64_t batch = 0;  ///< the last one it was planned in
        bool refused = false;
        bool is_missing = false;     ///< that was reported
        bool is_compared = false;    ///< its content was, and was right or reported
        std::uint64_t reported = 0;  ///< the highest count that was
    };
    void compare_content(Entry& entry, const VisibleRecord& record, const std::string& moment,
                         std::vector<Finding>& findings) const;
    std::optional<Kind> judge(Entry& entry, std::uint64_t count) const;

    const Recipe recipe_;
    std::map<std::uint64_t, Batch> batches_;
    std::map<RecordId, Entry> entries_;
    std::set<std::string> topics_;
};

}  // namespace sluice::sinktest
