#include <doctest/doctest.h>

#include "daemon/operations/losses.hpp"
#include "daemon/operations/offsets.hpp"
#include "daemon/operations/settle.hpp"
#include "tests/unit/operations/support.hpp"

using namespace sluice;
using namespace sluice::operations;
using namespace sluice::operations::test;

namespace {

/// A batch without an outcome, as a daemon leaves it that died before its COMMIT.
struct Unfinished : Fixture {
    explicit Unfinished(bool is_delivered) {
        start_with({{orders0, 1000}});
        batch = put_plan({{orders0, 1000, 1500}});
        if (is_delivered) sink_target.committed[batch] = {};
    }
    [[nodiscard]] checkpoints::BatchState state_of_batch() const {
        const auto found = store->batch("orders", batch);
        REQUIRE(found->commit);
        return found->commit->state;
    }
    [[nodiscard]] bool has_unfinished() const { return store->load("orders")->unfinished.has_value(); }

    std::uint64_t batch = 0;
};

bool says(const json::object& answer, const char* words) {
    return json::serialize(answer).find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("replan without --execute asks the sink nothing, since asking removes what is there") {
    Unfinished fixture(true);
    const auto answer = *replan(fixture.context(), "orders", false);
    CHECK(answer.at("batch") == fixture.batch);
    CHECK(answer.at("executed") == false);
    CHECK(fixture.sink_target.calls.empty());
    CHECK(fixture.has_unfinished());
}

TEST_CASE("replan abandons a batch that the sink does not have, and leaves the positions where they are") {
    Unfinished fixture(false);
    const auto answer = *replan(fixture.context(), "orders", true);
    CHECK(answer.at("outcome") == "abandoned");
    CHECK(fixture.sink_target.calls ==
          std::vector<std::string>{"open without receipt", "begin 0 again", "abort 0"});
    CHECK(fixture.state_of_batch() == checkpoints::BatchState::abandoned);
    CHECK(fixture.position(orders0) == 1000);
    CHECK(fixture.store->audit("orders")->back().action == "batches replan");
}

TEST_CASE("replan commits a batch that the sink has already") {
    Unfinished fixture(true);
    const auto answer = *replan(fixture.context(), "orders", true);
    CHECK(answer.at("outcome") == "delivered");
    CHECK(fixture.state_of_batch() == checkpoints::BatchState::recovered);
    CHECK(fixture.position(orders0) == 1500);
    CHECK(fixture.store->load("orders")->receipt->bytes == "receipt 0");
    CHECK(replan(fixture.context(), "orders", true)->at("batch").is_null());
}

TEST_CASE("who gives a batch up keeps the place of partitions that it was the first to read") {
    const plan::TopicPartition orders1{"orders", 1};
    const auto given_up_by = [&](auto operation) {
        Fixture fixture;
        fixture.start_at({{orders0, 1000}});
        fixture.put_plan({{orders0, 1000, 1500}, {orders1, 2000, 2100}, {orders1, 2100, 2200}});
        fixture.cluster.facts[1].earliest = 2050;  // by retention, before the partition has a position
        const auto answer = operation(fixture.context());
        REQUIRE(answer);
        CHECK(answer->at("executed") == true);
        CHECK_FALSE(fixture.store->load("orders")->unfinished);
        return fixture.position(orders1);
    };
    CHECK(given_up_by([](const Context& context) { return replan(context, "orders", true); }) == 2000);
    const auto move = [](const char* body) {
        return [body](const Context& context) {
            return move_offsets(context, "orders", *parse_move(*parse_body(body)));
        };
    };
    CHECK(given_up_by(move(R"({"action":"reset","shift_by":100,"only":["orders/0"],"execute":true})")) == 2000);
}

TEST_CASE("a sink that cannot answer changes nothing, and the message says why it was asked") {
    for (const char* const call : {"open", "begin", "abort"}) {
        CAPTURE(call);
        Unfinished fixture(false);
        fixture.sink_target.answer = [&](const std::string& asked) -> sink::Reply {
            if (!asked.starts_with(call)) return {};
            return {sink::Status::retry, "the server is starting up", ""};
        };
        const auto answer = replan(fixture.context(), "orders", true);
        REQUIRE_FALSE(answer);
        CHECK(answer.error().code == ErrorCode::unavailable);
        CHECK(answer.error().message.find("batch 0 has no outcome") != std::string::npos);
        CHECK(answer.error().message.find("the server is starting up. Nothing was changed") !=
              std::string::npos);
        CHECK(fixture.has_unfinished());
    }
}

TEST_CASE("the sink is handed its own receipt, and none of another target") {
    Unfinished fixture(false);
    REQUIRE(fixture.store->put_initial_receipt("orders", {"discard", "", "r"}));
    fixture.orders().sink.target = "elsewhere";
    REQUIRE(replan(fixture.context(), "orders", true));
    CHECK(fixture.sink_target.calls.front() == "open without receipt");
}

TEST_CASE("a move starts from the end of a batch that the sink turns out to have") {
    Unfinished fixture(true);
    const auto moved =
        *move_offsets(fixture.context(), "orders",
                      *parse_move(*parse_body(
                          R"({"action":"reset","shift_by":100,"only":["orders/0"],"execute":true})")));
    CHECK(moved.at("executed") == true);
    CHECK(says(moved, "the sink had batch 0, whole"));
    CHECK(fixture.state_of_batch() == checkpoints::BatchState::recovered);
    CHECK(fixture.position(orders0) == 1600);
}

TEST_CASE("a record is not skipped in a batch that the sink has already") {
    Unfinished fixture(true);
    const auto skipped =
        move_offsets(fixture.context(), "orders",
                     *parse_move(*parse_body(
                         R"({"action":"skip","topic":"orders","partition":0,"offset":1200,"execute":true})")));
    REQUIRE_FALSE(skipped);
    CHECK(skipped.error().message.find("was delivered or stepped over already") != std::string::npos);
    CHECK(fixture.position(orders0) == 1500);
}

TEST_CASE("losses are decided anew when the sink has the batch that cannot be read any more") {
    Unfinished fixture(true);
    fixture.cluster.facts[0].earliest = 1600;  // retention took 1000 to 1600; the sink has up to 1500
    const auto accepted = *accept_losses(fixture.context(), "orders", true);
    CHECK(accepted.at("executed") == true);
    CHECK(accepted.at("records_lost") == 100);
    CHECK(fixture.state_of_batch() == checkpoints::BatchState::recovered);
    CHECK(fixture.position(orders0) == 1600);
}

TEST_CASE("losses that the sink turns out to have delivered are none") {
    Unfinished fixture(true);
    fixture.cluster.facts[0].earliest = 1400;
    const auto accepted = *accept_losses(fixture.context(), "orders", true);
    CHECK(accepted.at("executed") == true);
    CHECK(says(accepted, "the sink had batch 0, whole"));
    CHECK(fixture.store->losses("orders")->empty());
    CHECK(fixture.position(orders0) == 1500);
}
