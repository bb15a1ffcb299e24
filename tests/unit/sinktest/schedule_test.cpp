#include "daemon/sinktest/schedule.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>

namespace sluice::sinktest {
namespace {

const sink::Batch batch{7, false, {{"a", 0, 0, 0, 9, ""}, {"a", 0, 1, 9, 12, ""}, {"b", 1, 2, 100, 101, ""}}};

/// Whether sink.h allows it: each range opened, written in order without a hole, and closed.
void check_legal(const std::vector<Step>& steps, bool one_at_a_time) {
    REQUIRE(steps.front().op == Op::begin);
    REQUIRE(steps.back().op == Op::commit);
    std::map<std::uint32_t, std::int64_t> next;
    std::set<std::uint32_t> open;
    for (std::size_t i = 1; i + 1 < steps.size(); ++i) {
        const Step& step = steps[i];
        const sink::Range& range = batch.ranges.at(step.range);
        if (step.op == Op::open_writer) {
            CHECK(next.emplace(step.range, range.from).second);
            open.insert(step.range);
        } else if (step.op == Op::write) {
            CHECK(open.contains(step.range));
            CHECK(next.at(step.range) == step.from);
            CHECK(step.until > step.from);
            next.at(step.range) = step.until;
        } else {
            REQUIRE(step.op == Op::close_writer);
            CHECK(open.erase(step.range) == 1);
            CHECK(next.at(step.range) == range.until);
        }
        if (one_at_a_time) CHECK(open.size() <= 1);
    }
    CHECK(next.size() == batch.ranges.size());
    CHECK(open.empty());
}

}  // namespace

TEST_CASE("every order of calls is one that sink.h allows") {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        Random random(seed);
        check_legal(steps_of(batch, Order::one_by_one, false, random), true);
        check_legal(steps_of(batch, Order::interleaved, false, random), false);
        check_legal(steps_of(batch, Order::interleaved, true, random), true);
    }
}

TEST_CASE("the same seed makes the same order") {
    Random one(5);
    Random same(5);
    const auto steps = steps_of(batch, Order::interleaved, false, one);
    const auto again = steps_of(batch, Order::interleaved, false, same);
    REQUIRE(steps.size() == again.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
        CHECK(to_string(steps[i], 7) == to_string(again[i], 7));
    }
}

}  // namespace sluice::sinktest
