#include "daemon/metrics_bridge.hpp"

#include <doctest/doctest.h>

using namespace sluice;

namespace {

struct Bridge {
    pipeline::Status status = [] {
        pipeline::Status named;
        named.name = "orders";
        return named;
    }();
    metrics::Metrics metrics{{}};
    MetricsBridge bridge{metrics};

    [[nodiscard]] bool shows(const std::string& line) const {
        return metrics.exposition().find(line + "\n") != std::string::npos;
    }
};

}  // namespace

TEST_CASE("lost records are counted by kind, each once however often a pipeline reports") {
    Bridge world;
    world.status.records_lost[plan::LossKind::expired] = 88;
    world.bridge.observe(world.status, nullptr);
    world.bridge.observe(world.status, nullptr);
    CHECK(world.shows(R"(sluice_lost_records_total{pipeline="orders",kind="expired"} 88)"));
    world.status.records_lost[plan::LossKind::expired] = 100;
    world.status.records_lost[plan::LossKind::topic_gone] = 1;
    world.bridge.observe(world.status, nullptr);
    CHECK(world.shows(R"(sluice_lost_records_total{pipeline="orders",kind="expired"} 100)"));
    CHECK(world.shows(R"(sluice_lost_records_total{pipeline="orders",kind="topic_gone"} 1)"));
}

TEST_CASE("a pipeline that stalls silently shows as stalled at the next scrape") {
    Bridge world;
    world.status.state = pipeline::State::running;
    world.bridge.observe(world.status, nullptr);
    CHECK(world.shows(R"(sluice_pipeline_state{pipeline="orders",state="running"} 1)"));
    world.status.state = pipeline::State::stalled;  // nobody reports that: it is seen when looked at
    world.bridge.sample({world.status}, {});
    CHECK(world.shows(R"(sluice_pipeline_state{pipeline="orders",state="stalled"} 1)"));
    CHECK(world.shows(R"(sluice_pipeline_state{pipeline="orders",state="running"} 0)"));
    world.status.state = pipeline::State::caught_up;
    world.bridge.sample({world.status}, {});
    CHECK(world.shows(R"(sluice_pipeline_state{pipeline="orders",state="caught_up"} 1)"));
}
