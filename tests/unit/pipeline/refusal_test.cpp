#include <doctest/doctest.h>

#include "daemon/pipeline/refusals.hpp"
#include "tests/unit/pipeline/world.hpp"

using namespace sluice;
using namespace sluice::pipeline;
using namespace sluice::pipeline::testing;

namespace {

using Offsets = std::multiset<std::int64_t>;

struct TolerantWorld : World {
    explicit TolerantWorld(std::int32_t refusal) {
        config.errors.tolerance = config::Errors::Tolerance::all;
        config.errors.dead_letter_topic = "orders.dead";
        config.source.max_offsets_per_trigger = std::int64_t{20};
        kafka.set("orders", 0, 0, 20);
        kafka.chunk_records = 7;
        target.bad = {3, 4, 19};
        target.refusal = refusal;
    }
};

FakeTarget::Records all_but_bad(const World& world) {
    FakeTarget::Records records = world.everything();
    std::erase_if(records, [&](const auto& record) { return world.target.bad.contains(record.second); });
    return records;
}

}  // namespace

TEST_CASE("refused records go to the dead letters, whatever form the sink refuses them in") {
    for (const auto refusal : {SLUICE_REJECT_WHICH, SLUICE_REJECT_ALL, SLUICE_REJECT_BATCH_LOST}) {
        CAPTURE(refusal);
        TolerantWorld world(refusal);
        const Status status = world.run();
        CHECK(status.state == State::done);
        CHECK(status.records_dead_lettered == 3);
        CHECK(world.target.visible == all_but_bad(world));
        CHECK(world.letters.settled.at(0) == Offsets{3, 4, 19});
        const auto batch = *world.store->batch("orders", 0);
        REQUIRE(batch.commit);
        CHECK(batch.commit->books.at(0).polled == 20);
        CHECK(batch.commit->books.at(0).accepted == 17);
        CHECK(batch.commit->books.at(0).dead_lettered == 3);
        const auto listed = *world.store->refused("orders", 0);
        REQUIRE(listed.size() == 3);
        CHECK(listed.front().topic_partition == orders0);
        CHECK(listed.front().offset == 3);
        CHECK_FALSE(listed.front().reason.empty());
    }
}

TEST_CASE("a lost batch is run again with the same ranges, without the records that lost it") {
    TolerantWorld world(SLUICE_REJECT_BATCH_LOST);
    world.run();
    const auto begins = std::count_if(world.target.calls.begin(), world.target.calls.end(),
                                      [](const std::string& call) { return call.starts_with("begin 0"); });
    CHECK(begins == 3);  // 3 and 4 are in one call, 19 in another
    CHECK(world.store->batch("orders", 0)->plan.ranges.at(0).range.until == 20);
}

TEST_CASE("records refused only when a writer is closed, or at the commit, go to the dead letters too") {
    for (const char* const call : {"close_writer", "commit"}) {
        CAPTURE(call);
        TolerantWorld world(SLUICE_REJECT_WHICH);
        world.target.refused_late = call;
        CHECK(world.run().state == State::done);
        CHECK(world.target.visible == all_but_bad(world));
        CHECK(world.letters.settled.at(0) == Offsets{3, 4, 19});
        CHECK(world.store->batch("orders", 0)->commit->books.at(0).dead_lettered == 3);
        CHECK(world.store->batch("orders", 0)->commit->attempts == 1);  // nobody had to wait
    }
}

TEST_CASE("a batch that was lost without a refused record is run again as it is") {
    TolerantWorld world(SLUICE_REJECT_WHICH);
    world.target.bad.clear();
    int losses = 2;
    world.target.write = [&](const sluice_record& record) -> sink::WriteReply {
        if (record.offset != 12 || losses-- <= 0) return {};
        return {sink::Status::reject, "the connection was lost", SLUICE_REJECT_BATCH_LOST, {}};
    };
    CHECK(world.run().state == State::done);
    CHECK(losses == -1);
    CHECK(world.target.visible == world.everything());
    CHECK(world.letters.settled.empty());
    CHECK(world.store->batch("orders", 0)->commit->attempts == 3);
}

TEST_CASE("records known to be refused are left out after a crash, and written to the dead letters") {
    TolerantWorld world(SLUICE_REJECT_WHICH);
    REQUIRE(world.store->put_initial("orders", "{}", {{orders0, {0, -1, "id-1", -1}}}));
    REQUIRE(world.store->put_plan("orders", {0, from_epoch_ms(1), {{{orders0, 0, 20}, -1, "id-1", {}}}}, {}));
    REQUIRE(world.store->put_refused("orders", 0, {{orders0, 5, "seen before"}}));
    world.run();
    CHECK(world.letters.settled.at(0) == Offsets{3, 4, 5, 19});
    CHECK_FALSE(world.target.visible.contains({orders0, 5}));
    CHECK(world.store->batch("orders", 0)->commit->books.at(0).dead_lettered == 4);
}

TEST_CASE("a batch that the sink has already is counted with its dead letters, which are not written again") {
    TolerantWorld world(SLUICE_REJECT_WHICH);
    REQUIRE(world.store->put_initial("orders", "{}", {{orders0, {0, -1, "id-1", -1}}}));
    REQUIRE(world.store->put_plan("orders", {0, from_epoch_ms(1), {{{orders0, 0, 20}, -1, "id-1", {}}}}, {}));
    REQUIRE(world.store->put_refused("orders", 0, {{orders0, 3, "a"}, {orders0, 4, "b"}, {orders0, 19, "c"}}));
    world.target.visible = all_but_bad(world);
    world.target.committed[0] = world.target.visible;
    world.run();
    CHECK(world.letters.settled.empty());
    const auto books = world.store->batch("orders", 0)->commit->books.at(0);
    CHECK(books.accepted == 17);
    CHECK(books.dead_lettered == 3);
}

TEST_CASE("dead letters that cannot be made durable hold the batch back") {
    TolerantWorld world(SLUICE_REJECT_WHICH);
    int failures = 2;
    world.letters.on_settle = [&]() -> Result<void> {
        CHECK(world.target.committed.empty());
        if (failures-- > 0) return Error{ErrorCode::unavailable, "no broker", true};
        return {};
    };
    const Status status = world.run();
    CHECK(status.state == State::done);
    CHECK(failures == -1);
    CHECK(world.target.visible == all_but_bad(world));
    CHECK(world.letters.settled.at(0) == Offsets{3, 4, 19});
}

TEST_CASE("without tolerance the one refused record is found and named, with the command that skips it") {
    for (const auto refusal : {SLUICE_REJECT_WHICH, SLUICE_REJECT_ALL, SLUICE_REJECT_BATCH_LOST}) {
        CAPTURE(refusal);
        TolerantWorld world(refusal);
        world.config.errors = {};
        const Status status = world.run();
        CHECK(status.state == State::failed);
        CHECK(status.reason.find("record orders-0@3: ") != std::string::npos);
        CHECK(status.reason.find("sluice offsets skip orders orders/0@3 --execute") != std::string::npos);
        CHECK(world.target.visible.empty());
        CHECK_FALSE(world.store->batch("orders", 0)->commit);
    }
}

TEST_CASE("without tolerance a record refused at the commit is named as well, and nothing is visible") {
    TolerantWorld world(SLUICE_REJECT_WHICH);
    world.config.errors = {};
    world.target.refused_late = "commit";
    const Status status = world.run();
    CHECK(status.state == State::failed);
    CHECK(status.reason.find("record orders-0@3: not a number") != std::string::npos);
    CHECK(world.target.visible.empty());
}

TEST_CASE("a sink that refuses everything stops the pipeline instead of filling the dead letters") {
    Refusals refusals;
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(refused_records_max); ++i) {
        REQUIRE(refusals.add(orders0, i, "no"));
    }
    CHECK(refusals.add(orders0, 0, "no"));  // known
    const auto refused = refusals.add(orders0, 1'000'000, "no");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::fatal);
    CHECK(refused.error().message.find("orders-0@1000000") != std::string::npos);
}
