#include "daemon/operations/preview.hpp"

#include "daemon/pipeline/auto_limits.hpp"
#include "tests/unit/operations/support.hpp"

namespace sluice::operations {
using namespace test;
namespace {

json::object previewed(Fixture& fixture, const pipeline::Status* live = nullptr) {
    auto answer = preview_trigger(fixture.context(), "orders", live);
    REQUIRE_MESSAGE(answer, text_of(answer));
    return *std::move(answer);
}

}  // namespace

TEST_CASE("before a first start the example plans seven ranges from startingOffsets") {
    Fixture fixture;
    const auto plan = previewed(fixture);
    CHECK(plan.at("decision") == "run");
    CHECK(plan.at("first_start") == true);
    CHECK(plan.at("batch") == 0);
    CHECK(plan.at("offsets") == 300'000);
    CHECK(plan.at("backlog") == 300'000);
    CHECK(plan.at("left") == 0);
    CHECK(plan.at("partitions") == 4);
    const json::array& ranges = plan.at("ranges").as_array();
    REQUIRE(ranges.size() == 7);
    CHECK(ranges[0] == parsed(R"({"index":0,"topic":"orders","partition":0,"from":1000,"until":51000,
                                  "offsets":50000,"lane":null})"));
    CHECK(plan.at("limits") == parsed(R"({"max_offsets":1000000,"min_offsets":null,
                                          "max_records_per_partition":50000,"min_partitions":null})"));
    CHECK(fixture.store->pipelines()->empty());  // nothing was written
}

TEST_CASE("minPartitions 8 turns the first of the seven ranges into two") {
    Fixture fixture;
    fixture.orders().source.min_partitions = config::Limit{std::int64_t{8}};
    const auto plan = previewed(fixture);
    const json::array& ranges = plan.at("ranges").as_array();
    REQUIRE(ranges.size() == 8);
    CHECK(ranges[0].at("until") == 26'000);
    CHECK(ranges[1].at("from") == 26'000);
}

TEST_CASE("a plan without an outcome is shown as recorded, and the cluster is not asked") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 1000}});
    fixture.put_plan({{{"orders", 0}, 1000, 1500}});
    fixture.cluster.is_down = true;
    const auto plan = previewed(fixture);
    CHECK(plan.at("decision") == "rerun");
    CHECK(plan.at("offsets") == 500);
    CHECK(plan.at("backlog").is_null());
    CHECK(fixture.cluster.asked == 0);
}

TEST_CASE("data loss stops the plan with failOnDataLoss, and is stepped over without") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 812}, {{"orders", 1}, 2000}, {{"orders", 2}, 5000}, {{"payments", 0}, 100}});
    const auto stopped = previewed(fixture);
    CHECK(stopped.at("decision") == "data_loss");
    CHECK(stopped.at("ranges").as_array().empty());
    CHECK(stopped.at("losses").at(0).at("records_lost") == 188);
    fixture.orders().source.fail_on_data_loss = false;
    const auto over = previewed(fixture);
    CHECK(over.at("decision") == "run");
    CHECK(over.at("offsets") == 300'000);
}

TEST_CASE("a log that was cut below its position is shown as it would be read: from the cut") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 151'500}, {{"orders", 1}, 82'000}, {{"orders", 2}, 35'000}, {{"payments", 0}, 40'100}});
    fixture.cluster.truncated_at[{"orders", 0}] = 150'000;
    fixture.orders().source.fail_on_data_loss = false;
    const auto plan = previewed(fixture);
    CHECK(plan.at("losses").at(0).at("kind") == "truncated");
    CHECK(plan.at("offsets") == 1000);
    CHECK(plan.at("ranges").at(0).at("from") == 150'000);
}

TEST_CASE("a trigger with too little waits, and one with nothing says so") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 150'990}});
    fixture.cluster.facts.resize(1);
    fixture.orders().source.min_offsets_per_trigger = 1000;
    pipeline::Status live;
    live.batches_committed = 1;
    fixture.commit(fixture.put_plan({{{"orders", 0}, 150'990, 150'995}}));
    const auto waits = previewed(fixture, &live);
    CHECK(waits.at("decision") == "wait");
    CHECK(waits.at("backlog") == 5);
    fixture.cluster.facts[0].latest = 150'995;
    fixture.orders().source.min_offsets_per_trigger.reset();
    CHECK(previewed(fixture).at("decision") == "nothing");
}

TEST_CASE("auto is the first batch's size offline, and the observed rate in a running daemon") {
    Fixture fixture;
    fixture.orders().source.max_offsets_per_trigger = config::Auto{};
    fixture.start_at({{{"orders", 0}, 1000}});
    CHECK(previewed(fixture).at("limits").at("max_offsets") == pipeline::first_batch_offsets);
    // 10,000 records in 431 ms; a second pipeline start would know nothing of them.
    fixture.commit(fixture.put_plan({{{"orders", 0}, 1000, 11'000}}));
    CHECK(previewed(fixture).at("limits").at("max_offsets") == pipeline::first_batch_offsets);
    pipeline::Status live;
    live.batches_committed = 1;
    CHECK(previewed(fixture, &live).at("limits").at("max_offsets") ==
          pipeline::auto_max_offsets(10'000 / 0.431));
}

TEST_CASE("advice goes by the batches on record, whoever asks") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 1000}});
    CHECK(previewed(fixture).at("batches_seen") == 0);
    CHECK(previewed(fixture).at("advice").at(0).at("value") == pipeline::first_batch_offsets);
    fixture.commit(fixture.put_plan({{{"orders", 0}, 1000, 11'000}}));  // in 431 ms
    const auto plan = previewed(fixture);
    CHECK(plan.at("batches_seen") == 1);
    const json::array& advice = plan.at("advice").as_array();
    REQUIRE(advice.size() == 3);
    CHECK(advice[0].at("option") == "maxOffsetsPerTrigger");
    CHECK(advice[0].at("value") == pipeline::auto_max_offsets(10'000 / 0.431));
    CHECK(advice[1].at("option") == "maxRecordsPerPartition");
    CHECK(advice[2].at("value").is_null());
}

TEST_CASE("advice is given while a batch is open too, and the cluster is not asked for it") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 1000}});
    fixture.commit(fixture.put_plan({{{"orders", 0}, 1000, 11'000}}));  // in 431 ms
    const auto open_batch = fixture.put_plan({{{"orders", 0}, 11'000, 11'500}});
    fixture.config.workers = 2;
    const auto advised = [&](const pipeline::Status* live) {
        const auto plan = previewed(fixture, live);
        CHECK(plan.at("decision") == "rerun");
        CHECK(plan.at("batches_seen") == 1);
        REQUIRE(plan.at("advice").as_array().size() == 3);
        CHECK(plan.at("advice").at(0).at("value") == pipeline::auto_max_offsets(10'000 / 0.431));
        return std::string(plan.at("advice").at(2).at("why").as_string());
    };
    CHECK(advised(nullptr).find("a batch of 500 offsets") == 0);
    pipeline::Status live;
    live.batch_id = open_batch;
    live.backlog = 7000;
    CHECK(advised(&live).find("a batch of 7,000 offsets") == 0);
    CHECK(fixture.cluster.asked == 0);
}

TEST_CASE("a paused pipeline's plan says that nothing runs") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 1000}});
    REQUIRE(fixture.store->put_run_state("orders", checkpoints::RunState::paused, {fixture.clock.now, "pause", ""}));
    CHECK(text_of(Result<json::object>(previewed(fixture))).find("sluice resume orders") != std::string::npos);
}

}  // namespace sluice::operations
