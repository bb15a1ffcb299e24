#include "daemon/operations/losses.hpp"

#include "daemon/operations/preview.hpp"
#include "tests/unit/operations/support.hpp"

namespace sluice::operations {
using namespace test;
namespace {

/// As the pipeline leaves it with failOnDataLoss: true.
void note_loss(Fixture& fixture, const plan::Loss& loss) {
    REQUIRE(fixture.store->put_losses("orders", {{loss, {}, fixture.clock.now, false}}));
}
const plan::Loss expired{{"orders", 0}, plan::LossKind::expired, "id-o", 812, 1000, 1000};

json::object accepted(Fixture& fixture, bool execute) {
    auto answer = accept_losses(fixture.context(), "orders", execute);
    REQUIRE_MESSAGE(answer, text_of(answer));
    return *std::move(answer);
}

}  // namespace

TEST_CASE("accepting moves only the lossy partition, and marks the ledger") {
    Fixture fixture;
    fixture.start_with({{{"orders", 0}, 812}, {{"orders", 1}, 3000}});
    const auto batch = fixture.put_plan({{{"orders", 0}, 812, 2000}, {{"orders", 1}, 3000, 4000}});
    note_loss(fixture, expired);
    const auto before = list_losses(fixture.context(), "orders");
    REQUIRE(before);
    CHECK(before->at("unaccepted") == 1);
    CHECK(before->at("losses").at(0).at("records_lost") == 188);

    const auto dry = accepted(fixture, false);
    CHECK(dry.at("executed") == false);
    CHECK(dry.at("changes") == parsed(R"([{"topic":"orders","partition":0,"before":812,"after":1000}])"));
    CHECK(dry.at("abandons") == batch);
    CHECK(dry.at("records_lost") == 188);
    CHECK(fixture.position({"orders", 0}) == 812);

    CHECK(accepted(fixture, true).at("executed") == true);
    CHECK(fixture.position({"orders", 0}) == 1000);
    CHECK(fixture.position({"orders", 1}) == 3000);
    CHECK_FALSE(fixture.store->load("orders")->unfinished);
    const auto after = list_losses(fixture.context(), "orders");
    REQUIRE(after);
    CHECK(after->at("unaccepted") == 0);
    CHECK(after->at("losses").as_array().size() == 1);

    const auto next = preview_trigger(fixture.context(), "orders", nullptr);
    REQUIRE(next);
    CHECK(next->at("decision") == "run");
}

TEST_CASE("what expired since the pipeline stopped is accepted with the rest, and counted once") {
    Fixture fixture;
    fixture.start_with({{{"orders", 0}, 812}});
    note_loss(fixture, expired);
    fixture.cluster.facts[0].earliest = 1100;
    const auto answer = accepted(fixture, true);
    CHECK(answer.at("losses").as_array().size() == 2);
    CHECK(answer.at("records_lost") == 288);
    CHECK(fixture.position({"orders", 0}) == 1100);
    const auto ledger = fixture.store->losses("orders");
    REQUIRE(ledger);
    CHECK(ledger->size() == 2);
    for (const auto& entry : *ledger) CHECK(entry.accepted);
}

TEST_CASE("the position of a topic that left the subscription is kept, and is no loss") {
    Fixture fixture;
    fixture.start_with({{{"orders", 0}, 812}, {{"payments", 0}, 300}});
    fixture.cluster.facts.pop_back();  // payments: nobody asks for it any more
    fixture.cluster.unsubscribed = {"payments"};
    const auto answer = accepted(fixture, true);
    CHECK(answer.at("losses").as_array().size() == 1);
    CHECK(fixture.position({"orders", 0}) == 1000);
    CHECK(fixture.position({"payments", 0}) == 300);
}

TEST_CASE("the position of a partition that is gone is forgotten") {
    Fixture fixture;
    fixture.start_with({{{"orders", 0}, 1000}, {{"orders", 7}, 50}});
    note_loss(fixture, {{"orders", 7}, plan::LossKind::partition_gone, "id-o", 50, 50, -1});
    const auto answer = accepted(fixture, true);
    CHECK(answer.at("changes") == parsed(R"([{"topic":"orders","partition":7,"before":50,"after":null}])"));
    CHECK(fixture.position({"orders", 7}) == -1);
    CHECK(fixture.position({"orders", 0}) == 1000);
}

TEST_CASE("a topic that was created anew is read from its beginning") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 120'000}});
    fixture.cluster.facts = {{{"orders", 0}, 0, 5, "id-new", 0}};
    note_loss(fixture, {{"orders", 0}, plan::LossKind::topic_recreated, "id-o", 120'000, 120'000, 0});
    accepted(fixture, true);
    CHECK(fixture.position({"orders", 0}) == 0);
    CHECK(fixture.store->load("orders")->positions.at({"orders", 0}).topic_id == "id-new");
}

TEST_CASE("a log that was truncated and has grown past the position is read on from where it was cut") {
    Fixture fixture;
    fixture.start_with({{{"orders", 0}, 120'000}});
    fixture.cluster.truncated_at[{"orders", 0}] = 90'000;
    note_loss(fixture, {{"orders", 0}, plan::LossKind::truncated, "id-o", 120'000, 120'000, 90'000});
    const auto answer = accepted(fixture, true);
    CHECK(answer.at("losses").as_array().size() == 1);
    CHECK(answer.at("records_lost") == 0);
    CHECK(fixture.position({"orders", 0}) == 90'000);
    CHECK(list_losses(fixture.context(), "orders")->at("unaccepted") == 0);
}

TEST_CASE("a plan whose tail is gone is abandoned, and the position that can be read stays") {
    Fixture fixture;
    fixture.start_with({{{"orders", 0}, 1000}});
    fixture.put_plan({{{"orders", 0}, 1000, 151'000}});
    fixture.cluster.facts[0].latest = 90'000;
    note_loss(fixture, {{"orders", 0}, plan::LossKind::went_back, "id-o", 1000, 151'000, 151'000});
    const auto answer = accepted(fixture, true);
    CHECK(answer.at("abandons") == 0);
    CHECK(answer.at("changes").as_array().empty());
    CHECK(fixture.position({"orders", 0}) == 1000);
    CHECK_FALSE(fixture.store->load("orders")->unfinished);
    CHECK(list_losses(fixture.context(), "orders")->at("unaccepted") == 0);
}

TEST_CASE("a loss that a plan knew the extent of is not recorded a second time without it") {
    Fixture fixture;
    fixture.start_with({{{"orders", 0}, 1000}});
    fixture.put_plan({{{"orders", 0}, 1000, 151'000}});
    for (auto& fact : fixture.cluster.facts) {
        if (fact.topic_partition == plan::TopicPartition{"orders", 0}) fact.topic_id = "id-new";
    }
    note_loss(fixture, {{"orders", 0}, plan::LossKind::topic_recreated, "id-o", 1000, 151'000, 1000});
    const auto answer = accepted(fixture, true);
    CHECK(answer.at("losses").as_array().size() == 1);
    CHECK(answer.at("records_lost") == 150'000);
    CHECK(fixture.store->losses("orders")->size() == 1);
    CHECK(fixture.store->load("orders")->positions.at({"orders", 0}).topic_id == "id-new");
}

TEST_CASE("a topic that was created anew is a loss of its own, whatever had expired of the old one") {
    Fixture fixture;
    fixture.start_with({{{"orders", 0}, 812}});
    note_loss(fixture, expired);
    for (auto& fact : fixture.cluster.facts) {
        if (fact.topic_partition == plan::TopicPartition{"orders", 0}) fact.topic_id = "id-new";
    }
    accepted(fixture, true);
    const auto ledger = fixture.store->losses("orders");
    REQUIRE(ledger);
    REQUIRE(ledger->size() == 2);
    CHECK(std::any_of(ledger->begin(), ledger->end(), [](const auto& entry) {
        return entry.accepted && entry.loss.kind == plan::LossKind::topic_recreated;
    }));
}

TEST_CASE("partitions without a position keep their place when the plan that began them is abandoned") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 812}});
    fixture.put_plan({{{"orders", 0}, 812, 2000}, {{"orders", 1}, 3000, 4000}});
    note_loss(fixture, expired);
    CHECK(accepted(fixture, true).at("abandons") == 0);
    CHECK(fixture.position({"orders", 0}) == 1000);
    CHECK(fixture.position({"orders", 1}) == 3000);
}

TEST_CASE("with nothing lost there is nothing to accept") {
    Fixture fixture;
    fixture.start_with({{{"orders", 0}, 1000}});
    const auto answer = accepted(fixture, true);
    CHECK(answer.at("executed") == false);
    CHECK(answer.at("losses").as_array().empty());
    const auto audit = fixture.store->audit("orders");
    REQUIRE(audit);
    CHECK(audit->empty());
}

}  // namespace sluice::operations
