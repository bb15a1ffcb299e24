#include "daemon/plan/cap.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <vector>

using namespace sluice;
using namespace sluice::plan;

namespace {

constexpr auto int64_max = std::numeric_limits<std::int64_t>::max();

struct Given {
    std::int64_t size;
    std::int64_t last_advanced = -1;
};

std::vector<Backlog> backlogs(const std::vector<Given>& given) {
    std::vector<Backlog> answer;
    for (const auto& [size, last_advanced] : given) {
        const auto partition = static_cast<std::int32_t>(answer.size());
        answer.push_back({{{"orders", partition}, 100, 100 + size}, last_advanced});
    }
    return answer;
}

/// How many offsets each of orders-0, orders-1 … may read.
std::vector<std::int64_t> cut(std::int64_t limit, const std::vector<Given>& given) {
    const auto ranges = limit_offsets(limit, backlogs(given));
    REQUIRE(ranges);
    std::vector<std::int64_t> sizes;
    for (const OffsetRange& range : *ranges)
        sizes.push_back(range.until - range.from);
    return sizes;
}

using Sizes = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("limit_offsets gives a quiet partition at least one offset") {
    const std::vector<Backlog> backlog{{{{"orders", 0}, 0, 1'000'000}}, {{{"orders", 1}, 7, 9}}};
    const auto ranges = limit_offsets(100, backlog);
    REQUIRE(ranges);
    CHECK((*ranges)[0].until == 99);
    CHECK((*ranges)[1].until == 8);
}

TEST_CASE("limit_offsets leaves everything alone below the limit") {
    CHECK(cut(1000, {{3}, {4}, {0}}) == Sizes{3, 4, 0});
    CHECK(cut(7, {{3}, {4}}) == Sizes{3, 4});
    CHECK(cut(1, {}).empty());
}

TEST_CASE("limit_offsets meets the limit exactly where rounding each share would miss it") {
    CHECK(cut(20, {{21}, {11}, {1}}) == Sizes{12, 7, 1});   // floors alone: 19
    const auto each = cut(5, std::vector<Given>(20, {3}));  // ceilings alone: 20
    CHECK(std::count(each.begin(), each.end(), 1) == 5);
    CHECK(std::count(each.begin(), each.end(), 0) == 15);
}

TEST_CASE("limit_offsets gives what the floors leave to the largest fractions") {
    // 4 to divide over 9, 6 and 3 of 18: 2, 1 1/3 and 2/3.
    CHECK(cut(7, {{10}, {7}, {4}}) == Sizes{3, 2, 2});
    // Equal fractions: the first partition.
    CHECK(cut(4, {{10}, {10}, {10}}) == Sizes{2, 1, 1});
}

TEST_CASE("limit_offsets below one offset each serves those that waited longest") {
    CHECK(cut(1, {{5, 3}, {5, 2}, {5, 4}}) == Sizes{0, 1, 0});
    // Never advanced goes first, whatever its size.
    CHECK(cut(1, {{5, 0}, {1, -1}}) == Sizes{0, 1});
    // The same wait: the larger backlog; the same backlog: the first partition.
    CHECK(cut(1, {{5, 2}, {6, 2}, {6, 2}}) == Sizes{0, 1, 0});
    CHECK(cut(2, {{5, 2}, {6, 2}, {6, 1}}) == Sizes{0, 1, 1});
}

TEST_CASE("limit_offsets serves everyone in turn when the limit is one offset") {
    std::vector<Given> given(5, {100});
    for (std::int64_t batch = 0; batch < 10; ++batch) {
        const auto sizes = cut(1, given);
        for (std::size_t i = 0; i < given.size(); ++i) {
            given[i].size -= sizes[i];
            if (sizes[i] > 0) given[i].last_advanced = batch;
        }
    }
    for (const Given& each : given)
        CHECK(each.size == 98);
}

TEST_CASE("limit_offsets keeps the end of inverted and empty ranges") {
    const std::vector<Backlog> backlog{
        {{{"orders", 0}, 9, 3}}, {{{"orders", 1}, 0, 10}}, {{{"orders", 2}, 5, 5}}};
    for (const std::int64_t limit : {1, 4, 100}) {
        const auto ranges = limit_offsets(limit, backlog);
        REQUIRE(ranges);
        CHECK((*ranges)[0].until == 3);
        CHECK((*ranges)[1].until == std::min<std::int64_t>(limit, 10));
        CHECK((*ranges)[2].until == 5);
    }
}

TEST_CASE("limit_offsets answers in the order it was asked, and breaks ties by name") {
    const std::vector<Backlog> backlog{
        {{{"z", 0}, 0, 10}}, {{{"a", 1}, 0, 10}}, {{{"a", 0}, 0, 10}}};
    const auto ranges = limit_offsets(4, backlog);
    REQUIRE(ranges);
    CHECK((*ranges)[0] == OffsetRange{{"z", 0}, 0, 1});
    CHECK((*ranges)[1] == OffsetRange{{"a", 1}, 0, 1});
    CHECK((*ranges)[2] == OffsetRange{{"a", 0}, 0, 2});
    const auto one = limit_offsets(1, backlog);
    REQUIRE(one);
    CHECK((*one)[2].until == 1);
}

TEST_CASE("limit_offsets does not overflow with the largest sizes and limits") {
    const std::vector<Backlog> huge{{{{"orders", 0}, 0, int64_max}},
                                    {{{"orders", 1}, 0, int64_max}},
                                    {{{"orders", 2}, 0, int64_max}}};
    const auto ranges = limit_offsets(int64_max, huge);
    REQUIRE(ranges);
    std::uint64_t sum = 0;
    for (const OffsetRange& range : *ranges)
        sum += size_of(range);
    CHECK(sum == static_cast<std::uint64_t>(int64_max));
    CHECK((*ranges)[0].until == int64_max / 3 + 1);
    CHECK((*ranges)[2].until == int64_max / 3);

    const std::vector<Backlog> at_the_end{{{{"orders", 0}, int64_max - 5, int64_max}}};
    CHECK((*limit_offsets(int64_max, at_the_end))[0].until == int64_max);
    CHECK((*limit_offsets(2, at_the_end))[0].until == int64_max - 3);
}

TEST_CASE("limit_offsets is exact where doubles are not") {
    const std::int64_t size = (std::int64_t{1} << 53) + 1;
    CHECK(cut(size, {{size}}) == Sizes{size});
    CHECK(cut(size, {{size}, {1}}) == Sizes{size - 1, 1});
}

TEST_CASE("limit_offsets refuses a limit that is not positive") {
    for (const std::int64_t limit : {std::int64_t{0}, std::int64_t{-1}, -int64_max - 1}) {
        const auto ranges = limit_offsets(limit, backlogs({{3}}));
        REQUIRE_FALSE(ranges);
        CHECK(ranges.error().code == ErrorCode::invalid_argument);
        CHECK(ranges.error().message.find(std::to_string(limit)) != std::string::npos);
    }
}
