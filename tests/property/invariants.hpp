#pragma once
// What holds for every plan, whatever was asked. Each function answers "" or what is broken: with
// millions of plans, an assertion for each would take longer than the plans.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "daemon/plan/cap.hpp"
#include "daemon/plan/planner.hpp"
#include "daemon/plan/split.hpp"

namespace sluice::plan::property {

__extension__ using Wide = __int128;

/// The seed of a random test: SLUICE_SEED, or a new one. Printed, so that a failure can be
/// repeated.
inline std::uint64_t seed_of(const char* test) {
    const char* given = std::getenv("SLUICE_SEED");
    const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10)
                                                : std::uint64_t{std::random_device{}()};
    std::cout << test << ": SLUICE_SEED=" << seed << std::endl;
    return seed;
}

inline Wide sum_of(std::span<const OffsetRange> ranges) {
    Wide sum = 0;
    for (const OffsetRange& range : ranges)
        sum += size_of(range);
    return sum;
}

inline std::string shown(const OffsetRange& range) {
    return to_string(range.topic_partition) + " [" + std::to_string(range.from) + ", " +
           std::to_string(range.until) + ")";
}

/// The sum is min(limit, backlog) exactly; everyone with backlog advances when the limit allows,
/// and nobody beyond its end; what has no backlog stays as it is.
inline std::string broken_limit(std::int64_t limit, std::span<const Backlog> available,
                                std::span<const OffsetRange> limited) {
    if (limited.size() != available.size()) return "a range was added or dropped";
    Wide backlog = 0;
    std::size_t waiting = 0;
    for (std::size_t i = 0; i < available.size(); ++i) {
        const OffsetRange& given = available[i].range;
        const OffsetRange& answer = limited[i];
        const std::uint64_t size = size_of(given);
        backlog += size;
        waiting += size > 0 ? 1U : 0U;
        if (answer.topic_partition != given.topic_partition || answer.from != given.from) {
            return "another range, or order: " + shown(answer);
        }
        if (size == 0 && answer.until != given.until) return "an end was changed: " + shown(answer);
        if (size > 0 && (answer.until < given.from || answer.until > given.until)) {
            return "beyond its backlog: " + shown(answer);
        }
    }
    const Wide wanted = std::min<Wide>(limit, backlog);
    if (sum_of(limited) != wanted) return "the sum is not min(limit, backlog)";
    if (limit >= static_cast<Wide>(waiting)) {
        for (std::size_t i = 0; i < available.size(); ++i) {
            if (size_of(available[i].range) > 0 && size_of(limited[i]) == 0) {
                return "did not advance: " + shown(limited[i]);
            }
        }
    }
    return {};
}

/// The pieces cover the ranges in order, exactly, without an empty one; none is above the maximum;
/// there are as many as the minimum asks for, as long as an offset can be cut off.
inline std::string broken_split(std::span<const OffsetRange> ranges, const SplitOptions& options,
                                std::span<const SplitRange> pieces) {
    auto piece = pieces.begin();
    for (const OffsetRange& range : ranges) {
        if (size_of(range) == 0) continue;
        for (std::int64_t at = range.from; at != range.until; ++piece) {
            if (piece == pieces.end()) return "not covered: " + shown(range);
            const OffsetRange& part = piece->range;
            if (part.topic_partition != range.topic_partition || part.from != at ||
                part.until <= part.from || part.until > range.until) {
                return "a gap, an overlap or another order: " + shown(part) + " of " + shown(range);
            }
            const std::uint64_t max =
                static_cast<std::uint64_t>(options.max_records_per_partition.value_or(range.until));
            if (options.max_records_per_partition && size_of(part) > max) {
                return "above the maximum: " + shown(part);
            }
            at = part.until;
        }
    }
    if (piece != pieces.end()) return "nobody asked for " + shown(piece->range);
    const Wide wanted = std::min<Wide>(options.min_partitions.value_or(0), sum_of(ranges));
    if (static_cast<Wide>(pieces.size()) < wanted) return "fewer ranges than the minimum";
    if (pieces.size() > options.ranges_max) return "more ranges than allowed";
    return {};
}

/// What a decision about one partition must be, given what was recorded.
inline std::string broken_start(const StartAt& start, const PartitionFacts& facts,
                                const Position* recorded, const Loss* loss) {
    const std::int64_t at = start.position.offset;
    if (start.topic_partition != facts.topic_partition) return "another partition";
    if (at < facts.earliest || at > facts.latest) return "starts where nothing can be read";
    if (start.is_new != (recorded == nullptr)) return "is_new is wrong";
    if (loss != nullptr && loss->adjusted_start != at) return "does not start where the loss ends";
    if (recorded == nullptr) return at == facts.earliest ? "" : "new, and not at earliest";
    const bool same_topic = recorded->topic_id.empty() || facts.topic_id.empty() ||
                            recorded->topic_id == facts.topic_id;
    if (loss == nullptr) {
        if (!same_topic) return "another topic id without a loss";
        if (at != recorded->offset) return "moved without a loss";
        if (start.position.leader_epoch != recorded->leader_epoch) return "another epoch";
        return "";
    }
    if (loss->kind == LossKind::topic_recreated) return same_topic ? "it is the same topic" : "";
    if (loss->kind == LossKind::went_back) return at < recorded->offset ? "" : "did not go back";
    if (loss->kind != LossKind::expired) return "a loss of another kind";
    const bool counted = loss->from == recorded->offset && loss->until == at;
    return counted && at > recorded->offset ? "" : "the loss is not what was stepped over";
}

/// One start for each partition that is there, one loss at most for each that was; see
/// broken_start.
inline std::string broken_starts(const std::map<TopicPartition, Position>& positions,
                                 std::span<const PartitionFacts> facts,
                                 const PlanOutcome& outcome) {
    std::map<TopicPartition, const Loss*> lost;
    for (const Loss& loss : outcome.losses) {
        if (!lost.emplace(loss.topic_partition, &loss).second) return "two losses of one partition";
    }
    const auto loss_of = [&](const TopicPartition& partition) {
        const auto found = lost.find(partition);
        return found == lost.end() ? nullptr : found->second;
    };
    if (outcome.starts.size() != facts.size()) return "not one start per partition";
    std::map<TopicPartition, bool> there;
    for (std::size_t i = 0; i < facts.size(); ++i) {
        const TopicPartition& partition = facts[i].topic_partition;
        there[partition] = true;
        const auto recorded = positions.find(partition);
        const std::string broken = broken_start(
            outcome.starts[i], facts[i], recorded == positions.end() ? nullptr : &recorded->second,
            loss_of(partition));
        if (!broken.empty()) return to_string(partition) + ": " + broken;
    }
    for (const auto& [partition, position] : positions) {
        if (there.contains(partition)) continue;
        const Loss* loss = loss_of(partition);
        if (loss == nullptr) return to_string(partition) + ": gone without a loss";
        if (loss->adjusted_start != -1) return to_string(partition) + ": goes on in what is gone";
    }
    return {};
}

/// A whole plan: starts as above; ranges follow each other from the start on, within what there is,
/// obey the options, and add up to min(limit, backlog).
inline std::string broken_plan(const std::map<TopicPartition, Position>& positions,
                               std::span<const PartitionFacts> facts, const PlanOptions& options,
                               const PlanOutcome& outcome) {
    if (std::string broken = broken_starts(positions, facts, outcome); !broken.empty()) {
        return broken;
    }
    Wide sum = 0;
    std::vector<SplitRange> pieces;
    std::map<TopicPartition, std::int64_t> ends;
    for (const PlannedRange& planned : outcome.ranges) {
        sum += size_of(planned.range);
        pieces.push_back({planned.range, planned.lane});
        ends[planned.range.topic_partition] = planned.range.until;
    }
    Wide backlog = 0;
    std::vector<OffsetRange> whole;
    for (std::size_t i = 0; i < facts.size(); ++i) {
        const std::int64_t from = outcome.starts[i].position.offset;
        const auto end = ends.find(facts[i].topic_partition);
        whole.push_back({facts[i].topic_partition, from, end == ends.end() ? from : end->second});
        if (whole.back().until > facts[i].latest) return "beyond the end: " + shown(whole.back());
        backlog += facts[i].latest - from;
    }
    if (backlog != outcome.backlog) return "the backlog is wrong";
    if (sum != std::min<Wide>(options.max_offsets.value_or(INT64_MAX), backlog)) {
        return "the sum is not min(limit, backlog)";
    }
    for (const PlannedRange& planned : outcome.ranges) {
        const auto same = [&](const StartAt& start) {
            return start.topic_partition == planned.range.topic_partition;
        };
        const auto start = std::find_if(outcome.starts.begin(), outcome.starts.end(), same);
        if (planned.topic_id != start->position.topic_id) return "another topic id";
        const bool first = planned.range.from == start->position.offset;
        if (planned.leader_epoch != (first ? start->position.leader_epoch : -1)) {
            return "another leader epoch: " + shown(planned.range);
        }
    }
    return broken_split(whole, options.split, pieces);
}

}  // namespace sluice::plan::property
