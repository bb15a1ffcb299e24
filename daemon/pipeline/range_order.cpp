#include "daemon/pipeline/range_order.hpp"

#include <algorithm>
#include <map>

namespace sluice::pipeline {
namespace {

bool follows(const plan::OffsetRange& range, const plan::OffsetRange& next) {
    return next.from == range.until && next.topic_partition == range.topic_partition;
}

/// Ranges that end where no other range of the plan goes on: their consumers stay where they are.
std::vector<bool> last_of_their_partition(std::span<const plan::PlannedRange> ranges) {
    std::map<plan::TopicPartition, std::int64_t> ends;
    for (const auto& planned : ranges) {
        auto& end = ends[planned.range.topic_partition];
        end = std::max(end, planned.range.until);
    }
    std::vector<bool> last;
    last.reserve(ranges.size());
    for (const auto& planned : ranges) {
        last.push_back(planned.range.until == ends.at(planned.range.topic_partition));
    }
    return last;
}

}  // namespace

RangeOrder::RangeOrder(std::span<const plan::PlannedRange> ranges, std::size_t lanes)
    : of_lane_(lanes), last_of_partition_(last_of_their_partition(ranges)) {
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        if (i > 0 && follows(ranges[i - 1].range, ranges[i].range)) {
            untouched_.back().end = i + 1;
        } else {
            untouched_.push_back({i, i + 1});
        }
    }
}

std::optional<RangeOrder::Next> RangeOrder::take(std::size_t lane) {
    Stretch& own = of_lane_[lane];
    if (own.next < own.end) return advance(own);
    if (first_untouched_ < untouched_.size()) {
        own = untouched_[first_untouched_++];
        return advance(own);
    }
    Stretch& longest = *std::max_element(of_lane_.begin(), of_lane_.end(), [](const Stretch& a, const Stretch& b) {
        return a.end - a.next < b.end - b.next;
    });
    if (longest.next == longest.end) return std::nullopt;
    const std::size_t middle = longest.next + (longest.end - longest.next) / 2;
    own = {middle, longest.end};  // `longest` is another lane's: its own is at its end
    longest.end = middle;
    return advance(own);
}

RangeOrder::Next RangeOrder::advance(Stretch& stretch) {
    const std::size_t index = stretch.next++;
    return {index, stretch.next < stretch.end || last_of_partition_[index]};
}

}  // namespace sluice::pipeline
