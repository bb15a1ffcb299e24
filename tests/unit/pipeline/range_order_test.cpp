#include "daemon/pipeline/range_order.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace sluice;
using pipeline::RangeOrder;

namespace {

std::vector<plan::PlannedRange> pieces(const std::string& topic, std::int64_t count, std::int64_t from = 0) {
    std::vector<plan::PlannedRange> ranges;
    for (std::int64_t i = 0; i < count; ++i) {
        ranges.push_back({.range = {{topic, 0}, from + i * 10, from + (i + 1) * 10}});
    }
    return ranges;
}

std::vector<plan::PlannedRange> joined(std::vector<plan::PlannedRange> first, const std::vector<plan::PlannedRange>& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

/// What each lane took, when they take turns.
std::vector<std::vector<std::size_t>> taken(const std::vector<plan::PlannedRange>& ranges, std::size_t lanes) {
    RangeOrder order(ranges, lanes);
    std::vector<std::vector<std::size_t>> by_lane(lanes);
    for (bool any = true; any;) {
        any = false;
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            const auto next = order.take(lane);
            if (!next) continue;
            by_lane[lane].push_back(next->index);
            any = true;
        }
    }
    return by_lane;
}

using Taken = std::vector<std::vector<std::size_t>>;

}  // namespace

TEST_CASE("one lane takes the ranges in the order of the plan") {
    CHECK(taken(joined(pieces("a", 3), pieces("b", 2)), 1) == Taken{{0, 1, 2, 3, 4}});
}

TEST_CASE("two lanes on one split partition read a half each, every one without a gap") {
    CHECK(taken(pieces("hot", 8), 2) == Taken{{0, 1, 2, 3}, {4, 5, 6, 7}});
    CHECK(taken(pieces("hot", 2), 2) == Taken{{0}, {1}});
}

TEST_CASE("a lane prefers a partition that nobody reads to the rest of one that somebody does") {
    CHECK(taken(joined(pieces("hot", 4), pieces("cold", 1)), 2) == Taken{{0, 1, 2}, {4, 3}});
}

TEST_CASE("pieces that do not follow each other are no stretch") {
    // The same partition with a hole between, and two partitions whose offsets happen to meet.
    CHECK(taken(joined(pieces("a", 1), pieces("a", 3, 20)), 2) == Taken{{0, 3}, {1, 2}});
    CHECK(taken(joined(pieces("a", 1), pieces("b", 3, 10)), 2) == Taken{{0, 3}, {1, 2}});
}

TEST_CASE("each range is given out once, however many lanes there are") {
    for (std::size_t lanes = 1; lanes <= 7; ++lanes) {
        for (std::int64_t count = 1; count <= 9; ++count) {
            const auto ranges = joined(pieces("a", count), pieces("b", 3));
            std::multiset<std::size_t> all;
            for (const auto& lane : taken(ranges, lanes)) all.insert(lane.begin(), lane.end());
            CHECK(all.size() == ranges.size());
            CHECK(std::set<std::size_t>(all.begin(), all.end()).size() == ranges.size());
        }
    }
}

TEST_CASE("a consumer stays where its lane goes on, and where the next batch will") {
    const auto ranges = joined(pieces("hot", 3), pieces("cold", 1));
    RangeOrder order(ranges, 2);
    CHECK(order.take(0)->read_on);  // hot 0: the same lane takes hot 1
    CHECK(order.take(1)->read_on);  // cold: the last of its partition
    const auto last = order.take(1);
    CHECK(last->index == 2);        // the second half of what lane 0 has left
    CHECK(last->read_on);           // where the next batch begins
    const auto left = order.take(0);
    CHECK(left->index == 1);
    CHECK_FALSE(left->read_on);     // what follows is another lane's
    CHECK_FALSE(order.take(0));
    CHECK_FALSE(order.take(1));
}
