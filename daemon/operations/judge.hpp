#pragma once
// What is wrong with recorded books, decided from what is on record and what was counted again. Pure:
// values in, values out; `verify.hpp` gathers what goes in.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/operations/history.hpp"

namespace sluice::operations {

enum class FindingKind {
    unbalanced,      ///< a range's books contradict themselves or its plan
    books_missing,   ///< committed, and a range has no books
    not_in_ledger,   ///< books say lost, the loss ledger doesn't
    hole,            ///< offsets between two batches that neither a loss nor a move explains
    overlap,         ///< offsets delivered by two batches, and no move says why
    batch_missing,   ///< an id between two that are kept
    count_differs,   ///< reading the range again shows other records than were counted
};
std::string_view name_of(FindingKind kind) noexcept;

struct Finding {
    FindingKind kind = FindingKind::unbalanced;
    std::uint64_t batch_id = 0;
    std::optional<std::size_t> range;
    std::optional<plan::TopicPartition> topic_partition;
    std::string text;  ///< for a person, numbers included; without the batch's name
};

/// polled = accepted + filtered + dead-lettered, estimated = polled + gaps + lost, for each range of a
/// committed batch; and what they call lost is in the ledger.
std::vector<Finding> judge_books(const checkpoints::BatchSummary& batch,
                                 const std::vector<checkpoints::LossEntry>& losses);

/// Each partition's ranges of committed, recovered and open batches, one after the other: each begins
/// where the one before ended, or the ledger or a move of that partition between the two plans says
/// why not. Abandoned batches delivered nothing and are passed over. Offsets of a topic that was
/// created anew are another topic's, and the ledger (or a move) has to say so.
std::vector<Finding> judge_continuity(const History& history);

/// The loss that says that the log was cut inside or below a range since the range was read: one noted after
/// its plan was made, whose log ended below the range's end. What the range's offsets hold now, if anything,
/// was written anew and is nothing to compare or to deliver in its place. nullptr: there is none.
const checkpoints::LossEntry* cut_since(const plan::PlannedRange& planned, WallTime planned_at,
                                        const std::vector<checkpoints::LossEntry>& losses);

/// What reading a range again showed.
struct Recount {
    std::uint64_t records = 0;      ///< visible at the pipeline's own isolation level
    std::uint64_t bytes = 0;        ///< keys and values of those
    std::uint64_t uncommitted = 0;  ///< visible with read_uncommitted; at least `records`
    bool compacted = false;         ///< cleanup.policy has compact, or is not known
};

/// Where the gaps of a range come from.
struct Explained {
    std::uint64_t aborted = 0;               ///< records of aborted transactions
    std::uint64_t control = 0;               ///< transaction markers: what is left on a topic not compacted
    std::uint64_t compacted_or_control = 0;  ///< what is left on a compacted one
    std::uint64_t compacted_since = 0;       ///< delivered then, removed by the cleaner meanwhile
    std::optional<std::string> differs;      ///< in words, when the counts can't both be right
};

/// Holds the books of a range, of which `[from + lost, until)` was read again, against the recount.
/// On a topic that is not compacted a second count is equal to the record; on a compacted one it may
/// only be smaller.
Explained explain(const checkpoints::RangeBooks& books, const Recount& recount);

}  // namespace sluice::operations
