#include "daemon/operations/offsets.hpp"

#include "tests/unit/operations/support.hpp"

namespace sluice::operations {
using namespace test;
namespace {

MoveRequest request(const char* body) {
    auto parsed_request = parse_move(json::parse(body).as_object());
    REQUIRE_MESSAGE(parsed_request, (parsed_request ? "" : parsed_request.error().message));
    return *std::move(parsed_request);
}

json::object moved(Fixture& fixture, const char* body) {
    auto answer = move_offsets(fixture.context(), "orders", request(body));
    REQUIRE_MESSAGE(answer, text_of(answer));
    return *std::move(answer);
}

Error refused(Fixture& fixture, const char* body) {
    auto answer = move_offsets(fixture.context(), "orders", request(body));
    REQUIRE_FALSE_MESSAGE(answer, text_of(answer));
    return std::move(answer).error();
}

}  // namespace

TEST_CASE("set says what would move, and moves it only when told to") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 8000}, {{"orders", 1}, 2000}});
    const auto dry = moved(fixture, R"({"action":"set","offsets":{"orders":{"0":8124,"1":2000}}})");
    CHECK(dry.at("executed") == false);
    CHECK(dry.at("changes") == parsed(R"([{"topic":"orders","partition":0,"before":8000,"after":8124}])"));
    CHECK(dry.at("unchanged") == 1);
    CHECK(dry.at("notes") == parsed(R"(["124 offsets will not be read"])"));
    CHECK(fixture.position({"orders", 0}) == 8000);

    const auto done = moved(fixture, R"({"action":"set","offsets":{"orders":{"0":8124}},"execute":true})");
    CHECK(done.at("executed") == true);
    CHECK(fixture.position({"orders", 0}) == 8124);
    CHECK(fixture.position({"orders", 1}) == 2000);
    const auto audit = fixture.store->audit("orders");
    REQUIRE(audit);
    REQUIRE(audit->size() == 1);
    CHECK(audit->back().action == "offsets set");
    CHECK(audit->back().detail.find("8124") != std::string::npos);
}

TEST_CASE("a moved position has no leader epoch of the record it left behind") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 8000}});
    moved(fixture, R"({"action":"set","offsets":{"orders":{"0":8124}},"execute":true})");
    const auto state = fixture.store->load("orders");
    REQUIRE(state);
    CHECK(state->positions.at({"orders", 0}).leader_epoch == -1);
    CHECK(state->positions.at({"orders", 0}).topic_id == "id-o");
}

TEST_CASE("set refuses offsets that a partition does not hold, all of them at once") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 8000}});
    const Error error = refused(
        fixture, R"({"action":"set","offsets":{"orders":{"0":999,"9":5},"payments":{"0":40101}},"execute":true})");
    CHECK(error.code == ErrorCode::invalid_argument);
    CHECK(error.message.find("orders/0 holds offsets 1000 to 151000, not 999") != std::string::npos);
    CHECK(error.message.find("orders/9 is not among") != std::string::npos);
    CHECK(error.message.find("payments/0 holds offsets 100 to 40100, not 40101") != std::string::npos);
    CHECK(fixture.position({"orders", 0}) == 8000);
}

TEST_CASE("reset goes to the earliest, the latest, a time, and by a distance that is cut") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 8000}, {{"payments", 0}, 200}});
    moved(fixture, R"({"action":"reset","to":"latest","execute":true})");
    CHECK(fixture.position({"orders", 0}) == 151'000);
    CHECK(fixture.position({"payments", 0}) == 40'100);
    CHECK(fixture.position({"orders", 2}) == 35'000);  // had none; it is not left to start earliest

    moved(fixture, R"({"action":"reset","to":"earliest","only":["orders/0"],"execute":true})");
    CHECK(fixture.position({"orders", 0}) == 1000);
    CHECK(fixture.position({"payments", 0}) == 40'100);

    fixture.cluster.at_time[{"orders", 0}] = 77'000;
    moved(fixture, R"({"action":"reset","to":"2026-11-01T08:00:00Z","only":["orders"],"execute":true})");
    CHECK(fixture.position({"orders", 0}) == 77'000);
    CHECK(fixture.position({"orders", 1}) == 82'000);  // no record since then: its end

    const auto shifted = moved(fixture, R"({"action":"reset","shift_by":-76500,"execute":true})");
    CHECK(fixture.position({"orders", 0}) == 1000);
    CHECK(fixture.position({"orders", 1}) == 5500);
    CHECK(json::serialize(shifted.at("notes")).find("orders/0 holds offsets 1000 to 151000: cut to that") !=
          std::string::npos);
    moved(fixture, R"({"action":"reset","shift_by":9223372036854775807,"execute":true})");
    CHECK(fixture.position({"orders", 1}) == 82'000);
}

TEST_CASE("a plan that reads a moved partition is abandoned, one that does not is kept") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 1000}, {{"orders", 1}, 2000}});
    const auto batch = fixture.put_plan({{{"orders", 0}, 1000, 1500}});
    const auto other = moved(fixture, R"({"action":"set","offsets":{"orders":{"1":2500}},"execute":true})");
    CHECK(other.at("abandons").is_null());
    CHECK(fixture.store->load("orders")->unfinished);

    const auto same = moved(fixture, R"({"action":"set","offsets":{"orders":{"0":1200}},"execute":true})");
    CHECK(same.at("abandons") == batch);
    CHECK(json::serialize(same.at("notes")).find("becomes abandoned") != std::string::npos);
    CHECK_FALSE(fixture.store->load("orders")->unfinished);
    CHECK(fixture.store->batch("orders", batch)->commit->state == checkpoints::BatchState::abandoned);
    CHECK(fixture.position({"orders", 0}) == 1200);
}

TEST_CASE("skip steps over exactly the record at the position") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 8123}});
    fixture.put_plan({{{"orders", 0}, 8123, 9000}});
    const auto answer =
        moved(fixture, R"({"action":"skip","topic":"orders","partition":0,"offset":8123,"execute":true})");
    CHECK(answer.at("step") == "move");
    CHECK(answer.at("abandons") == 0);
    CHECK(fixture.position({"orders", 0}) == 8124);
}

TEST_CASE("skip of a record further on first delivers what lies before it") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 8000}, {{"orders", 1}, 2000}});
    fixture.put_plan({{{"orders", 0}, 8000, 8100}, {{"orders", 0}, 8100, 8200}, {{"orders", 0}, 8200, 8300},
                      {{"orders", 1}, 2000, 2100}});
    const char* body = R"({"action":"skip","topic":"orders","partition":0,"offset":8123,"execute":true})";
    const auto answer = moved(fixture, body);
    CHECK(answer.at("step") == "deliver_before");
    CHECK(answer.at("changes").as_array().empty());
    CHECK(answer.at("abandons") == 0);
    CHECK(answer.at("replans").at("batch") == 1);
    CHECK(fixture.position({"orders", 0}) == 8000);
    const auto state = fixture.store->load("orders");
    REQUIRE(state->unfinished);
    const auto& ranges = state->unfinished->ranges;
    REQUIRE(ranges.size() == 3);
    CHECK(ranges[1].range == plan::OffsetRange{{"orders", 0}, 8100, 8123});
    CHECK(ranges[2].range == plan::OffsetRange{{"orders", 1}, 2000, 2100});

    fixture.commit(1);
    CHECK(moved(fixture, body).at("step") == "move");
    CHECK(fixture.position({"orders", 0}) == 8124);
}

TEST_CASE("skip refuses what would lose other records, and says where things stand") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 8000}});
    const Error ahead = refused(
        fixture, R"({"action":"skip","topic":"orders","partition":0,"offset":8123,"execute":true})");
    CHECK(ahead.message.find("the position of orders/0 is 8000") != std::string::npos);
    CHECK(ahead.message.find("123 offsets before orders/0@8123") != std::string::npos);
    const Error behind = refused(
        fixture, R"({"action":"skip","topic":"orders","partition":0,"offset":7999,"execute":true})");
    CHECK(behind.message.find("already") != std::string::npos);
    CHECK(fixture.position({"orders", 0}) == 8000);
}

TEST_CASE("a pipeline that was never started is not moved: startingOffsets still decides") {
    Fixture fixture;
    const Error error = refused(fixture, R"({"action":"reset","to":"latest","execute":true})");
    CHECK(error.code == ErrorCode::invalid_argument);
    CHECK(error.message.find("startingOffsets") != std::string::npos);
}

TEST_CASE("moving without a cluster to ask is an error, and moves nothing") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 8000}});
    fixture.cluster.is_down = true;
    CHECK(refused(fixture, R"({"action":"reset","to":"latest","execute":true})").code ==
          ErrorCode::unavailable);
    CHECK(fixture.position({"orders", 0}) == 8000);
}

TEST_CASE("a body that says something else is refused by name") {
    const auto error_of = [](const char* body) {
        const auto result = parse_move(json::parse(body).as_object());
        REQUIRE_FALSE(result);
        CHECK(result.error().code == ErrorCode::invalid_argument);
        return result.error().message;
    };
    CHECK(error_of(R"({})").find("\"action\"") != std::string::npos);
    CHECK(error_of(R"({"action":"reset"})").find("shift_by") != std::string::npos);
    CHECK(error_of(R"({"action":"reset","to":"earliest","shift_by":1})").find("either") != std::string::npos);
    CHECK(error_of(R"({"action":"reset","to":"2026-11-01"})").find("with its zone") != std::string::npos);
    CHECK(error_of(R"({"action":"reset","too":"latest"})").find("did you mean \"to\"?") != std::string::npos);
    CHECK(error_of(R"({"action":"set","offsets":{"orders":{"0":1.5}}})").find("integer") != std::string::npos);
    CHECK(error_of(R"({"action":"set","offsets":{"orders":{"0":-2}}})").find("at least 0") != std::string::npos);
    CHECK(error_of(R"({"action":"set","offsets":{"orders":{"x":1}}})").find("no partition number") !=
          std::string::npos);
    CHECK(error_of(R"({"action":"skip","topic":"o","partition":3000000000,"offset":1})").find("partition") !=
          std::string::npos);
    CHECK(error_of(R"({"action":"reset","to":"latest","execute":"yes"})").find("execute") != std::string::npos);
}

TEST_CASE("positions are shown with the batch that moved them, and the last actions") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 1000}});
    fixture.commit(fixture.put_plan({{{"orders", 0}, 1000, 1500}}));
    const auto shown = show_offsets(fixture.context(), "orders");
    REQUIRE(shown);
    CHECK(shown->at("partitions") ==
          parsed(R"([{"topic":"orders","partition":0,"offset":1500,"leader_epoch":2,"topic_id":"id-o","last_batch":0}])"));
    CHECK(shown->at("initial") == parsed(R"({"orders":{"0":1000}})"));
    CHECK(shown->at("next_batch") == 1);
}

}  // namespace sluice::operations
