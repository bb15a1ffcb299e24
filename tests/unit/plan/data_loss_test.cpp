#include "daemon/plan/data_loss.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <map>
#include <string>
#include <vector>

using namespace sluice::plan;

namespace {

const TopicPartition orders_3{"orders", 3};

using Positions = std::map<TopicPartition, Position>;

/// `earliest` to `latest` of any partition. (A function, because GCC 12 takes a list of braced
/// facts for uninitialized.)
PartitionFacts fact(const char* topic, std::int32_t partition, std::int64_t earliest,
                    std::int64_t latest, const char* topic_id = "") {
    PartitionFacts facts;
    facts.topic_partition = {topic, partition};
    facts.earliest = earliest;
    facts.latest = latest;
    facts.topic_id = topic_id;
    facts.leader_epoch = 6;
    return facts;
}

/// orders-3 at `offset`, read under leader epoch 4 from the topic with the id "old".
Positions at(std::int64_t offset) {
    return {
        {orders_3, {.offset = offset, .leader_epoch = 4, .topic_id = "old", .last_advanced = 9}}};
}

PartitionFacts facts(std::int64_t earliest, std::int64_t latest, const char* topic_id = "old") {
    return fact("orders", 3, earliest, latest, topic_id);
}

/// The one loss and the one start of orders-3.
struct Decision {
    Loss loss;
    StartAt start;
};
Decision the_loss(const Positions& positions, const PartitionFacts& now) {
    const auto decision = decide_losses(positions, std::vector{now});
    REQUIRE(decision.losses.size() == 1);
    REQUIRE(decision.starts.size() == 1);
    return {decision.losses[0], decision.starts[0]};
}

}  // namespace

TEST_CASE("decide_losses goes on at a position that is still there") {
    for (const std::int64_t offset : {100, 150, 200}) {  // both ends of what there is included
        const auto decision = decide_losses(at(offset), std::vector{facts(100, 200)});
        CHECK(decision.losses.empty());
        REQUIRE(decision.starts.size() == 1);
        // The epoch stays the recorded one: that of the record before the position.
        CHECK(decision.starts[0] == StartAt{orders_3, {offset, 4, "old", 9}, false});
    }
}

TEST_CASE("decide_losses counts what expired and goes on at the earliest offset") {
    const auto [loss, start] = the_loss(at(812), facts(900, 1000));
    CHECK(loss == Loss{orders_3, LossKind::expired, "old", 812, 900, 900});
    CHECK(start == StartAt{orders_3, {900, 6, "old", 9}, false});
    CHECK(records_lost(loss) == 88);
    CHECK(describe(loss) ==
          "orders-3: offsets [812, 900) are gone, 88 records: position 812 is below the earliest "
          "offset 900 (retention, or records were deleted)");
}

TEST_CASE("decide_losses finds everything expired when nothing is left") {
    const auto [loss, start] = the_loss(at(812), facts(1000, 1000));
    CHECK(loss == Loss{orders_3, LossKind::expired, "old", 812, 1000, 1000});
    CHECK(start.position.offset == 1000);
}

TEST_CASE("decide_losses goes on at the end of a log that went back") {
    const auto [loss, start] = the_loss(at(812), facts(0, 700));
    CHECK(loss == Loss{orders_3, LossKind::went_back, "old", 812, 812, 700});
    CHECK(start == StartAt{orders_3, {700, 6, "old", 9}, false});
    CHECK(records_lost(loss) == 0);
    CHECK(describe(loss).find("the end offset 700 is below position 812") != std::string::npos);
}

TEST_CASE("decide_losses restarts a topic that was created anew, whatever its end") {
    for (const std::int64_t latest : {5, 812, 100'000}) {
        const auto [loss, start] = the_loss(at(812), facts(2, latest, "new"));
        CHECK(loss == Loss{orders_3, LossKind::topic_recreated, "old", 812, 812, 2});
        CHECK(start == StartAt{orders_3, {2, 6, "new", 9}, false});
        CHECK(records_lost(loss) == 0);
        CHECK(describe(loss).find("created anew (its id was old)") != std::string::npos);
    }
}

TEST_CASE("decide_losses never takes an unknown topic id for a change, nor forgets a known one") {
    const auto unknown_now = decide_losses(at(150), std::vector{facts(100, 200, "")});
    CHECK(unknown_now.losses.empty());
    CHECK(unknown_now.starts[0].position.topic_id == "old");

    Positions unknown_then = at(150);
    unknown_then.begin()->second.topic_id.clear();
    const auto known_now = decide_losses(unknown_then, std::vector{facts(100, 200, "new")});
    CHECK(known_now.losses.empty());
    CHECK(known_now.starts[0].position.topic_id == "new");

    CHECK(the_loss(at(50), facts(100, 200, "")).loss.kind == LossKind::expired);
    CHECK(the_loss(at(250), facts(100, 200, "")).loss.kind == LossKind::went_back);
}

TEST_CASE("decide_losses has no start for what is gone") {
    const auto topic = decide_losses(at(812), {});
    CHECK(topic.starts.empty());
    CHECK(topic.losses == std::vector{Loss{orders_3, LossKind::topic_gone, "old", 812, 812, -1}});
    CHECK(describe(topic.losses[0]).find("topic orders does not exist any more") !=
          std::string::npos);

    Positions positions = at(812);
    positions[{"orders", 2}] = {.offset = 5, .topic_id = "old"};
    const std::vector others{fact("aaa", 0, 0, 9), fact("orders", 2, 0, 9, "old"),
                             fact("orders-3", 0, 0, 9)};
    const auto partition = decide_losses(positions, others);
    CHECK(partition.starts.size() == 3);
    CHECK(partition.losses ==
          std::vector{Loss{orders_3, LossKind::partition_gone, "old", 812, 812, -1}});
    CHECK(describe(partition.losses[0]).find("although topic orders does") != std::string::npos);
}

TEST_CASE("decide_losses starts new partitions at earliest") {
    PartitionFacts late = fact("orders", 4, 40, 90, "old");
    const StartAt start{{"orders", 4}, {40, 6, "old", -1}, true};

    // At the first start of a pipeline nothing was promised yet.
    const auto first = decide_losses({}, std::vector{late});
    CHECK(first.losses.empty());
    CHECK(first.starts == std::vector{start});

    // Neither for a topic that was subscribed to only now.
    const std::vector now{fact("aaa", 0, 0, 0), late, fact("orders-4", 0, 0, 0)};
    const auto other_topic = decide_losses({{{"aaa", 0}, {}}, {{"orders-4", 0}, {}}}, now);
    CHECK(other_topic.losses.empty());
    CHECK(other_topic.starts[1] == start);

    // A topic that is being read grew by a partition, whose first records expired since.
    const auto grown = decide_losses(at(5), std::vector{facts(0, 9), late});
    REQUIRE(grown.losses.size() == 1);
    Loss loss;
    loss.topic_partition = late.topic_partition;
    loss.kind = LossKind::new_starts_late;
    loss.topic_id = "old";
    loss.until = 40;
    loss.adjusted_start = 40;
    CHECK(grown.losses[0] == loss);
    CHECK(grown.starts[1] == start);
    CHECK(describe(grown.losses[0])
              .find("offsets [0, 40) are gone, 40 records: the partition is "
                    "new") != std::string::npos);

    late.earliest = 0;
    CHECK(decide_losses(at(5), std::vector{facts(0, 9), late}).losses.empty());
}

TEST_CASE("decide_losses answers sorted by topic and partition") {
    const Positions positions{{{"a", 0}, {.offset = 5}},
                              {{"b", 0}, {.offset = 5}},
                              {{"b", 1}, {.offset = 5}},
                              {{"d", 0}, {.offset = 5}}};
    const std::vector now{fact("b", 0, 7, 9), fact("b", 2, 1, 9), fact("c", 0, 0, 9)};
    const auto decision = decide_losses(positions, now);
    std::vector<std::string> lost;
    for (const Loss& loss : decision.losses) {
        lost.push_back(to_string(loss.topic_partition) + ' ' + std::string(name_of(loss.kind)));
    }
    CHECK(lost == std::vector<std::string>{"a-0 topic_gone", "b-0 expired", "b-1 partition_gone",
                                           "b-2 new_starts_late", "d-0 topic_gone"});
    REQUIRE(decision.starts.size() == 3);
    CHECK(decision.starts[1].topic_partition == TopicPartition{"b", 2});
}

TEST_CASE("decide_losses goes on where a log was truncated, however far it has grown since") {
    for (const std::int64_t end : {650, 812, 5000}) {  // below the position, at it, beyond it
        CAPTURE(end);
        PartitionFacts now = facts(100, end);
        now.truncated_at = 640;
        const auto [loss, start] = the_loss(at(812), now);
        CHECK(loss == Loss{orders_3, LossKind::truncated, "old", 812, 812, 640});
        CHECK(start.position.offset == 640);
        // Not the epoch of the record that is gone: it would look like one more truncation.
        CHECK(start.position.leader_epoch == 6);
    }
    PartitionFacts now = facts(700, 5000);
    now.truncated_at = 640;
    CHECK(the_loss(at(812), now).start.position.offset == 700);
}

TEST_CASE("decide_losses takes a log that was cut above the position for the same") {
    for (const std::int64_t cut : {812, 900}) {
        PartitionFacts now = facts(100, 5000);
        now.truncated_at = cut;
        CHECK(decide_losses(at(812), std::vector{now}).losses.empty());
    }
}

TEST_CASE("decide_losses says of a truncated log what was expired or another topic's first") {
    PartitionFacts now = facts(900, 5000);
    now.truncated_at = 640;
    CHECK(the_loss(at(812), now).loss.kind == LossKind::expired);
    now = facts(0, 5000, "new");
    now.truncated_at = 0;
    CHECK(the_loss(at(812), now).loss.kind == LossKind::topic_recreated);
}

TEST_CASE("the epoch of an end is known by the record before it, or when no later epoch had begun") {
    CHECK(epoch_before(100, 99, 5, 6) == 5);    // the record is the one before the end
    CHECK(epoch_before(101, 99, 5, 5) == 5);    // a marker at 100, under the same leader
    CHECK(epoch_before(101, 99, 5, 6) == -1);   // a marker at 100, by whichever leader
    CHECK(epoch_before(101, 99, 5, -1) == -1);  // the same, asked by a later process
    CHECK(epoch_before(101, -1, 5, 5) == 5);    // no record at all since the position of epoch 5
    CHECK(epoch_before(101, -1, -1, 5) == -1);
}

TEST_CASE("every kind of loss has a name that is read back") {
    for (const LossKind kind :
         {LossKind::expired, LossKind::went_back, LossKind::truncated, LossKind::partition_gone,
          LossKind::topic_gone, LossKind::topic_recreated, LossKind::new_starts_late}) {
        LossKind read = kind == LossKind::expired ? LossKind::went_back : LossKind::expired;
        CHECK(parse_loss_kind(name_of(kind), read));
        CHECK(read == kind);
    }
    LossKind kind = LossKind::went_back;
    CHECK_FALSE(parse_loss_kind("lost", kind));
    CHECK_FALSE(parse_loss_kind("", kind));
    CHECK(kind == LossKind::went_back);
}

TEST_CASE("records_lost and size_of count the largest ranges") {
    constexpr auto least = std::numeric_limits<std::int64_t>::min();
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    CHECK(records_lost({.from = 0, .until = most}) == 0x7FFF'FFFF'FFFF'FFFF);
    CHECK(records_lost({.from = 9, .until = 3}) == 0);
    CHECK(size_of({{"t", 0}, least, most}) == 0xFFFF'FFFF'FFFF'FFFF);
    CHECK(size_of({{"t", 0}, most, least}) == 0);
    CHECK(size_of({{"t", 0}, 5, 5}) == 0);
    CHECK(describe({.topic_partition = orders_3, .from = 7, .until = 8, .adjusted_start = 8})
              .find("are gone, 1 record:") != std::string::npos);
}
