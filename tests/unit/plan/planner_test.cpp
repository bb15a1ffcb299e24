#include "daemon/plan/planner.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <map>
#include <string>
#include <vector>

using namespace sluice;
using namespace sluice::plan;
using namespace std::chrono_literals;

namespace {

constexpr auto int64_max = std::numeric_limits<std::int64_t>::max();

const std::map<TopicPartition, Position> none;

/// The worked example: where four partitions were read to, and what they hold now.
struct World {
    std::map<TopicPartition, Position> positions{{{"orders", 0}, {1000, 3, "o", 1}},
                                                 {{"orders", 1}, {2000, 3, "o", 1}},
                                                 {{"orders", 2}, {5000, 3, "o", 1}},
                                                 {{"payments", 0}, {100, -1, "p", -1}}};
    std::vector<PartitionFacts> facts{{{"orders", 0}, 0, 151000, "o", 7},
                                      {{"orders", 1}, 0, 82000, "o", 7},
                                      {{"orders", 2}, 0, 35000, "o", 7},
                                      {{"payments", 0}, 0, 40100, "p", 7}};
};

PlanOutcome plan_of(const World& world, const PlanOptions& options = {}) {
    auto outcome = plan_batch({.positions = world.positions, .facts = world.facts}, options);
    REQUIRE_MESSAGE(outcome, outcome.error().message);
    return *std::move(outcome);
}

std::vector<OffsetRange> offsets(const PlanOutcome& outcome) {
    std::vector<OffsetRange> answer;
    for (const PlannedRange& planned : outcome.ranges)
        answer.push_back(planned.range);
    return answer;
}

std::uint64_t sum(const PlanOutcome& outcome) {
    std::uint64_t answer = 0;
    for (const PlannedRange& planned : outcome.ranges)
        answer += size_of(planned.range);
    return answer;
}

}  // namespace

TEST_CASE("plan_batch plans everything there is without options") {
    const auto outcome = plan_of({});
    CHECK(offsets(outcome) == std::vector<OffsetRange>{{{"orders", 0}, 1000, 151000},
                                                       {{"orders", 1}, 2000, 82000},
                                                       {{"orders", 2}, 5000, 35000},
                                                       {{"payments", 0}, 100, 40100}});
    CHECK(outcome.backlog == 300'000);
    CHECK(outcome.losses.empty());
    CHECK(outcome.starts.size() == 4);
    CHECK_FALSE(outcome.waiting);
}

TEST_CASE("plan_batch cuts the worked example into 8 ranges, under a limit or not") {
    PlanOptions options;
    options.split = {.max_records_per_partition = 50'000, .min_partitions = 8};
    auto outcome = plan_of({}, options);
    REQUIRE(outcome.ranges.size() == 8);
    CHECK(outcome.ranges[0].range == OffsetRange{{"orders", 0}, 1000, 26000});
    CHECK(outcome.ranges[1].range == OffsetRange{{"orders", 0}, 26000, 51000});

    options.max_offsets = 100'000;
    outcome = plan_of({}, options);
    CHECK(sum(outcome) == 100'000);
    CHECK(outcome.backlog == 300'000);
    CHECK(outcome.ranges.size() >= 8);
}

TEST_CASE("plan_batch names the recorded epoch with the range that follows the position only") {
    PlanOptions options;
    options.split.max_records_per_partition = 80'000;
    const auto outcome = plan_of({}, options);
    REQUIRE(outcome.ranges.size() == 5);
    CHECK(outcome.ranges[0].leader_epoch == 3);
    CHECK(outcome.ranges[1].range.topic_partition == TopicPartition{"orders", 0});
    CHECK(outcome.ranges[1].leader_epoch == -1);
    CHECK(outcome.ranges[2].leader_epoch == 3);
    CHECK(outcome.ranges[4].leader_epoch == -1);  // none was recorded for payments-0
    CHECK(outcome.ranges[1].topic_id == "o");
    CHECK(outcome.ranges[4].topic_id == "p");
}

TEST_CASE("plan_batch steps over losses, reports them, and reads on behind them") {
    World world;
    world.facts[0].earliest = 1500;                // expired
    world.facts[1].latest = 1500;                  // went back
    world.facts[2] = {{"orders", 3}, 0, 10, "o"};  // orders-2 is gone, orders-3 is new
    world.facts[3].topic_id = "q";                 // created anew
    const auto outcome = plan_of(world);
    std::vector<LossKind> kinds;
    for (const Loss& loss : outcome.losses)
        kinds.push_back(loss.kind);
    CHECK(kinds == std::vector{LossKind::expired, LossKind::went_back, LossKind::partition_gone,
                               LossKind::topic_recreated});
    CHECK(offsets(outcome) == std::vector<OffsetRange>{{{"orders", 0}, 1500, 151000},
                                                       {{"orders", 3}, 0, 10},
                                                       {{"payments", 0}, 0, 40100}});
    CHECK(outcome.ranges[2].topic_id == "q");
    CHECK(outcome.ranges[2].leader_epoch == 7);
    CHECK(outcome.backlog == 149'500 + 10 + 40'100);
    REQUIRE(outcome.starts.size() == 4);
    CHECK(outcome.starts[1].position.offset == 1500);
    CHECK(outcome.starts[2].is_new);
}

TEST_CASE("plan_batch reads up to the end bounds, and only the partitions that have one") {
    const World world;
    const std::map<TopicPartition, std::int64_t> bounds{{{"orders", 0}, 2000},
                                                        {{"orders", 1}, 1'000'000},
                                                        {{"orders", 2}, 5000},
                                                        {{"absent", 0}, 9}};
    const auto outcome =
        plan_batch({.positions = world.positions, .facts = world.facts, .end_bounds = &bounds}, {});
    REQUIRE(outcome);
    CHECK(offsets(*outcome) ==
          std::vector<OffsetRange>{{{"orders", 0}, 1000, 2000}, {{"orders", 1}, 2000, 82000}});
    CHECK(outcome->backlog == 81'000);
    CHECK(outcome->starts.size() == 4);

    const std::map<TopicPartition, std::int64_t> passed{{{"orders", 0}, 10}};
    const auto done =
        plan_batch({.positions = world.positions, .facts = world.facts, .end_bounds = &passed}, {});
    REQUIRE(done);
    CHECK(done->ranges.empty());
    CHECK(done->backlog == 0);
}

TEST_CASE("plan_batch waits for the minimum, and says that there is something") {
    const World world;
    PlanOptions options;
    options.min_offsets = 300'001;
    options.max_trigger_delay = 10s;
    PlanInput input{.positions = world.positions, .facts = world.facts, .elapsed = 9s};
    auto outcome = plan_batch(input, options);
    REQUIRE(outcome);
    CHECK(outcome->waiting);
    CHECK(outcome->ranges.empty());
    CHECK(outcome->backlog == 300'000);
    CHECK(outcome->starts.size() == 4);

    input.elapsed = 10s;
    outcome = plan_batch(input, options);
    REQUIRE(outcome);
    CHECK_FALSE(outcome->waiting);
    CHECK(outcome->ranges.size() == 4);

    options.min_offsets = 300'000;
    input.elapsed = 0s;
    CHECK(plan_batch(input, options)->ranges.size() == 4);

    // Before the first trigger `elapsed` is endless.
    options.min_offsets = int64_max;
    CHECK(plan_of(world, options).ranges.size() == 4);
}

TEST_CASE("plan_batch weighs the minimum against what is retained, not against offset 0") {
    // A partition that appears with a long past has 10 offsets, not 1,000,010.
    const std::map<TopicPartition, Position> positions{{{"a", 0}, {.offset = 0}}};
    const std::vector<PartitionFacts> facts{{{"a", 0}, 0, 0}, {{"b", 0}, 1'000'000, 1'000'010}};
    PlanOptions options;
    options.min_offsets = 11;
    const auto outcome =
        plan_batch({.positions = positions, .facts = facts, .elapsed = 1s}, options);
    REQUIRE(outcome);
    CHECK(outcome->waiting);
}

TEST_CASE("plan_batch does not wait for more when there is nothing at all") {
    World world;
    for (PartitionFacts& fact : world.facts) {
        fact.latest = world.positions.at(fact.topic_partition).offset;
    }
    PlanOptions options;
    options.min_offsets = 5;
    const auto outcome =
        plan_batch({.positions = world.positions, .facts = world.facts, .elapsed = 1s}, options);
    REQUIRE(outcome);
    CHECK_FALSE(outcome->waiting);
    CHECK(outcome->ranges.empty());
    CHECK(plan_batch({.positions = none, .facts = {}}, options)->ranges.empty());
}

TEST_CASE("plan_batch names lanes for whole partitions") {
    PlanOptions options;
    options.split.lanes = 4;
    for (const PlannedRange& planned : plan_of({}, options).ranges) {
        CHECK(planned.lane == lane_of(planned.range.topic_partition, 4));
    }
    options.split.min_partitions = 9;
    for (const PlannedRange& planned : plan_of({}, options).ranges)
        CHECK_FALSE(planned.lane);
}

TEST_CASE("plan_batch serves first what waited longest") {
    World world;
    world.positions[{"orders", 1}].last_advanced = 0;
    PlanOptions options;
    options.max_offsets = 1;
    CHECK(offsets(plan_of(world, options)) ==
          std::vector<OffsetRange>{{{"payments", 0}, 100, 101}});
    options.max_offsets = 2;
    CHECK(offsets(plan_of(world, options)) ==
          std::vector<OffsetRange>{{{"orders", 1}, 2000, 2001}, {{"payments", 0}, 100, 101}});
}

TEST_CASE("plan_batch counts a backlog beyond 64 bits as the most there is") {
    const std::vector<PartitionFacts> facts{
        {{"a", 0}, 0, int64_max}, {{"b", 0}, 0, int64_max}, {{"c", 0}, 0, int64_max}};
    PlanOptions options;
    options.max_offsets = int64_max;
    const auto outcome = plan_batch({.positions = none, .facts = facts}, options);
    REQUIRE(outcome);
    CHECK(outcome->backlog == std::numeric_limits<std::uint64_t>::max());
    CHECK(sum(*outcome) == static_cast<std::uint64_t>(int64_max));
}

TEST_CASE("plan_batch passes on what the limit and the split refuse") {
    PlanOptions options;
    options.max_offsets = 0;
    const World world;
    const PlanInput input{.positions = world.positions, .facts = world.facts};
    REQUIRE_FALSE(plan_batch(input, options));
    CHECK(plan_batch(input, options).error().code == ErrorCode::invalid_argument);
    options.max_offsets.reset();
    options.split = {.max_records_per_partition = 1, .ranges_max = 1000};
    REQUIRE_FALSE(plan_batch(input, options));
    CHECK(plan_batch(input, options).error().message.find("300000 ranges") != std::string::npos);
}
