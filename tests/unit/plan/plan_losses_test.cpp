#include "daemon/plan/plan_losses.hpp"

#include <doctest/doctest.h>

using namespace sluice::plan;

namespace {

const TopicPartition orders_0{"orders", 0};
const TopicPartition orders_1{"orders", 1};

PlannedRange range(const TopicPartition& partition, std::int64_t from, std::int64_t until) {
    PlannedRange planned;
    planned.range = {partition, from, until};
    planned.leader_epoch = 4;
    planned.topic_id = "id";
    return planned;
}

PartitionFacts fact(const TopicPartition& partition, std::int64_t earliest, std::int64_t latest,
                    const std::string& id = "id") {
    PartitionFacts facts;
    facts.topic_partition = partition;
    facts.earliest = earliest;
    facts.latest = latest;
    facts.topic_id = id;
    facts.leader_epoch = 6;
    return facts;
}

/// orders-0 in two ranges, orders-1 in one.
const std::vector<PlannedRange> planned{range(orders_0, 100, 150), range(orders_0, 150, 200),
                                        range(orders_1, 0, 50)};

PlanLosses with(const std::vector<PartitionFacts>& facts) {
    return decide_plan_losses(planned, facts);
}

}  // namespace

TEST_CASE("a plan that can be read as written has no losses") {
    const PlanLosses answer = with({fact(orders_0, 100, 200), fact(orders_1, 0, 900)});
    CHECK(answer.losses.empty());
    CHECK(answer.can_be_run);
    CHECK(answer.read_from.empty());
    CHECK(answer.next.empty());
}

TEST_CASE("a head that expired is one loss, however many ranges it touches, and the plan stays") {
    const PlanLosses answer = with({fact(orders_0, 170, 300), fact(orders_1, 0, 50)});
    REQUIRE(answer.losses.size() == 1);
    CHECK(answer.losses[0] == Loss{orders_0, LossKind::expired, "id", 100, 170, 170});
    CHECK(answer.can_be_run);
    CHECK(answer.read_from == std::map<std::size_t, std::int64_t>{{0, 150}, {1, 170}});
}

TEST_CASE("what expired beyond the end of a plan belongs to the same loss") {
    const PlanLosses answer = with({fact(orders_0, 250, 300), fact(orders_1, 0, 50)});
    REQUIRE(answer.losses.size() == 1);
    CHECK(answer.losses[0] == Loss{orders_0, LossKind::expired, "id", 100, 250, 250});
    CHECK(answer.can_be_run);
    CHECK(answer.read_from == std::map<std::size_t, std::int64_t>{{0, 150}, {1, 200}});
    CHECK(answer.next.at(orders_0).offset == 250);
}

TEST_CASE("a plan of a topic that was created anew is not run, and what it promised is counted") {
    for (const std::int64_t end : {5, 5000}) {
        CAPTURE(end);
        const PlanLosses answer = with({fact(orders_0, 0, end, "new"), fact(orders_1, 0, 50, "new")});
        CHECK_FALSE(answer.can_be_run);
        REQUIRE(answer.losses.size() == 2);
        CHECK(answer.losses[0] == Loss{orders_0, LossKind::topic_recreated, "id", 100, 200, 0});
        CHECK(records_lost(answer.losses[1]) == 50);
        CHECK(answer.next.at(orders_0).offset == 0);
        CHECK(answer.next.at(orders_0).topic_id == "new");
    }
}

TEST_CASE("a plan of a partition that is gone is not run; its topic is gone only with all of it") {
    const PlanLosses one = with({fact(orders_0, 100, 200)});
    CHECK_FALSE(one.can_be_run);
    REQUIRE(one.losses.size() == 1);
    CHECK(one.losses[0] == Loss{orders_1, LossKind::partition_gone, "id", 0, 50, -1});
    CHECK(one.next.empty());
    const PlanLosses both = with({});
    REQUIRE(both.losses.size() == 2);
    CHECK(both.losses[0].kind == LossKind::topic_gone);
    CHECK(records_lost(both.losses[0]) == 100);
}

TEST_CASE("an end inside a plan loses what lies behind it, and keeps the position before it") {
    const PlanLosses answer = with({fact(orders_0, 0, 160), fact(orders_1, 0, 50)});
    CHECK_FALSE(answer.can_be_run);
    REQUIRE(answer.losses.size() == 1);
    CHECK(answer.losses[0] == Loss{orders_0, LossKind::went_back, "id", 160, 200, 160});
    CHECK(answer.next.empty());
}

TEST_CASE("an end below a plan loses all of it") {
    const PlanLosses answer = with({fact(orders_0, 0, 60), fact(orders_1, 0, 50)});
    CHECK_FALSE(answer.can_be_run);
    REQUIRE(answer.losses.size() == 1);
    CHECK(answer.losses[0] == Loss{orders_0, LossKind::went_back, "id", 100, 200, 60});
    CHECK(answer.next.at(orders_0).offset == 60);
}

TEST_CASE("a plan that lost its head and its tail names both") {
    const PlanLosses answer = with({fact(orders_0, 120, 160), fact(orders_1, 0, 50)});
    CHECK_FALSE(answer.can_be_run);
    REQUIRE(answer.losses.size() == 2);
    CHECK(answer.losses[0] == Loss{orders_0, LossKind::expired, "id", 100, 120, 120});
    CHECK(answer.losses[1] == Loss{orders_0, LossKind::went_back, "id", 160, 200, 160});
    CHECK(answer.next.at(orders_0).offset == 120);
}

TEST_CASE("a topic changed when its id did or when it is gone, never when an id is unknown") {
    CHECK(changed_topics(planned, {{"orders", "id"}}).empty());
    CHECK(changed_topics(planned, {{"orders", ""}}).empty());
    CHECK(changed_topics(planned, {{"orders", "new"}}) == std::vector<std::string>{"orders"});
    CHECK(changed_topics(planned, {}) == std::vector<std::string>{"orders"});
    auto unknown = planned;
    for (PlannedRange& each : unknown) each.topic_id.clear();
    CHECK(changed_topics(unknown, {}).empty());
}

TEST_CASE("the text of a loss with a known extent names it and its count") {
    for (const Loss& loss : {Loss{orders_0, LossKind::topic_recreated, "id", 100, 200, 0},
                             Loss{orders_0, LossKind::topic_gone, "id", 100, 200, -1},
                             Loss{orders_0, LossKind::partition_gone, "id", 100, 200, -1},
                             Loss{orders_0, LossKind::went_back, "id", 100, 200, 60}}) {
        CAPTURE(name_of(loss.kind));
        CHECK(describe(loss).find("offsets [100, 200) are gone, 100 records") != std::string::npos);
    }
}

TEST_CASE("a plan of a log that was truncated below it is not to be run") {
    PartitionFacts cut = fact(orders_0, 0, 180);  // shorter than planned: the plan is of the old log
    cut.truncated_at = 60;
    PlanLosses answer = with({cut, fact(orders_1, 0, 50)});
    REQUIRE(answer.losses.size() == 1);
    CHECK(answer.losses[0] == Loss{orders_0, LossKind::truncated, "id", 100, 200, 60});
    CHECK_FALSE(answer.can_be_run);
    CHECK(answer.next.at(orders_0).offset == 60);

    cut.latest = 200;  // the plan may be of the new log: nothing of it is known to be lost
    answer = with({cut, fact(orders_1, 0, 50)});
    REQUIRE(answer.losses.size() == 1);
    CHECK(answer.losses[0] == Loss{orders_0, LossKind::truncated, "id", 100, 100, 60});
    CHECK_FALSE(answer.can_be_run);
}

TEST_CASE("starts_of is where each partition of a plan begins, with what was recorded there") {
    const auto starts = starts_of(planned);
    REQUIRE(starts.size() == 2);
    CHECK(starts.at(orders_0) == Position{100, 4, "id", -1});
    CHECK(starts.at(orders_1) == Position{0, 4, "id", -1});
}
