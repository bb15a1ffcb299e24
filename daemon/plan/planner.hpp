#pragma once
// One trigger's decision: facts in, ranges out.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/plan/data_loss.hpp"
#include "daemon/plan/split.hpp"
#include "daemon/plan/types.hpp"
#include "daemon/plan/work.hpp"

namespace sluice::plan {

struct PlanOptions {
    /// nullopt = unlimited. `auto` is resolved by the caller to a number.
    std::optional<std::int64_t> max_offsets{};
    std::optional<std::int64_t> min_offsets{};
    Milliseconds max_trigger_delay{900'000};
    SplitOptions split{};
};

struct PlanInput {
    const std::map<TopicPartition, Position>& positions;
    std::span<const PartitionFacts> facts;  ///< sorted by topic, partition
    /// availableNow: the end offsets fixed at its start; partitions absent here are not read.
    const std::map<TopicPartition, std::int64_t>* end_bounds = nullptr;
    Milliseconds elapsed{Milliseconds::max()};  ///< since the last trigger that ran
};

/// A range of a batch. Its place in the plan is its index; both never change once written.
struct PlannedRange {
    OffsetRange range;
    std::int32_t leader_epoch = -1;  ///< recorded with the position `from` follows; -1 unknown
    std::string topic_id{};
    std::optional<std::size_t> lane{};

    bool operator==(const PlannedRange&) const = default;
};

struct PlanOutcome {
    std::vector<PlannedRange> ranges;  ///< empty: nothing to read, or waiting for more
    std::vector<Loss> losses;          ///< to be refused or written down by the caller
    std::vector<StartAt> starts;       ///< where each present partition stands, losses stepped over
    bool waiting = false;              ///< minOffsetsPerTrigger: backlog, but not enough yet
    std::uint64_t backlog = 0;         ///< offsets between starts and ends, before the cap
};

/// What is to be read, before it is cut into ranges.
struct Choice {
    PlanOutcome outcome;      ///< without ranges
    std::vector<Work> works;  ///< by the places of outcome.starts; none when there is nothing to read
};

/// losses → bounds → min → cap → split, in the two steps that are timed apart.
/// Errors: those of limit_offsets; those of split_ranges.
Result<Choice> choose_work(const PlanInput& input, const PlanOptions& options);
Result<PlanOutcome> split_choice(Choice choice, const SplitOptions& options);

/// Both.
Result<PlanOutcome> plan_batch(const PlanInput& input, const PlanOptions& options);

}  // namespace sluice::plan
