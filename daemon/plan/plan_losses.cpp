#include "daemon/plan/plan_losses.hpp"

#include <algorithm>
#include <set>

namespace sluice::plan {
namespace {

/// All ranges of one partition.
struct Extent {
    std::int64_t from = 0;
    std::int64_t until = 0;
    const PlannedRange* first = nullptr;  ///< the one that follows the position
};

std::map<TopicPartition, Extent> extents_of(std::span<const PlannedRange> ranges) {
    std::map<TopicPartition, Extent> extents;
    for (const PlannedRange& planned : ranges) {
        const OffsetRange& range = planned.range;
        auto [entry, is_new] = extents.try_emplace(range.topic_partition);
        Extent& extent = entry->second;
        if (is_new || range.from < extent.from) {
            extent.from = range.from;
            extent.first = &planned;
        }
        extent.until = is_new ? range.until : std::max(extent.until, range.until);
    }
    return extents;
}

Position start_of(const Extent& extent) {
    return {extent.from, extent.first->leader_epoch, extent.first->topic_id, -1};
}

const PartitionFacts* find(std::span<const PartitionFacts> facts, const TopicPartition& partition) {
    const auto found = std::lower_bound(
        facts.begin(), facts.end(), partition,
        [](const PartitionFacts& f, const TopicPartition& p) { return f.topic_partition < p; });
    return found != facts.end() && found->topic_partition == partition ? &*found : nullptr;
}

}  // namespace

PlanLosses decide_plan_losses(std::span<const PlannedRange> ranges,
                              std::span<const PartitionFacts> facts) {
    PlanLosses answer;
    std::map<TopicPartition, std::int64_t> expired_until;
    for (const auto& [partition, extent] : extents_of(ranges)) {
        // The same rule as at planning: the plan's start is a position.
        const std::map<TopicPartition, Position> at{{partition, start_of(extent)}};
        const PartitionFacts* const fact = find(facts, partition);
        LossDecision decision = decide_losses(
            at, fact == nullptr ? std::span<const PartitionFacts>{} : std::span{fact, 1});
        for (const StartAt& start : decision.starts) {
            if (!decision.losses.empty()) answer.next[partition] = start.position;
        }
        bool all_is_lost = false;
        for (Loss& loss : decision.losses) {
            if (loss.kind == LossKind::expired) {
                expired_until[partition] = loss.adjusted_start;
            } else {
                all_is_lost = true;
                // A log that has all planned offsets after it was cut may have had them so when the plan
                // was made: then nothing that it promised is lost.
                const bool was_planned_anew = loss.kind == LossKind::truncated &&
                                              fact != nullptr && fact->latest >= extent.until;
                if (!was_planned_anew) loss.until = extent.until;
            }
            if (loss.kind == LossKind::topic_gone && has_topic(facts, partition.topic)) {
                loss.kind = LossKind::partition_gone;  // alone, it can't be told from its topic
            }
            answer.losses.push_back(std::move(loss));
        }
        const bool tail_is_gone = !all_is_lost && fact != nullptr && fact->latest < extent.until;
        if (tail_is_gone) {
            const std::int64_t end = std::max(fact->latest, extent.from);
            answer.losses.push_back({partition, LossKind::went_back, extent.first->topic_id, end,
                                     extent.until, end});
        }
        if (all_is_lost || tail_is_gone) answer.can_be_run = false;
    }
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        const OffsetRange& range = ranges[i].range;
        const auto expired = expired_until.find(range.topic_partition);
        if (expired == expired_until.end() || expired->second <= range.from) continue;
        answer.read_from[i] = std::min(expired->second, range.until);
    }
    return answer;
}

std::map<TopicPartition, Position> starts_of(std::span<const PlannedRange> ranges) {
    std::map<TopicPartition, Position> starts;
    for (const auto& [partition, extent] : extents_of(ranges)) starts[partition] = start_of(extent);
    return starts;
}

std::vector<std::string> changed_topics(std::span<const PlannedRange> ranges,
                                        const std::map<std::string, std::string>& ids) {
    std::set<std::string> changed;
    for (const PlannedRange& planned : ranges) {
        if (planned.topic_id.empty()) continue;
        const auto now = ids.find(planned.range.topic_partition.topic);
        const bool is_gone = now == ids.end();
        if (is_gone || (!now->second.empty() && now->second != planned.topic_id)) {
            changed.insert(planned.range.topic_partition.topic);
        }
    }
    return {changed.begin(), changed.end()};
}

}  // namespace sluice::plan
