#pragma once
// Is this data loss? Decided from positions and facts alone, the same at planning and after a
// reader was thrown out of range.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/plan/types.hpp"

namespace sluice::plan {

enum class LossKind {
    expired,            ///< position below the earliest offset: retention or DeleteRecords
    went_back,          ///< end offset below the position on the same topic: truncation, no epoch known
    truncated,          ///< the log was cut below the position and goes on with other records
    partition_gone,     ///< the partition is not there any more
    topic_gone,         ///< the whole topic is not there any more
    topic_recreated,    ///< the topic id changed: everything unread of the old topic is gone
    new_starts_late,    ///< a partition that appeared later no longer starts at 0
};
std::string_view name_of(LossKind kind) noexcept;
/// False when `name` names no kind.
bool parse_loss_kind(std::string_view name, LossKind& kind) noexcept;

/// One thing that was promised and can't be read. `[from, until)` is empty (from == until) where the
/// extent is unknowable (a topic that is gone or was created anew: what it held past the position),
/// unless a plan had been made of it (plan_losses.hpp).
struct Loss {
    TopicPartition topic_partition{};
    LossKind kind = LossKind::expired;
    std::string topic_id{};             ///< of the topic the lost offsets belonged to
    std::int64_t from = 0;              ///< first offset that was promised and is lost
    std::int64_t until = 0;             ///< one past the last one known to be lost
    std::int64_t adjusted_start = 0;    ///< where reading goes on; -1 when there is nowhere

    bool operator==(const Loss&) const = default;
};

/// Offsets known to be lost: an upper bound of records.
std::uint64_t records_lost(const Loss& loss) noexcept;

/// "orders-3: offsets [812, 900) are gone, 88 records: position 812 is below the earliest offset 900
/// (retention, or records were deleted)". The command that continues is added by the caller, who
/// knows the pipeline.
std::string describe(const Loss& loss);

/// Where each partition is read from, after losses were stepped over.
struct StartAt {
    TopicPartition topic_partition{};
    /// Offset adjusted, topic id the present one (the recorded one while the present is unknown).
    /// Leader epoch: the recorded one where nothing was lost, for that is the record the position
    /// follows; the present one for a new partition and past a loss.
    Position position;
    bool is_new = false;   ///< had no position before
    bool operator==(const StartAt&) const = default;
};

struct LossDecision {
    std::vector<StartAt> starts;  ///< one per present partition, sorted
    std::vector<Loss> losses;     ///< sorted by topic, partition
};

/// `visit(fact, position)` for each of `facts`, the position null where none is recorded. Both are sorted:
/// one walk, where a look-up for each would be most of what a trigger over many partitions costs.
template <class Visit>
void visit_recorded(const std::map<TopicPartition, Position>& positions,
                    std::span<const PartitionFacts> facts, Visit visit) {
    auto at = positions.begin();
    for (const PartitionFacts& fact : facts) {
        while (at != positions.end() && at->first < fact.topic_partition) ++at;
        const bool is_recorded = at != positions.end() && at->first == fact.topic_partition;
        visit(fact, is_recorded ? &at->second : nullptr);
    }
}

/// Those of `positions` whose log can be asked, by leader epoch, whether it was truncated: the partition
/// is there, under the same topic id, and the epoch was recorded. `facts` sorted. Pure.
std::map<TopicPartition, Position> askable(const std::map<TopicPartition, Position>& positions,
                                           std::span<const PartitionFacts> facts);
/// Of those, the positions beyond their log's end: to be asked before that is called a loss.
std::map<TopicPartition, Position> askable_beyond_the_end(
    const std::map<TopicPartition, Position>& positions, std::span<const PartitionFacts> facts);
/// Sets `truncated_at` of the partitions in `truncations`.
void note_truncations(std::span<PartitionFacts> facts,
                      const std::map<TopicPartition, std::int64_t>& truncations);

/// The leader epoch of the offset before `end`, where reading ended: that of the last record, when it is
/// the one there, or when no later epoch had begun by the time `end` was known (`current`, -1 unknown).
/// Else -1: what lies between (control records, aborted or compacted ones) may be of a later leader, and
/// a broker that is asked about `end` under the epoch of the record would call the log truncated.
std::int32_t epoch_before(std::int64_t end, std::int64_t last_offset, std::int32_t last_epoch,
                          std::int32_t current) noexcept;

/// Whether the cluster has the topic; `facts` sorted by partition.
bool has_topic(std::span<const PartitionFacts> facts, const std::string& topic);

/// Compares what is checkpointed with what there is.
///
/// Position below earliest: lost up to earliest, goes on there. Log cut below the position (known by
/// leader epoch, however far it has grown since): `truncated`, nothing to count, goes on where it was
/// cut. End below position, same topic id (or unknown), no epoch to ask for: `went_back`, nothing to
/// count, goes on at the end (records appended since under the old offsets can't be told apart). Other topic id:
/// `topic_recreated`, goes on at the new topic's earliest, whatever its end. Gone: no start. New
/// partitions start at earliest; one that starts above 0 is `new_starts_late` only when the pipeline
/// has positions at all (`positions` not empty) and the topic was known before (another partition of
/// it has a position): then records were written and expired between two triggers.
/// An end that only *seems* lower (a stale reply) must be asked again before this is called.
///
/// `positions` and `facts` must each be sorted by partition without duplicates. Pure, O(n).
LossDecision decide_losses(const std::map<TopicPartition, Position>& positions,
                           std::span<const PartitionFacts> facts);

}  // namespace sluice::plan
