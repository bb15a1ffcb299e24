#include "daemon/operations/status.hpp"

#include "daemon/operations/notation.hpp"
#include "daemon/operations/run_state.hpp"
#include "tests/unit/operations/support.hpp"

namespace sluice::operations {
using namespace test;

TEST_CASE("without a daemon the status is what is checkpointed") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 1000}});
    fixture.commit(fixture.put_plan({{{"orders", 0}, 1000, 1500}}));
    fixture.put_plan({{{"orders", 0}, 1500, 1600}});
    const auto answer = status(fixture.context(), std::nullopt, false);
    REQUIRE(answer);
    CHECK(answer->at("daemon") == "not running");
    CHECK(answer->at("orphans").is_null());
    const json::value& orders = answer->at("pipelines").at(0);
    CHECK(orders.at("state") == "DOWN");
    CHECK(orders.at("last_committed") == 0);
    CHECK(orders.at("batch") == parsed(R"({"id":1,"offsets":100,"polled":null})"));
    CHECK(orders.at("backlog").is_null());
    CHECK(orders.at("partitions") ==
          parsed(R"([{"topic":"orders","partition":0,"position":1500,"latest":null}])"));
}

TEST_CASE("what two entries of the ledger name is lost once") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 1000}});
    const auto lost = [](std::int64_t from, std::int64_t until) {
        checkpoints::LossEntry entry;
        entry.loss.topic_partition = {"orders", 0};
        entry.loss.topic_id = "id-1";
        entry.loss.from = from;
        entry.loss.until = until;
        entry.loss.adjusted_start = until;
        return entry;
    };
    REQUIRE(fixture.store->put_losses("orders", {lost(100, 300), lost(100, 400), lost(200, 250), lost(500, 510)}));
    const auto answer = status(fixture.context(), std::nullopt, false);
    REQUIRE(answer);
    CHECK(answer->at("pipelines").at(0).at("records_lost") == 310);
}

TEST_CASE("with a daemon the status is what the pipeline says of itself") {
    Fixture fixture;
    pipeline::Status live;
    live.name = "orders";
    live.state = pipeline::State::retrying;
    live.reason = "broker down";
    live.error_code = ErrorCode::unavailable;
    live.attempt = 3;
    live.retry_at = fixture.clock.now;
    live.backlog = 42;
    live.partitions[{"orders", 0}] = {.position = 10, .latest = 52, .last_record_ms = {}};
    const auto answer = status(fixture.context(), std::vector{live}, false);
    REQUIRE(answer);
    CHECK(answer->at("daemon") == "running");
    const json::value& orders = answer->at("pipelines").at(0);
    CHECK(orders.at("state") == "RETRYING");
    CHECK(orders.at("error") == "unavailable");
    CHECK(orders.at("attempt") == 3);
    CHECK(orders.at("backlog") == 42);
    CHECK(orders.at("partitions").at(0).at("latest") == 52);
}

TEST_CASE("the last commit is found behind batches without records of their own") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 1000}});
    fixture.commit(fixture.put_plan({{{"orders", 0}, 1000, 1500}}));
    for (int given_up = 0; given_up < 3; ++given_up) {
        fixture.put_plan({{{"orders", 0}, 1500, 1600}});
        checkpoints::Store::Move move;
        const auto state = fixture.store->load("orders");
        REQUIRE(state);
        move.abandon(*state);
        REQUIRE(fixture.store->put_move("orders", move));
    }
    fixture.put_plan({{{"orders", 0}, 1500, 1600}});
    for (const bool is_trimmed : {false, true}) {  // history keeps the newest batch and the last with records, no more
        CAPTURE(is_trimmed);
        if (is_trimmed) REQUIRE(fixture.store->trim_history({Milliseconds{0}, 0}, fixture.clock.now + Milliseconds{1}));
        CHECK(fixture.store->batch("orders", 2).has_value() == !is_trimmed);
        const auto answer = status(fixture.context(), std::nullopt, false);
        REQUIRE(answer);
        CHECK(answer->at("pipelines").at(0).at("last_committed") == 0);
    }
}

TEST_CASE("what the pipeline does not know is null, not 0") {
    Fixture fixture;
    pipeline::Status live;
    live.name = "orders";
    live.partitions[{"orders", 0}].position = 10;
    const auto answer = status(fixture.context(), std::vector{live}, false);
    REQUIRE(answer);
    const json::value& orders = answer->at("pipelines").at(0);
    CHECK(orders.at("backlog").is_null());
    CHECK(orders.at("partitions").at(0).at("latest").is_null());
}

TEST_CASE("a running daemon says who holds its memory") {
    Fixture fixture;
    CHECK(status(fixture.context(), std::nullopt, false)->at("memory").is_null());
    const auto answer = status(fixture.context(), std::nullopt, false, pipeline::MemoryUse{1000, 500, 70, 8, 5});
    CHECK(answer->at("memory") == parsed(R"({"max":1000,"consumers_max":500,"consumers":70,"in_flight":8,"sinks":5})"));
}

TEST_CASE("pipelines that are no longer configured are listed on demand, and can be forgotten") {
    Fixture fixture;
    REQUIRE(fixture.store->put_initial("old", "{}", {{{"t", 0}, {5, -1, "", -1}}}));
    CHECK(status(fixture.context(), std::nullopt, true)->at("orphans") == parsed(R"(["old"])"));

    const auto dry = forget(fixture.context(), "old", false);
    REQUIRE(dry);
    CHECK(*dry == parsed(R"({"pipeline":"old","executed":false,"positions":1,"next_batch":0,"losses":0})"));
    CHECK(fixture.store->pipelines()->size() == 1);
    REQUIRE(forget(fixture.context(), "old", true));
    CHECK(fixture.store->pipelines()->empty());
    CHECK(forget(fixture.context(), "old", true).error().code == ErrorCode::not_found);
}

TEST_CASE("a configured pipeline is not forgotten") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 1000}});
    const auto answer = forget(fixture.context(), "orders", true);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == ErrorCode::exists);
    CHECK(fixture.position({"orders", 0}) == 1000);
}

TEST_CASE("a run state is written with its action, once") {
    Fixture fixture;
    const auto paused = set_run_state(fixture.context(), "orders", checkpoints::RunState::paused);
    REQUIRE(paused);
    CHECK(*paused == parsed(R"({"pipeline":"orders","was":"running","run_state":"paused"})"));
    REQUIRE(set_run_state(fixture.context(), "orders", checkpoints::RunState::paused));
    CHECK(fixture.store->load("orders")->run_state == checkpoints::RunState::paused);
    CHECK(fixture.store->audit("orders")->size() == 1);
    CHECK(set_run_state(fixture.context(), "other", checkpoints::RunState::paused).error().code ==
          ErrorCode::not_found);
}

TEST_CASE("names are read as people write them, and nothing else is") {
    const auto batch = parse_batch_name("orders/812");
    REQUIRE(batch);
    CHECK(batch->pipeline == "orders");
    CHECK(batch->batch_id == 812);
    const auto record = parse_record_name("orders.dead/0@8123");
    REQUIRE(record);
    CHECK(record->topic_partition == plan::TopicPartition{"orders.dead", 0});
    CHECK(record->offset == 8123);
    CHECK(to_string(*record) == "orders.dead/0@8123");
    for (const char* text : {"", "orders", "orders/", "/1", "orders/x", "orders/-1", "orders/1 ",
                             "orders/99999999999999999999"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_batch_name(text));
    }
    for (const char* text : {"", "orders/0", "orders@5", "orders/0@", "orders/@5", "/0@5", "orders/0@-5",
                             "orders/4294967296@5"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_record_name(text));
    }
    CHECK(parse_scope("orders")->covers({"orders", 7}));
    CHECK_FALSE(parse_scope("orders/0")->covers({"orders", 7}));
}

}  // namespace sluice::operations
