#include "daemon/plan/split.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <vector>

using namespace sluice;
using namespace sluice::plan;

namespace {

constexpr auto int64_max = std::numeric_limits<std::int64_t>::max();

const std::vector<OffsetRange> worked_example{{{"orders", 0}, 1000, 151000},
                                              {{"orders", 1}, 2000, 82000},
                                              {{"orders", 2}, 5000, 35000},
                                              {{"payments", 0}, 100, 40100}};

std::vector<OffsetRange> split(const std::vector<OffsetRange>& ranges,
                               const SplitOptions& options) {
    const auto pieces = split_ranges(ranges, options);
    REQUIRE_MESSAGE(pieces, pieces.error().message);
    std::vector<OffsetRange> answer;
    for (const SplitRange& piece : *pieces)
        answer.push_back(piece.range);
    return answer;
}

std::vector<std::uint64_t> sizes(const std::vector<OffsetRange>& ranges) {
    std::vector<std::uint64_t> answer;
    for (const OffsetRange& range : ranges)
        answer.push_back(size_of(range));
    return answer;
}

Error refusal(const std::vector<OffsetRange>& ranges, const SplitOptions& options) {
    const auto pieces = split_ranges(ranges, options);
    REQUIRE_FALSE(pieces);
    CHECK(pieces.error().code == ErrorCode::invalid_argument);
    return pieces.error();
}

using Sizes = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("split_ranges cuts the worked example into 7 ranges of at most 50,000") {
    CHECK(split(worked_example, {.max_records_per_partition = 50'000}) ==
          std::vector<OffsetRange>{{{"orders", 0}, 1000, 51000},
                                   {{"orders", 0}, 51000, 101000},
                                   {{"orders", 0}, 101000, 151000},
                                   {{"orders", 1}, 2000, 42000},
                                   {{"orders", 1}, 42000, 82000},
                                   {{"orders", 2}, 5000, 35000},
                                   {{"payments", 0}, 100, 40100}});
}

TEST_CASE("split_ranges halves the first of the largest to make the worked example 8 ranges") {
    CHECK(split(worked_example, {.max_records_per_partition = 50'000, .min_partitions = 8}) ==
          std::vector<OffsetRange>{{{"orders", 0}, 1000, 26000},
                                   {{"orders", 0}, 26000, 51000},
                                   {{"orders", 0}, 51000, 101000},
                                   {{"orders", 0}, 101000, 151000},
                                   {{"orders", 1}, 2000, 42000},
                                   {{"orders", 1}, 42000, 82000},
                                   {{"orders", 2}, 5000, 35000},
                                   {{"payments", 0}, 100, 40100}});
}

TEST_CASE("split_ranges drops what is empty or inverted") {
    CHECK(split({{{"t", 0}, 5, 5}, {{"t", 1}, 9, 3}, {{"t", 2}, 0, 1}}, {}) ==
          std::vector<OffsetRange>{{{"t", 2}, 0, 1}});
    CHECK(split({}, {.max_records_per_partition = 1, .min_partitions = 9}).empty());
}

TEST_CASE("split_ranges puts the smaller pieces first") {
    CHECK(sizes(split({{{"t", 0}, 0, 10}}, {.min_partitions = 3})) == Sizes{3, 3, 4});
    CHECK(sizes(split({{{"t", 0}, 0, 59}}, {.max_records_per_partition = 20})) ==
          Sizes{19, 20, 20});
    CHECK(sizes(split({{{"t", 0}, 0, 29}, {{"t", 1}, 0, 29}, {{"t", 2}, 0, 29}},
                      {.min_partitions = 4})) == Sizes{14, 15, 29, 29});
}

TEST_CASE("split_ranges keeps pieces whole whose share is one, and divides the rest") {
    CHECK(sizes(split({{{"a", 0}, 0, 1}, {{"b", 0}, 0, 1000}}, {.min_partitions = 4})) ==
          Sizes{1, 333, 333, 334});
    CHECK(sizes(split({{{"a", 0}, 0, 500}, {{"b", 0}, 0, 12'000}, {{"c", 0}, 0, 15'001}},
                      {.min_partitions = 6})) == Sizes{500, 6000, 6000, 5000, 5000, 5001});
    // Rounding half up may give one more than asked: no offset is lost.
    CHECK(split({{{"a", 0}, 0, 10}, {{"b", 0}, 0, 10}, {{"c", 0}, 0, 1}}, {.min_partitions = 6})
              .size() == 7);
}

TEST_CASE("split_ranges keeps every piece of a partition whole when one of them is small") {
    const std::vector<OffsetRange> ranges{{{"a", 0}, 0, 5}, {{"b", 0}, 0, 3}};
    // Pieces 2, 3 and 3; shares of 4 are 1, 1.5 → 2 and 2. The 3 of a-0 stays whole beside its 2.
    CHECK(split(ranges, {.max_records_per_partition = 3, .min_partitions = 4}) ==
          std::vector<OffsetRange>{
              {{"a", 0}, 0, 2}, {{"a", 0}, 2, 5}, {{"b", 0}, 0, 1}, {{"b", 0}, 1, 3}});
}

TEST_CASE("split_ranges knows a partition again that is listed out of order") {
    const std::vector<OffsetRange> ranges{{{"b", 0}, 0, 3}, {{"a", 0}, 0, 3}, {{"b", 0}, 7, 9}};
    // b-0's second range is small (share 1), so its first stays whole too.
    CHECK(split(ranges, {.min_partitions = 4}) ==
          std::vector<OffsetRange>{
              {{"b", 0}, 0, 3}, {{"a", 0}, 0, 1}, {{"a", 0}, 1, 3}, {{"b", 0}, 7, 9}});
}

TEST_CASE("split_ranges reaches the minimum, or single offsets") {
    for (std::int64_t min = 1; min <= 40; ++min) {
        const auto count =
            split({{{"a", 0}, 0, 7}, {{"b", 0}, 0, 7}, {{"c", 0}, 0, 7}}, {.min_partitions = min})
                .size();
        CHECK(count >= static_cast<std::size_t>(std::min<std::int64_t>(min, 21)));
        CHECK(count <= 21);
    }
    CHECK(sizes(split({{{"t", 0}, 41, 43}}, {.min_partitions = 2'147'483'647})) == Sizes{1, 1});
    CHECK(sizes(split({{{"t", 0}, 41, 43}}, {.min_partitions = int64_max})) == Sizes{1, 1});
}

TEST_CASE("split_ranges names lanes only when every partition is whole by itself") {
    const std::vector<OffsetRange> ranges{{{"t1", 1}, 1, 2}, {{"t2", 1}, 1, 2}, {{"t3", 1}, 1, 2}};
    const auto lanes = [&](const SplitOptions& options) {
        std::vector<std::optional<std::size_t>> answer;
        const auto pieces = split_ranges(ranges, options);
        REQUIRE(pieces);
        for (const SplitRange& piece : *pieces)
            answer.push_back(piece.lane);
        return answer;
    };
    using Lanes = std::vector<std::optional<std::size_t>>;
    CHECK(lanes({.lanes = 3}) == Lanes{2, 0, 1});
    CHECK(lanes({.min_partitions = 3, .lanes = 3}) == Lanes{2, 0, 1});
    CHECK(lanes({.lanes = 1}) == Lanes{0, 0, 0});
    CHECK(lanes({}) == Lanes(3));
    CHECK(lanes({.max_records_per_partition = 1000, .lanes = 3}) == Lanes(3));
    CHECK(lanes({.min_partitions = 4, .lanes = 3}) == Lanes(3));
}

TEST_CASE("lane_of is Java's hash of a topic-partition, floor-mod the lanes") {
    constexpr std::size_t many = std::numeric_limits<std::int32_t>::max();
    CHECK(lane_of({"", 0}, many) == 31 * 31);
    CHECK(lane_of({"a", 2}, many) == 31 * 33 + 97);
    CHECK(lane_of({"é", 0}, many) == 31 * 31 + 233);
    CHECK(lane_of({"😀", 0}, many) == 31 * 31 + 0xD83D * 31 + 0xDE00);  // two UTF-16 units
    CHECK(lane_of({"payments", 0}, 16) == 14);
    // A negative hash (-1008769370) counts from the other side, as Math.floorMod does.
    CHECK(lane_of({"orders", 0}, 16) == 6);
    CHECK(lane_of({"orders", 0}, 3) == 1);
    CHECK(lane_of({"orders", 2'147'483'647}, 7) < 7);
    CHECK(lane_of({"orders", 0}, std::numeric_limits<std::size_t>::max()) <= many);
    CHECK(lane_of({"cut off \xF0\x9F", 0}, 7) < 7);
}

TEST_CASE("split_ranges does not overflow with the largest offsets") {
    const std::vector<OffsetRange> huge{{{"a", 0}, 0, int64_max}, {{"b", 0}, 0, int64_max}};
    const auto thirds = split(huge, {.min_partitions = 6});
    const std::uint64_t third = static_cast<std::uint64_t>(int64_max) / 3;
    CHECK(sizes(thirds) == Sizes{third, third, third + 1, third, third, third + 1});
    CHECK(thirds[0].from == 0);
    CHECK(thirds[2].until == int64_max);
    CHECK(thirds[5].until == int64_max);
    CHECK(split(huge, {.max_records_per_partition = int64_max}) == huge);
    const auto halves = split(huge, {.max_records_per_partition = int64_max - 1});
    CHECK(halves.size() == 4);
    CHECK(halves[1].until == int64_max);
}

TEST_CASE("split_ranges divides exactly where doubles do not") {
    const std::int64_t max = std::int64_t{1} << 53;
    // In doubles, max + 1 is max: one range too large.
    const auto pieces = split({{{"t", 0}, 0, max + 1}}, {.max_records_per_partition = max});
    CHECK(sizes(pieces) ==
          Sizes{static_cast<std::uint64_t>(max) / 2, static_cast<std::uint64_t>(max) / 2 + 1});
}

TEST_CASE("split_ranges bounds its answer before it makes it") {
    const std::vector<OffsetRange> huge{{{"a", 0}, 0, int64_max}, {{"b", 0}, 0, int64_max}};
    CHECK(refusal(huge, {.max_records_per_partition = 1}).message.find("raise maxRecords") !=
          std::string::npos);
    for (const std::int64_t min :
         {std::int64_t{1'000'001}, std::int64_t{2'147'483'647}, int64_max}) {
        CHECK(refusal(huge, {.min_partitions = min}).message.find("lower minPartitions") !=
              std::string::npos);
    }
    CHECK(refusal(worked_example, {.ranges_max = 3}).message.find("4 ranges, and at most 3") !=
          std::string::npos);
    CHECK(split(worked_example, {.ranges_max = 4}).size() == 4);
    CHECK(refusal(worked_example, {.max_records_per_partition = 50'000, .ranges_max = 6})
              .message.find("7 ranges") != std::string::npos);
    CHECK(split(worked_example, {.max_records_per_partition = 50'000, .ranges_max = 7}).size() ==
          7);
    // Halving reaches a minimum that the proportional split misses: 3 pieces, then 4.
    const std::vector<OffsetRange> thirds{{{"a", 0}, 0, 29}, {{"b", 0}, 0, 29}, {{"c", 0}, 0, 29}};
    CHECK(refusal(thirds, {.min_partitions = 4, .ranges_max = 3}).message.find("4 ranges") !=
          std::string::npos);
    CHECK(split(thirds, {.min_partitions = 4, .ranges_max = 4}).size() == 4);
    // The proportional split may give more than the minimum: that counts too.
    const std::vector<OffsetRange> halves{{{"a", 0}, 0, 30}, {{"b", 0}, 0, 30}};
    CHECK(refusal(halves, {.min_partitions = 3, .ranges_max = 3}).message.find("4 ranges") !=
          std::string::npos);
}

TEST_CASE("split_ranges refuses options that are not positive") {
    for (const std::int64_t value : {std::int64_t{0}, std::int64_t{-1}, -int64_max - 1}) {
        const std::string shown = std::to_string(value);
        CHECK(refusal(worked_example, {.max_records_per_partition = value}).message ==
              "maxRecordsPerPartition is " + shown + ": it must be positive, or left out");
        CHECK(refusal(worked_example, {.min_partitions = value}).message ==
              "minPartitions is " + shown + ": it must be positive, or left out");
    }
}

TEST_CASE("where there are enough ranges, those longer than `longest` are cut, and nothing else changes") {
    const std::vector<OffsetRange> hot{{{"orders", 0}, 0, 90}, {{"orders", 1}, 0, 5}, {{"orders", 2}, 0, 5}};
    const SplitOptions options{.min_partitions = 2, .longest = 60, .lanes = 2};
    CHECK(sizes(split(hot, options)) == Sizes{45, 45, 5, 5});
    const auto pieces = split_ranges(hot, options);
    REQUIRE(pieces);
    for (const SplitRange& piece : *pieces) CHECK_FALSE(piece.lane);
    const auto uncut = split_ranges(hot, {.min_partitions = 2, .longest = 90, .lanes = 2});
    REQUIRE(uncut);
    CHECK(uncut->size() == 3);
    for (const SplitRange& piece : *uncut) CHECK(piece.lane);
    // Too few without it: rules 2 and 3 alone.
    CHECK(sizes(split({{{"orders", 0}, 0, 100}}, {.min_partitions = 4, .longest = 30})) == Sizes{25, 25, 25, 25});
    // Never an error: what would be too many stays as it is.
    CHECK(sizes(split(hot, {.min_partitions = 2, .longest = 1, .ranges_max = 50})) == Sizes{90, 5, 5});
    CHECK(refusal(hot, {.longest = 0}).message.find("longest is 0") != std::string::npos);
}
