#include "daemon/plan/planner.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

#include "daemon/base/assert.hpp"
#include "daemon/plan/wide.hpp"
#include "daemon/plan/work.hpp"

namespace sluice::plan {
namespace {

/// What each start has to read, up to the end offsets and bounds; partitions without any left out.
/// Ranks are the indices of `starts`, which is sorted.
std::vector<Work> backlogs(const std::vector<StartAt>& starts, const PlanInput& input) {
    std::vector<Work> answer;
    answer.reserve(starts.size());
    for (std::size_t i = 0; i < starts.size(); ++i) {
        const Position& position = starts[i].position;
        std::int64_t until = input.facts[i].latest;  // one start per fact, in the same order
        if (input.end_bounds != nullptr) {
            const auto bound = input.end_bounds->find(starts[i].topic_partition);
            if (bound == input.end_bounds->end()) continue;
            until = std::min(until, bound->second);
        }
        if (until <= position.offset) continue;
        answer.push_back({position.offset, until, position.last_advanced, i});
    }
    return answer;
}

/// The pieces under their names, with what a reader needs beside the offsets.
std::vector<PlannedRange> named(const Pieces& split, const std::vector<Work>& works,
                                const std::vector<StartAt>& starts, std::size_t lanes) {
    std::vector<PlannedRange> answer;
    answer.reserve(split.pieces.size());
    for (const Piece& piece : split.pieces) {
        SLUICE_ASSERT(piece.from < piece.until());
        const auto& [name, position, is_new] = starts[works[piece.source].rank];
        // The epoch belongs to the record before the position. A piece further on follows another
        // record, of an epoch nobody knows: naming this one could look like a truncation.
        const bool at_position = piece.from == position.offset;
        std::optional<std::size_t> lane;
        if (split.whole && lanes > 0) lane = lane_of(name, lanes);
        answer.push_back({.range = {name, piece.from, piece.until()},
                          .leader_epoch = at_position ? position.leader_epoch : -1,
                          .topic_id = position.topic_id,
                          .lane = lane});
    }
    return answer;
}

}  // namespace

Result<Choice> choose_work(const PlanInput& input, const PlanOptions& options) {
    LossDecision decision = decide_losses(input.positions, input.facts);
    Choice choice;
    PlanOutcome& outcome = choice.outcome;
    outcome.losses = std::move(decision.losses);
    outcome.starts = std::move(decision.starts);

    choice.works = backlogs(outcome.starts, input);
    Uint128 backlog = 0;
    for (const Work& work : choice.works)
        backlog += size_of(work);
    outcome.backlog = static_cast<std::uint64_t>(
        std::min<Uint128>(backlog, std::numeric_limits<std::uint64_t>::max()));
    if (options.min_offsets && backlog > 0 &&
        should_wait(static_cast<Int128>(backlog), *options.min_offsets, input.elapsed,
                    options.max_trigger_delay)) {
        outcome.waiting = true;
        choice.works.clear();
        return choice;
    }
    if (options.max_offsets) SLUICE_CHECK(limit_work(*options.max_offsets, choice.works));
    return choice;
}

Result<PlanOutcome> split_choice(Choice choice, const SplitOptions& options) {
    PlanOutcome& outcome = choice.outcome;
    if (outcome.waiting) return std::move(outcome);
    SLUICE_TRY(const Pieces split, split_work(choice.works, outcome.starts.size(), options));
    outcome.ranges = named(split, choice.works, outcome.starts, options.lanes);
    return std::move(outcome);
}

Result<PlanOutcome> plan_batch(const PlanInput& input, const PlanOptions& options) {
    SLUICE_TRY(Choice choice, choose_work(input, options));
    return split_choice(std::move(choice), options.split);
}

}  // namespace sluice::plan
