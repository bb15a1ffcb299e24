#include "daemon/base/log.hpp"
#include "tests/unit/api/support.hpp"

namespace sluice::api {
using namespace test;
using operations::test::parsed;
using pipeline::State;

TEST_CASE("the root and the health have Kafka Connect's shape") {
    ApiFixture fixture;
    fixture.engine.runs("orders", State::running);
    CHECK(fixture.ask("GET", "/").body ==
          parsed(R"({"version":"1.2.3","commit":"abc","kafka_cluster_id":"cluster-1"})"));
    const Answer health = fixture.ask("GET", "/health");
    CHECK(health.status == 200);
    CHECK(health.body.at("status") == "healthy");
}

TEST_CASE("ready is 200 while pipelines move, and 503 with the reasons while one does not") {
    ApiFixture fixture;
    fixture.engine.runs("a", State::running);
    fixture.engine.runs("b", State::caught_up);
    fixture.engine.runs("c", State::paused);
    CHECK(fixture.ask("GET", "/ready").status == 200);
    for (const State state : {State::starting, State::retrying, State::stalled, State::failed}) {
        fixture.engine.statuses[1].state = state;
        fixture.engine.statuses[1].reason = "why";
        const Answer answer = fixture.ask("GET", "/ready");
        CHECK(answer.status == 503);
        CHECK(answer.body.at("pipelines").as_array().size() == 1);
        CHECK(answer.body.at("pipelines").at(0).at("pipeline") == "b");
        CHECK(answer.body.at("pipelines").at(0).at("state") == json::value(pipeline::name_of(state)));
        CHECK(answer.body.at("pipelines").at(0).at("reason") == "why");
    }
}

TEST_CASE("metrics are Prometheus text") {
    ApiFixture fixture;
    const Answer answer = fixture.ask("GET", "/metrics");
    CHECK(answer.text == "sluice_up 1\n");
    CHECK(answer.content_type.starts_with("text/plain; version=0.0.4"));
}

TEST_CASE("a reload that was refused answers every finding, an applied one its warnings") {
    ApiFixture fixture;
    CHECK(fixture.ask("POST", "/api/reload").status == 503);  // nothing to reload with
    bool applied = false;
    fixture.reload = [&]() -> asio::awaitable<Result<Reloaded>> {
        co_return Reloaded{applied, {{"s.yaml", 12, 7, "pipelines[0].sorce", "unknown key", !applied}}};
    };
    const Answer refused = fixture.ask("POST", "/api/reload");
    CHECK(refused.status == 400);
    CHECK(refused.body.at("code") == "configuration");
    CHECK(refused.body.at("applied") == false);
    CHECK(refused.body.at("findings").at(0).at("line") == 12);
    CHECK(refused.body.at("findings").at(0).at("severity") == "error");
    applied = true;
    const Answer done = fixture.ask("POST", "/api/reload");
    CHECK(done.status == 200);
    CHECK(done.body.at("applied") == true);
    CHECK(done.body.at("findings").at(0).at("severity") == "warning");
    fixture.reload = []() -> asio::awaitable<Result<Reloaded>> {
        co_return Error{ErrorCode::stopping, "the daemon is being stopped"};
    };
    CHECK(fixture.ask("POST", "/api/reload").status == 503);
}

TEST_CASE("the log level is shown and set by name") {
    ApiFixture fixture;
    const auto before = log::level();
    CHECK(fixture.ask("PUT", "/api/logs/level", R"({"level":"error"})").status == 200);
    CHECK(log::level() == log::Level::error);
    CHECK(fixture.ask("GET", "/api/logs/level").body.at("level") == "error");
    CHECK(fixture.ask("PUT", "/api/logs/level", R"({"level":"loud"})").status == 400);
    CHECK(fixture.ask("PUT", "/api/logs/level", R"({"level":"info"})", true, false).status == 503);
    CHECK(log::level() == log::Level::error);
    log::set_level(before);
}

TEST_CASE("what changes something is refused on TCP, what looks is not") {
    ApiFixture fixture;
    fixture.engine.runs("orders", State::running);
    for (const auto& [method, target] : std::vector<std::pair<std::string, std::string>>{
             {"POST", "/api/pipelines/orders/offsets"},
             {"POST", "/api/pipelines/orders/losses/accept"},
             {"PUT", "/api/pipelines/orders/pause"},
             {"PUT", "/api/pipelines/orders/resume"},
             {"PUT", "/api/pipelines/orders/stop"},
             {"PUT", "/api/pipelines/orders/restart"},
             {"DELETE", "/api/pipelines/orders"},
             {"POST", "/api/reload"},
             {"PUT", "/api/logs/level"}}) {
        CAPTURE(target);
        CHECK(fixture.ask(method, target, "", false).status == 403);
    }
    for (const char* target : {"/api/status", "/api/pipelines/orders", "/api/pipelines/orders/plan",
                               "/api/pipelines/orders/batches", "/api/pipelines/orders/offsets",
                               "/api/pipelines/orders/losses", "/api/logs/level"}) {
        CAPTURE(target);
        CHECK(fixture.ask("GET", target, "", false).status == 200);
    }
    CHECK(fixture.engine.told.empty());
}

}  // namespace sluice::api
