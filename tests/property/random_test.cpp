// Plans too large to try them all: offsets near 2^62, and 100,000 partitions.

#include <doctest/doctest.h>

#include <ctime>

#include "daemon/plan/planner.hpp"
#include "tests/property/invariants.hpp"

using namespace sluice::plan;
using namespace sluice::plan::property;

namespace {

constexpr std::int64_t offset_max = INT64_MAX;

class Dice {
 public:
    explicit Dice(std::uint64_t seed) : engine_(seed) {}
    std::int64_t between(std::int64_t least, std::int64_t most) {
        return std::uniform_int_distribution<std::int64_t>(least, most)(engine_);
    }
    bool one_in(std::int64_t n) { return between(1, n) == 1; }
    /// Small, middling and huge numbers alike: a uniform one is nearly always huge.
    std::int64_t any_size(std::int64_t most) { return between(0, most >> between(0, 62)); }
    template <class T>
    void shuffle(std::vector<T>& values) {
        std::shuffle(values.begin(), values.end(), engine_);
    }

 private:
    std::mt19937_64 engine_;
};

OffsetRange any_range(Dice& dice, TopicPartition partition) {
    const std::int64_t bases[] = {0, std::int64_t{1} << 62, (std::int64_t{1} << 62) - 3,
                                  std::int64_t{1} << 53, dice.any_size(offset_max)};
    const std::int64_t from = bases[dice.between(0, 4)];
    if (dice.one_in(10)) return {std::move(partition), from, dice.between(0, from)};
    const std::int64_t until =
        dice.one_in(20) ? offset_max : from + dice.any_size(offset_max - from);
    return {std::move(partition), from, until};
}

std::vector<OffsetRange> any_ranges(Dice& dice, std::int64_t most) {
    const char* topics[] = {"a.b_c-d", "orders", "payments"};
    std::vector<OffsetRange> ranges;
    for (const char* topic : topics) {
        const std::int64_t count = dice.between(0, most);
        for (std::int32_t p = 0; p < count; ++p)
            ranges.push_back(any_range(dice, {topic, p}));
    }
    return ranges;
}

/// Of this process: other work on the machine does not count, unlike in wall time.
double cpu_ms() {
    return 1000.0 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

}  // namespace

TEST_CASE("large backlogs are limited exactly, in whatever order they are listed") {
    const std::uint64_t seed = seed_of("limit_offsets");
    Dice dice(seed);
    for (int round = 0; round < 4000; ++round) {
        std::vector<Backlog> available;
        for (OffsetRange& range : any_ranges(dice, 12)) {
            available.push_back({std::move(range), dice.between(-1, 5)});
        }
        const std::int64_t limit = 1 + dice.any_size(offset_max - 1);
        const auto limited = limit_offsets(limit, available);
        REQUIRE(limited);
        const std::string broken = broken_limit(limit, available, *limited);
        if (!broken.empty()) FAIL(broken, ", limit ", limit, ", round ", round);

        auto shuffled = available;
        dice.shuffle(shuffled);
        const auto again = limit_offsets(limit, shuffled);
        REQUIRE(again);
        std::map<TopicPartition, std::int64_t> ends;
        for (const OffsetRange& range : *limited)
            ends[range.topic_partition] = range.until;
        for (const OffsetRange& range : *again) {
            if (ends.at(range.topic_partition) != range.until) {
                FAIL("the order of the input decides: ", shown(range), ", round ", round);
            }
        }
    }
}

TEST_CASE("large plans are split without a gap or an overlap") {
    const std::uint64_t seed = seed_of("split_ranges");
    Dice dice(seed);
    std::size_t refused = 0;
    for (int round = 0; round < 4000; ++round) {
        std::vector<OffsetRange> ranges = any_ranges(dice, 4);
        if (dice.one_in(4)) dice.shuffle(ranges);
        SplitOptions options{.ranges_max = 2000};
        // A maximum that gives a few hundred pieces at most, now and then any at all.
        const std::int64_t largest =
            static_cast<std::int64_t>(std::min<Wide>(sum_of(ranges), offset_max));
        if (dice.one_in(2)) {
            const std::int64_t max =
                dice.one_in(8) ? dice.any_size(offset_max) : largest / dice.between(1, 300);
            options.max_records_per_partition = std::max<std::int64_t>(max, 1);
        }
        if (dice.one_in(2)) {
            options.min_partitions =
                dice.one_in(20) ? 1 + dice.any_size(offset_max - 1) : dice.between(1, 500);
        }
        const auto pieces = split_ranges(ranges, options);
        if (!pieces) {
            ++refused;  // only for being too many
            CHECK(pieces.error().message.find("and at most 2000 are allowed") != std::string::npos);
            continue;
        }
        const std::string broken = broken_split(ranges, options, *pieces);
        if (!broken.empty()) FAIL(broken, ", round ", round);
        CHECK(*split_ranges(ranges, options) == *pieces);
    }
    CHECK(refused < 2000);
}

TEST_CASE("100,000 partitions are planned exactly, and the same again") {
    const std::uint64_t seed = seed_of("plan_batch");
    Dice dice(seed);
    constexpr std::int32_t partitions_per_topic = 100;
    constexpr std::size_t topics = 1000;
    std::map<TopicPartition, Position> positions;
    std::vector<PartitionFacts> facts;
    for (std::size_t t = 0; t < topics; ++t) {
        std::string number = std::to_string(t);
        number.insert(0, 4 - number.size(), '0');
        // As long as names are in practice: too long to be kept without an allocation.
        const std::string topic = "warehouse.orders." + number;
        const std::string id = "q3GFvLXuQ2qPm3FdL9" + number;
        for (std::int32_t p = 0; p < partitions_per_topic; ++p) {
            const std::int64_t at = dice.any_size(std::int64_t{1} << 62);
            positions[{topic, p}] = {at, 3, id, dice.between(-1, 1000)};
            facts.push_back({{topic, p}, 0, at + dice.between(0, 100'000), id, 3});
        }
    }
    struct Case {
        const char* name;
        PlanOptions options;
    };
    const std::vector<Case> cases{
        {"no limit, 16 lanes", {.split = {.lanes = 16}}},
        {"limit 1,000,000", {.max_offsets = 1'000'000}},
        {"limit 50,000 (below one each)", {.max_offsets = 50'000}},
        {"limit 1,000,000 and 120,000 ranges",
         {.max_offsets = 1'000'000, .split = {.min_partitions = 120'000}}},
        {"pieces of 20,000", {.split = {.max_records_per_partition = 20'000}}}};
    for (const auto& [name, options] : cases) {
        const PlanInput input{.positions = positions, .facts = facts};
        const double start = cpu_ms();
        auto outcome = plan_batch(input, options);
        const double ms = cpu_ms() - start;
        REQUIRE(outcome);
        std::cout << "plan_batch of 100,000 partitions, " << name << ": " << ms << " ms of CPU, "
                  << outcome->ranges.size() << " ranges\n";

        CHECK(plan_batch(input, options)->ranges == outcome->ranges);
        Wide sum = 0;
        std::vector<OffsetRange> whole;
        std::vector<SplitRange> pieces;
        for (PlannedRange& planned : outcome->ranges) {
            const OffsetRange& range = planned.range;
            sum += size_of(range);
            if (whole.empty() || whole.back().topic_partition != range.topic_partition) {
                whole.push_back({range.topic_partition, range.from, range.from});
            }
            whole.back().until = range.until;
            pieces.push_back({std::move(planned.range), planned.lane});
        }
        CHECK(sum == std::min<Wide>(options.max_offsets.value_or(offset_max), outcome->backlog));
        CHECK(broken_split(whole, options.split, pieces) == "");
        CHECK(outcome->losses.empty());
        CHECK(outcome->starts.size() == facts.size());
    }
}
