#pragma once
// Part of a written plan can't be read any more: which part, and whether the rest of it still can.

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "daemon/plan/data_loss.hpp"
#include "daemon/plan/planner.hpp"
#include "daemon/plan/types.hpp"

namespace sluice::plan {

struct PlanLosses {
    /// One per partition, all of its ranges together (two where head and tail are gone); sorted. The
    /// extent is what the plan promised, so it is known even where the topic is gone.
    std::vector<Loss> losses;

    /// True when all losses are heads that expired: the plan stays, and those ranges are read from
    /// later on. Otherwise the plan can't be run as written by anyone (its offsets, if they are there,
    /// are not the ones that were planned) and must be given up.
    bool can_be_run = true;

    /// Where ranges whose head expired are read from: index → first offset that exists, the range's
    /// `until` when none does. What lies before is lost.
    std::map<std::size_t, std::int64_t> read_from;

    /// Where the partitions that lost something, and are there, are read from next: after the plan
    /// when it can be run, instead of it when not.
    std::map<TopicPartition, Position> next;
};

/// Compares a plan with what there is. No losses: whatever threw the reader out has passed.
///
/// An id that changed, a partition that is gone, a log that was truncated below the plan's start, an end
/// below the plan's `until` (a plan's ends were all there when it was made): not to be run. An end inside the plan loses what lies from it on; the
/// position, if it lies before, is kept, so that what is left is planned again. An earliest offset
/// above a range's `from`: expired, counted up to it, beyond the plan's own end too.
///
/// `ranges` as in a plan: those of one partition follow each other. `facts` sorted. Pure.
PlanLosses decide_plan_losses(std::span<const PlannedRange> ranges,
                              std::span<const PartitionFacts> facts);

/// Where the plan's partitions begin: what a log that was truncated is asked for.
std::map<TopicPartition, Position> starts_of(std::span<const PlannedRange> ranges);

/// Topics of the plan whose id is another one now, or that are gone: asked before the sink commits.
/// `ids`: topic → id, topics that do not exist left out; an id unknown on either side ("") never
/// counts as changed. Sorted, without duplicates.
std::vector<std::string> changed_topics(std::span<const PlannedRange> ranges,
                                        const std::map<std::string, std::string>& ids);

}  // namespace sluice::plan
