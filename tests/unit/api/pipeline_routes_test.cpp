#include "tests/unit/api/support.hpp"

namespace sluice::api {
using namespace test;
using operations::test::parsed;
using pipeline::State;
namespace {

constexpr const char* set_0 = R"({"action":"set","offsets":{"orders":{"0":8124}},"execute":true})";
constexpr const char* dry_0 = R"({"action":"set","offsets":{"orders":{"0":8124}}})";

}  // namespace

TEST_CASE("positions of a pipeline that runs are not moved, a dry run is answered") {
    ApiFixture fixture;
    fixture.start_with({{{"orders", 0}, 8000}});
    for (const State state : {State::starting, State::running, State::caught_up, State::retrying, State::stalled}) {
        CAPTURE(pipeline::name_of(state));
        fixture.engine.statuses.clear();
        fixture.engine.runs("orders", state);
        const Answer answer = fixture.ask("POST", "/api/pipelines/orders/offsets", set_0);
        CHECK(answer.status == 409);
        CHECK(answer.body.at("message").as_string().find("sluice pause orders") != json::string::npos);
        CHECK(fixture.ask("POST", "/api/pipelines/orders/offsets", dry_0).status == 200);
        CHECK(fixture.ask("POST", "/api/pipelines/orders/losses/accept", R"({"execute":true})").status == 409);
    }
    CHECK(fixture.position({"orders", 0}) == 8000);
    CHECK(fixture.engine.told.empty());
}

TEST_CASE("positions of a pipeline at rest are moved, and it rereads its checkpoint") {
    for (const State state : {State::paused, State::stopped, State::failed}) {
        CAPTURE(pipeline::name_of(state));
        ApiFixture fixture;
        fixture.start_with({{{"orders", 0}, 8000}});
        fixture.engine.runs("orders", state);
        const Answer dry = fixture.ask("POST", "/api/pipelines/orders/offsets", dry_0);
        CHECK(dry.body.at("restarted") == false);
        CHECK(fixture.engine.told.empty());
        const Answer answer = fixture.ask("POST", "/api/pipelines/orders/offsets", set_0);
        CHECK(answer.status == 200);
        CHECK(answer.body.at("restarted") == true);
        CHECK(fixture.position({"orders", 0}) == 8124);
        CHECK(fixture.engine.told == std::vector<std::string>{"orders restart"});
    }
}

TEST_CASE("a pipeline is held while its positions are changed, and no longer") {
    ApiFixture fixture;
    fixture.start_with({{{"orders", 0}, 8000}});
    fixture.engine.runs("orders", State::paused);
    std::vector<std::string> held;
    fixture.cluster.when_asked = [&] { held = fixture.engine.held; };
    CHECK(fixture.ask("POST", "/api/pipelines/orders/offsets", dry_0).status == 200);
    CHECK(held.empty());
    CHECK(fixture.ask("POST", "/api/pipelines/orders/offsets", set_0).status == 200);
    CHECK(held == std::vector<std::string>{"orders"});
    CHECK(fixture.engine.held.empty());
}

TEST_CASE("an ended pipeline's positions are moved, and it is not told") {
    ApiFixture fixture;
    fixture.start_with({{{"orders", 0}, 8000}});
    fixture.engine.runs("orders", State::done);
    fixture.engine.ended = true;
    const Answer answer = fixture.ask("POST", "/api/pipelines/orders/offsets", set_0);
    CHECK(answer.status == 200);
    CHECK(answer.body.at("restarted") == false);
    CHECK(fixture.engine.told.empty());
}

TEST_CASE("accepting losses restarts the pipeline that they stopped") {
    ApiFixture fixture;
    fixture.start_with({{{"orders", 0}, 812}});
    fixture.engine.runs("orders", State::failed, "data loss");
    REQUIRE(fixture.store->put_losses(
        "orders", {{{{"orders", 0}, plan::LossKind::expired, "id-o", 812, 1000, 1000}, {}, {}, false}}));
    CHECK(fixture.ask("GET", "/api/pipelines/orders/losses").body.at("unaccepted") == 1);
    const Answer answer =
        fixture.ask("POST", "/api/pipelines/orders/losses/accept", R"({"execute":true})");
    CHECK(answer.body.at("executed") == true);
    CHECK(answer.body.at("restarted") == true);
    CHECK(fixture.position({"orders", 0}) == 1000);
    CHECK(fixture.engine.told == std::vector<std::string>{"orders restart"});
}

TEST_CASE("pause, resume and stop are written down before the pipeline is told") {
    ApiFixture fixture;
    fixture.engine.runs("orders", State::running);
    fixture.engine.statuses[0].batch_id = 5;
    const Answer paused = fixture.ask("PUT", "/api/pipelines/orders/pause");
    CHECK(paused.body == parsed(R"({"pipeline":"orders","was":"running","run_state":"paused",
                                    "effect":"after the running batch"})"));
    CHECK(fixture.store->load("orders")->run_state == checkpoints::RunState::paused);
    CHECK(fixture.ask("PUT", "/api/pipelines/orders/resume").body.at("effect") == "now");
    CHECK(fixture.ask("PUT", "/api/pipelines/orders/stop").status == 200);
    CHECK(fixture.store->load("orders")->run_state == checkpoints::RunState::stopped);
    CHECK(fixture.engine.told == std::vector<std::string>{"orders paused", "orders running", "orders stopped"});
    CHECK(fixture.ask("PUT", "/api/pipelines/other/pause").status == 404);
}

TEST_CASE("offline, run states are written and restart needs a daemon") {
    ApiFixture fixture;
    const Answer paused = fixture.ask("PUT", "/api/pipelines/orders/pause", "", true, false);
    CHECK(paused.body.at("effect") == "at the next start");
    CHECK(fixture.store->load("orders")->run_state == checkpoints::RunState::paused);
    const Answer restart = fixture.ask("PUT", "/api/pipelines/orders/restart", "", true, false);
    CHECK(restart.status == 503);
    CHECK(restart.body.at("code") == "unavailable");
    CHECK(fixture.ask("GET", "/api/status", "", true, false).body.at("daemon") == "not running");
}

TEST_CASE("restart tells the pipeline, and explains what it can't do for an ended one") {
    ApiFixture fixture;
    fixture.engine.runs("orders", State::failed);
    CHECK(fixture.ask("PUT", "/api/pipelines/orders/restart").body.at("restarted") == true);
    CHECK(fixture.ask("PUT", "/api/pipelines/other/restart").status == 404);
    fixture.engine.ended = true;
    const Answer answer = fixture.ask("PUT", "/api/pipelines/orders/restart");
    CHECK(answer.status == 409);
    CHECK(answer.body.at("message").as_string().find("sluice reload") != json::string::npos);
    CHECK(fixture.engine.told.size() == 1);
}

TEST_CASE("batches are listed, shown and found by their routes") {
    ApiFixture fixture;
    fixture.start_with({});
    fixture.commit(fixture.put_plan({{{"orders", 0}, 1000, 1500}}));
    CHECK(fixture.ask("GET", "/api/pipelines/orders/batches").body.at("batches").as_array().size() == 1);
    CHECK(fixture.ask("GET", "/api/pipelines/orders/batches?limit=0").body.at("batches").as_array().empty());
    CHECK(fixture.ask("GET", "/api/pipelines/orders/batches?limit=x").status == 400);
    CHECK(fixture.ask("GET", "/api/pipelines/orders/batches/0").body.at("state") == "committed");
    CHECK(fixture.ask("GET", "/api/pipelines/orders/batches/9").status == 404);
    CHECK(fixture.ask("GET", "/api/pipelines/orders/batches/x").status == 400);
    CHECK(fixture.ask("GET", "/api/pipelines/orders/find?topic=orders&partition=0&offset=1499")
              .body.at("found").at("range") == 0);
    CHECK(fixture.ask("GET", "/api/pipelines/orders/find?topic=orders&partition=0").status == 400);
    CHECK(fixture.ask("GET", "/api/pipelines/orders/find?topic=orders&partition=0&offset=1500").status == 404);
    CHECK(fixture.ask("GET", "/api/pipelines/other/batches").status == 404);
}

TEST_CASE("a broker that is down is a 503 with our own code") {
    ApiFixture fixture;
    fixture.cluster.is_down = true;
    const Answer answer = fixture.ask("GET", "/api/pipelines/orders/plan");
    CHECK(answer.status == 503);
    CHECK(answer.body == parsed(R"({"error_code":503,"message":"brokers are down","code":"unavailable"})"));
}

TEST_CASE("bodies that are not what was asked for are a 400") {
    ApiFixture fixture;
    fixture.start_with({});
    for (const char* body : {"", "{", "[]", R"({"action":"jump"})"}) {
        CAPTURE(body);
        CHECK(fixture.ask("POST", "/api/pipelines/orders/offsets", body).status == 400);
    }
    CHECK(fixture.ask("POST", "/api/pipelines/orders/losses/accept", R"({"execute":1})").status == 400);
}

TEST_CASE("checkpoints of a pipeline are forgotten only when it neither is configured nor runs") {
    ApiFixture fixture;
    fixture.start_with({});
    REQUIRE(fixture.store->put_initial("old", "{}", {{{"t", 0}, {5, -1, "", -1}}}));
    CHECK(fixture.ask("GET", "/api/status?all=true").body.at("orphans") == parsed(R"(["old"])"));
    CHECK(fixture.ask("DELETE", "/api/pipelines/orders?execute=true").status == 409);
    fixture.engine.runs("old", State::running);
    CHECK(fixture.ask("DELETE", "/api/pipelines/old?execute=true").status == 409);
    fixture.engine.statuses.clear();
    CHECK(fixture.ask("DELETE", "/api/pipelines/old").body.at("executed") == false);
    CHECK(fixture.ask("DELETE", "/api/pipelines/old?execute=true").body.at("executed") == true);
    CHECK(fixture.ask("DELETE", "/api/pipelines/old?execute=true").status == 404);
}

}  // namespace sluice::api
