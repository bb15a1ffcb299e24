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

TEST_CASE("losses that wait for an operator show until they are accepted, and are counted then") {
    Bridge world;
    world.bridge.observe(world.status, nullptr);  // it has not read its ledger yet
    CHECK(world.metrics.exposition().find("sluice_unaccepted_losses{") == std::string::npos);
    world.status.state = pipeline::State::failed;
    world.status.unaccepted_losses = 2;
    world.bridge.observe(world.status, nullptr);
    CHECK(world.shows(R"(sluice_unaccepted_losses{pipeline="orders"} 2)"));
    CHECK(world.shows(R"(sluice_lost_records_total{pipeline="orders",kind="expired"} 0)"));
    world.status.unaccepted_losses = 0;
    world.bridge.sample({world.status}, {});
    CHECK(world.shows(R"(sluice_unaccepted_losses{pipeline="orders"} 0)"));
    world.status.records_lost[plan::LossKind::expired] = 88;
    world.bridge.observe(world.status, nullptr);
    world.bridge.sample({world.status}, {});
    CHECK(world.shows(R"(sluice_lost_records_total{pipeline="orders",kind="expired"} 88)"));
}

TEST_CASE("a pipeline that a reload changed counts on, and one that left shows nothing") {
    Bridge world;
    world.status.records_lost[plan::LossKind::expired] = 100;
    world.status.restarts = 3;
    world.bridge.observe(world.status, nullptr);
    world.status.records_lost.clear();  // another object under the same name
    world.status.restarts = 0;
    world.bridge.observe(world.status, nullptr);
    world.status.records_lost[plan::LossKind::expired] = 5;
    world.status.restarts = 1;
    world.bridge.observe(world.status, nullptr);
    CHECK(world.shows(R"(sluice_lost_records_total{pipeline="orders",kind="expired"} 105)"));
    CHECK(world.shows(R"(sluice_restarts_total{pipeline="orders"} 4)"));
    world.bridge.sample({}, {});
    CHECK(world.metrics.exposition().find("orders") == std::string::npos);
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

TEST_CASE("each phase of a committed batch is observed once, and none that did not happen") {
    using namespace std::chrono_literals;
    Bridge world;
    checkpoints::Commit commit;
    commit.state = checkpoints::BatchState::committed;
    world.status.phases.latest_offsets = 3ms;
    world.status.phases.lease = 30ms;
    world.status.phases.fetch = 200ms;
    world.status.phases.write = 2s;
    world.status.phases.total = 4s;
    world.bridge.observe(world.status, nullptr);
    CHECK(world.metrics.exposition().find("sluice_batch_duration_seconds") == std::string::npos);
    world.bridge.observe(world.status, &commit);
    for (const char* phase : {"latest_offsets", "lease", "fetch", "write", "total"}) {
        CAPTURE(phase);
        CHECK(world.shows("sluice_batch_duration_seconds_count{pipeline=\"orders\",phase=\"" + std::string(phase) + "\"} 1"));
    }
    CHECK(world.shows(R"(sluice_batch_duration_seconds_sum{pipeline="orders",phase="write"} 2)"));
    CHECK(world.shows(R"(sluice_batch_duration_seconds_bucket{pipeline="orders",phase="latest_offsets",le="0.005"} 1)"));
    CHECK(world.shows(R"(sluice_batch_duration_seconds_bucket{pipeline="orders",phase="latest_offsets",le="0.0025"} 0)"));
    CHECK(world.metrics.exposition().find("initial_offsets") == std::string::npos);
}

TEST_CASE("the pool's counters and the holders of memory are those of the last sample") {
    Bridge world;
    kafka::PoolStats pool;
    pool.closed = 2;
    pool.lifetime = Milliseconds{2500};
    pool.unassigned_for_memory = 1;
    pool.waits_for_memory = 4;
    world.bridge.sample({}, pool, {.max = 1000, .consumers_max = 500, .consumers = 70, .in_flight = 8});
    pool.closed = 3;
    pool.lifetime = Milliseconds{4000};
    world.bridge.sample({}, pool, {.max = 1000, .consumers_max = 500, .consumers = 60, .in_flight = 9, .sinks = 5});
    CHECK(world.shows("sluice_consumer_pool_closed_total 3"));
    CHECK(world.shows("sluice_consumer_pool_memory_waits_total 4"));
    CHECK(world.shows("sluice_consumer_pool_lifetime_seconds_total 4"));
    CHECK(world.shows("sluice_consumer_pool_unassigned_total 1"));
    CHECK(world.shows("sluice_memory_max_bytes 1000"));
    CHECK(world.shows(R"(sluice_memory_held_bytes{holder="consumers"} 60)"));
    CHECK(world.shows(R"(sluice_memory_held_bytes{holder="in_flight"} 9)"));
    CHECK(world.shows(R"(sluice_memory_held_bytes{holder="sinks"} 5)"));
}

TEST_CASE("attempts that failed are counted by what failed, and batches by how they ended") {
    Bridge world;
    world.status.retries[pipeline::Stage::sink_write] = 2;
    world.status.retries[pipeline::Stage::open] = 1;
    world.status.batches_aborted = 2;
    world.status.batches_abandoned = 1;
    world.bridge.observe(world.status, nullptr);
    world.bridge.observe(world.status, nullptr);
    CHECK(world.shows(R"(sluice_retries_total{pipeline="orders",stage="sink_write"} 2)"));
    CHECK(world.shows(R"(sluice_retries_total{pipeline="orders",stage="open"} 1)"));
    CHECK(world.shows(R"(sluice_retries_total{pipeline="orders",stage="read"} 0)"));
    CHECK(world.shows(R"(sluice_batches_total{pipeline="orders",outcome="aborted"} 2)"));
    CHECK(world.shows(R"(sluice_batches_total{pipeline="orders",outcome="abandoned"} 1)"));
}

TEST_CASE("the newest record of a partition shows with its timestamp, and not before there was one") {
    Bridge world;
    world.status.partitions[{"orders", 0}] = {.position = 5, .latest = 9, .last_record_ms = {}};
    world.bridge.sample({world.status}, {});
    CHECK(world.metrics.exposition().find("sluice_last_record_timestamp_seconds{") == std::string::npos);
    world.status.partitions[{"orders", 0}].last_record_ms = 1'700'000'000'500;
    world.bridge.sample({world.status}, {});
    CHECK(world.shows(
        R"(sluice_last_record_timestamp_seconds{pipeline="orders",topic="orders",partition="0"} 1700000000.5)"));
}

TEST_CASE("a partition shows where it stands at the scrape, and nothing once it is gone") {
    Bridge world;
    world.status.partitions[{"orders", 0}] = {.position = 5, .latest = 9, .last_record_ms = {}};
    world.status.headroom[{"orders", 0}] = Milliseconds{2000};
    world.status.headroom[{"orders", 1}] = Milliseconds{3000};  // of a pipeline that has not looked yet
    world.bridge.sample({world.status}, {});
    CHECK(world.shows(R"(sluice_position_offset{pipeline="orders",topic="orders",partition="0"} 5)"));
    CHECK(world.shows(R"(sluice_backlog_offsets{pipeline="orders",topic="orders",partition="0"} 4)"));
    CHECK(world.shows(R"(sluice_retention_headroom_seconds{pipeline="orders",topic="orders",partition="0"} 2)"));
    CHECK(world.shows(R"(sluice_retention_headroom_seconds{pipeline="orders",topic="orders",partition="1"} 3)"));
    world.status.headroom.clear();
    world.bridge.sample({world.status}, {});
    CHECK(world.metrics.exposition().find("retention_headroom_seconds{") == std::string::npos);
    CHECK(world.shows(R"(sluice_backlog_offsets{pipeline="orders",topic="orders",partition="0"} 4)"));
    world.status.partitions.clear();
    world.bridge.sample({world.status}, {});
    CHECK(world.metrics.exposition().find("topic=\"orders\"") == std::string::npos);
}
