#include "daemon/plan/planner.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

#include "daemon/base/assert.hpp"
#include "daemon/plan/admission.hpp"
#include "daemon/plan/cap.hpp"

namespace sluice::plan {
namespace {

/// What each start has to read, up to the end offsets and bounds; partitions without any left out.
std::vector<Backlog> backlogs(const std::vector<StartAt>& starts, const PlanInput& input) {
    std::vector<Backlog> answer;
    answer.reserve(starts.size());
    for (std::size_t i = 0; i < starts.size(); ++i) {
        const StartAt& start = starts[i];
        std::int64_t until = input.facts[i].latest;  // one start per fact, in the same order
        if (input.end_bounds != nullptr) {
            const auto bound = input.end_bounds->find(start.topic_partition);
            if (bound == input.end_bounds->end()) continue;
            until = std::min(until, bound->second);
        }
        if (until <= start.position.offset) continue;
        answer.push_back({.range = {start.topic_partition, start.position.offset, until},
                          .last_advanced = start.position.last_advanced});
    }
    return answer;
}

std::uint64_t sum_of(const std::vector<Backlog>& available) {
    std::uint64_t sum = 0;
    for (const Backlog& backlog : available) {
        const std::uint64_t size = size_of(backlog.range);
        if (size > std::numeric_limits<std::uint64_t>::max() - sum) {
            return std::numeric_limits<std::uint64_t>::max();
        }
        sum += size;
    }
    return sum;
}

/// Adds what a reader needs beside the offsets. Both are sorted by partition.
std::vector<PlannedRange> with_positions(std::vector<SplitRange> ranges,
                                         const std::vector<StartAt>& starts) {
    std::vector<PlannedRange> answer;
    answer.reserve(ranges.size());
    auto start = starts.begin();
    for (SplitRange& split : ranges) {
        SLUICE_ASSERT(split.range.from < split.range.until);
        while (start->topic_partition != split.range.topic_partition) {
            ++start;
            SLUICE_ASSERT(start != starts.end());
        }
        // The epoch belongs to the record before the position. A piece further on follows another
        // record, of an epoch nobody knows: naming this one could look like a truncation.
        const bool at_position = split.range.from == start->position.offset;
        answer.push_back({.range = std::move(split.range),
                          .leader_epoch = at_position ? start->position.leader_epoch : -1,
                          .topic_id = start->position.topic_id,
                          .lane = split.lane});
    }
    return answer;
}

}  // namespace

Result<PlanOutcome> plan_batch(const PlanInput& input, const PlanOptions& options) {
    LossDecision decision = decide_losses(input.positions, input.facts);
    PlanOutcome outcome;
    outcome.losses = std::move(decision.losses);
    outcome.starts = std::move(decision.starts);

    const std::vector<Backlog> available = backlogs(outcome.starts, input);
    outcome.backlog = sum_of(available);
    if (options.min_offsets && outcome.backlog > 0 &&
        should_wait(available, *options.min_offsets, input.elapsed, options.max_trigger_delay)) {
        outcome.waiting = true;
        return outcome;
    }

    std::vector<OffsetRange> ranges;
    if (options.max_offsets) {
        SLUICE_TRY(ranges, limit_offsets(*options.max_offsets, available));
    } else {
        ranges.reserve(available.size());
        for (const Backlog& backlog : available)
            ranges.push_back(backlog.range);
    }
    SLUICE_TRY(std::vector<SplitRange> split, split_ranges(ranges, options.split));
    outcome.ranges = with_positions(std::move(split), outcome.starts);
    return outcome;
}

}  // namespace sluice::plan
