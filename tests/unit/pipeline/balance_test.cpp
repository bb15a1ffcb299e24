// Counts that contradict each other, or the plan: nothing may be committed on their word.

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/pipeline/world.hpp"

using namespace sluice;
using namespace sluice::pipeline;
using namespace sluice::pipeline::testing;

namespace {

/// Ten offsets, of which one has no record, counted wrongly.
struct Miscounted : World {
    Miscounted() {
        kafka.set("orders", 0, 0, 10);
        kafka.invisible.insert({orders0, 4});
    }
    std::int64_t calls(const std::string& call) const {
        return std::count(target.calls.begin(), target.calls.end(), call);
    }
};

}  // namespace

TEST_CASE("a batch whose counts do not balance is committed neither by its sink nor here, and runs when they do") {
    Miscounted world;
    SUBCASE("a record that was handed over is not counted") {
        world.kafka.amend_counts = [](kafka::RangeCounts& counts) { --counts.polled; };
    }
    SUBCASE("a record is counted that nobody was handed") {
        world.kafka.amend_counts = [](kafka::RangeCounts& counts) { ++counts.polled; };
    }
    SUBCASE("a record that was handed over is counted as a gap") {
        world.kafka.amend_counts = [](kafka::RangeCounts& counts) { --counts.polled, ++counts.gaps; };
    }
    SUBCASE("an offset is nowhere") {
        world.kafka.amend_counts = [](kafka::RangeCounts& counts) { counts.gaps = 0; };
    }
    SUBCASE("there are more offsets than were planned") {
        world.kafka.amend_counts = [](kafka::RangeCounts& counts) { ++counts.gaps; };
    }
    const Status status = world.run();
    CHECK(status.state == State::failed);
    CHECK(status.error_code == ErrorCode::fatal);
    CHECK_MESSAGE(status.reason.find("orders-0 [0, 10): the books do not balance") != std::string::npos, status.reason);
    CHECK(world.target.visible.empty());
    CHECK(world.calls("commit 0") == 0);
    CHECK(world.calls("abort 0") == 1);
    const auto state = world.store->load("orders");
    REQUIRE(state);
    CHECK(state->unfinished);
    CHECK(state->positions.at(orders0).offset == 0);

    world.kafka.amend_counts = {};
    CHECK(world.run().state == State::done);
    CHECK(world.target.visible == world.everything());
    CHECK(world.store->load("orders")->positions.at(orders0).offset == 10);
}

TEST_CASE("what a sink has already is committed here only when the second count of it balances") {
    Miscounted world;
    world.target.answer = [&](const std::string& call) -> sink::Reply {
        if (call != "commit 0") return {};
        world.target.committed[0] = world.target.visible = world.target.staged;
        return {sink::Status::fatal, "the answer was lost", ""};
    };
    CHECK(world.run().state == State::failed);
    world.target.answer = {};
    world.kafka.amend_counts = [](kafka::RangeCounts& counts) { --counts.polled; };
    CHECK(world.run().state == State::failed);
    CHECK(world.store->load("orders")->unfinished);
    CHECK(world.store->load("orders")->positions.at(orders0).offset == 0);
    world.kafka.amend_counts = {};
    CHECK(world.run().state == State::done);
    CHECK(world.target.visible == world.everything());
}
