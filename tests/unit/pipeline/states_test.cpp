// What a pipeline says of itself, and what it waits for when it rests.

#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

#include "tests/unit/pipeline/world.hpp"

using namespace sluice;
using namespace sluice::pipeline;
using namespace sluice::pipeline::testing;
using namespace std::chrono_literals;

TEST_CASE("a pipeline that failed by a fault that can pass starts again by itself, and says when") {
    World world;
    world.config.trigger.kind = config::TriggerKind::processing_time;
    world.config.trigger.interval = 1ms;
    world.config.errors.restart_delay_max = 30ms;
    world.kafka.set("orders", 0, 0, 20);
    std::atomic<int> failures{0};
    world.kafka.before_facts = [&]() -> Result<void> {
        if (failures++ < 3) return Error{ErrorCode::failed, "an answer nobody expected"};
        return {};
    };
    bool said_when = false;
    const Status status = world.run([&](Pipeline& pipeline) {
        const Status now = pipeline.status();
        said_when = said_when || (now.state == State::failed && now.retry_at && !now.reason.empty());
        if (now.state == State::caught_up) pipeline.shut_down();
    });
    CHECK(said_when);
    CHECK(status.restarts == 3);
    CHECK(world.exit_code == 0);
    CHECK(world.target.visible == world.everything());
}

TEST_CASE("a pipeline that is held stays at rest, whatever is due or asked of it, until it is released") {
    World world;
    world.config.trigger.kind = config::TriggerKind::processing_time;
    world.config.trigger.interval = 1ms;
    world.config.errors.restart_delay_max = 500ms;
    world.kafka.set("orders", 0, 0, 20);
    std::atomic<int> asked{0};
    world.kafka.before_facts = [&]() -> Result<void> {
        if (asked++ == 0) return Error{ErrorCode::failed, "an answer nobody expected"};
        return {};
    };
    enum { before, held, released, over } stage = before;
    SteadyTime since{};
    world.run([&](Pipeline& pipeline) {
        const SteadyTime now = world.clock->steady();
        if (stage == before && pipeline.status().state == State::failed) {
            REQUIRE(pipeline.hold());
            CHECK_FALSE(pipeline.hold());
            since = now;
            stage = held;
            pipeline.restart();
        } else if (stage == held && now - since > 700ms) {  // a restart was due, and asked for
            CHECK(asked == 1);
            stage = released;
            pipeline.release();
        } else if (stage == released && pipeline.status().state == State::caught_up) {
            CHECK_FALSE(pipeline.hold());
            pipeline.shut_down();
            stage = over;
        }
    });
    CHECK(stage == over);
    CHECK(world.target.visible == world.everything());
}

TEST_CASE("a pause keeps the sink open; a restart of a paused pipeline has it opened anew at the resume") {
    for (const bool restarts : {false, true}) {
        CAPTURE(restarts);
        World world;
        world.config.trigger = {config::TriggerKind::processing_time, 5ms};
        world.kafka.set("orders", 0, 0, 12);
        enum { before, resumed, over } stage = before;
        world.run([&](Pipeline& pipeline) {
            const State now = pipeline.status().state;
            if (stage == before && now == State::caught_up) {
                pipeline.set_run_state(checkpoints::RunState::paused);
            } else if (stage == before && now == State::paused) {
                if (restarts) pipeline.restart();
                pipeline.set_run_state(checkpoints::RunState::running);
                stage = resumed;
            } else if (stage == resumed && now == State::caught_up) {
                pipeline.shut_down();
                stage = over;
            }
        });
        CHECK(stage == over);
        const auto& calls = world.target.calls;
        CHECK(std::count_if(calls.begin(), calls.end(), [](const auto& call) { return call.starts_with("open "); }) ==
              (restarts ? 2 : 1));
    }
}

TEST_CASE("a sink is told to hurry when its batch is aborted, not while that may still commit") {
    for (const bool aborts : {false, true}) {
        CAPTURE(aborts);
        World world;
        world.config.trigger = {config::TriggerKind::processing_time, 1ms};
        world.kafka.set("orders", 0, 0, 5);
        std::atomic<bool> reading{false};
        std::atomic<bool> goes_on{false};
        world.kafka.before_read = [&](const plan::PlannedRange&) -> Result<void> {
            reading = true;
            while (!goes_on) std::this_thread::sleep_for(1ms);
            return {};
        };
        int looks = 0;
        world.run([&](Pipeline& pipeline) {
            if (!reading) return;
            if (looks == 0) pipeline.shut_down();
            if (++looks == 20) {
                CHECK_FALSE(*world.target.stopping.load());
                if (aborts) pipeline.abort();
                CHECK(*world.target.stopping.load() == aborts);
                goes_on = true;
            }
        });
        CHECK(looks >= 20);
        if (!aborts) CHECK(world.target.visible == world.everything());
    }
}

TEST_CASE("a pipeline that has not looked yet does not say that nothing waits") {
    World world;
    world.config.trigger = {config::TriggerKind::processing_time, 1ms};
    world.kafka.set("orders", 0, 0, 20);
    REQUIRE(world.store->put_run_state("orders", checkpoints::RunState::paused, {}));
    bool looked = false;
    const Status last = world.run([&](Pipeline& pipeline) {
        const Status now = pipeline.status();
        if (!looked && now.state == State::paused) {
            CHECK_FALSE(now.backlog);
            looked = true;
            REQUIRE(world.store->put_run_state("orders", checkpoints::RunState::running, {}));
            pipeline.set_run_state(checkpoints::RunState::running);
        }
        if (now.state == State::caught_up) pipeline.shut_down();
    });
    CHECK(looked);
    CHECK(last.backlog == 0);
}

TEST_CASE("what is known of partitions while the last plan is run again is not how much waits") {
    World world;
    world.config.trigger = {config::TriggerKind::processing_time, 1ms};
    world.kafka.set("orders", 0, 0, 8);
    enum { first, again, over };
    std::atomic<int> stage = first;
    world.target.answer = [&](const std::string& call) -> sink::Reply {
        if (stage == first && call.starts_with("commit ")) return {sink::Status::fatal, "not today", ""};
        return {};
    };
    world.run([&](Pipeline& pipeline) {
        if (pipeline.status().state == State::failed) pipeline.shut_down();
    });
    stage = again;
    std::atomic<bool> looking{false};
    world.kafka.before_facts = [&]() -> Result<void> {
        looking = true;
        while (stage == again) std::this_thread::sleep_for(1ms);
        return {};
    };
    world.run([&](Pipeline& pipeline) {
        if (looking && stage == again) {
            const Status now = pipeline.status();
            CHECK(now.batches_committed == 1);
            CHECK_FALSE(now.backlog);
            CHECK(now.partitions.at({"orders", 0}).position == 8);
            CHECK_FALSE(now.partitions.at({"orders", 0}).latest);
            stage = over;
            pipeline.shut_down();
        }
    });
    CHECK(stage == over);
}

TEST_CASE("a pipeline that waits for its next attempt leaves the workers to the others") {
    World world;
    world.config.errors.retry_delay_max = 50ms;
    world.kafka.set("orders", 0, 0, 8);
    int failures = 0;
    world.target.answer = [&](const std::string& call) -> sink::Reply {
        if (call.starts_with("commit ") && failures++ < 3) return {sink::Status::retry, "away", ""};
        return {};
    };
    int waits = 0;
    world.run([&](Pipeline& pipeline) {
        const Status now = pipeline.status();
        if (now.state != State::retrying || !now.retry_at) return;
        CHECK(now.batch_id);
        CHECK(*world.busy == 0);
        ++waits;
    });
    CHECK(waits > 0);
    CHECK(world.target.visible == world.everything());
}

TEST_CASE("a pipeline that failed by data loss, configuration or another owner waits for a person") {
    for (const auto code : {ErrorCode::data_loss, ErrorCode::configuration, ErrorCode::locked, ErrorCode::fatal}) {
        CAPTURE(name_of(code));
        World world;
        world.config.trigger.kind = config::TriggerKind::processing_time;
        world.config.trigger.interval = 1ms;
        world.config.errors.restart_delay_max = 1ms;
        world.kafka.set("orders", 0, 0, 20);
        std::atomic<int> asked{0};
        world.kafka.before_facts = [&]() -> Result<void> {
            ++asked;
            return Error{code, "no"};
        };
        int seen = 0;
        const Status status = world.run([&](Pipeline& pipeline) {
            if (pipeline.status().state != State::failed) return;
            CHECK_FALSE(pipeline.status().retry_at);
            if (++seen == 20) pipeline.shut_down();  // a restart was due long ago
        });
        CHECK(asked == 1);
        CHECK(status.restarts == 0);
    }
}

TEST_CASE("STARTING until the first look-up is done, RUNNING while a batch moves, STOPPED when told to") {
    World world;
    world.config.trigger = {config::TriggerKind::processing_time, 1ms};
    world.kafka.set("orders", 0, 0, 5);
    std::atomic<bool> looking{false};
    std::atomic<bool> reading{false};
    std::atomic<int> seen{0};
    const auto hold_until = [&](std::atomic<bool>& here, int step) -> Result<void> {
        here = true;
        while (seen < step) std::this_thread::sleep_for(1ms);
        return {};
    };
    world.kafka.before_facts = [&] { return hold_until(looking, 1); };
    world.kafka.before_read = [&](const plan::PlannedRange&) { return hold_until(reading, 2); };
    world.run([&](Pipeline& pipeline) {
        const State now = pipeline.status().state;
        if (seen == 0 && looking) {
            CHECK(now == State::starting);
            seen = 1;
        } else if (seen == 1 && reading) {
            CHECK(now == State::running);
            seen = 2;
        } else if (seen == 2 && now == State::caught_up) {
            pipeline.set_run_state(checkpoints::RunState::stopped);
            seen = 3;
        } else if (seen == 3 && now == State::stopped) {
            pipeline.shut_down();
            seen = 4;
        }
    });
    CHECK(seen == 4);
    CHECK(world.target.visible == world.everything());
}

TEST_CASE("a look-up that failed is RETRYING until one succeeds, also while it is tried") {
    World world;
    world.config.trigger = {config::TriggerKind::processing_time, 1ms};
    world.kafka.set("orders", 0, 0, 5);
    std::atomic<int> asked{0};
    std::atomic<bool> may_end{false};
    world.kafka.before_facts = [&]() -> Result<void> {
        if (asked++ == 0) return Error{ErrorCode::unavailable, "no broker answers", true};
        while (!may_end) std::this_thread::sleep_for(1ms);
        return {};
    };
    world.run([&](Pipeline& pipeline) {
        const Status now = pipeline.status();
        if (asked == 2 && !may_end) {
            CHECK(now.state == State::retrying);
            CHECK(now.reason == "no broker answers");
            CHECK(now.attempt == 1);
            CHECK_FALSE(now.retry_at);
            may_end = true;
        }
        if (now.state == State::caught_up) pipeline.shut_down();
    });
    CHECK(world.target.visible == world.everything());
}

TEST_CASE("a sink that hangs while it is opened is STALLED, with what hangs") {
    World world;
    LeapingClock clock;
    world.clock = &clock;
    world.kafka.set("orders", 0, 0, 5);
    std::atomic<bool> opening{false};
    std::atomic<bool> may_end{false};
    world.target.answer = [&](const std::string& call) -> sink::Reply {
        if (call.starts_with("open ")) {
            opening = true;
            while (!may_end) std::this_thread::sleep_for(1ms);
        }
        return {};
    };
    std::string reason;
    world.run([&](Pipeline& pipeline) {
        if (!opening || may_end) return;
        clock.leap(1min);
        const Status now = pipeline.status();
        CHECK(now.state == State::stalled);
        reason = now.reason;
        may_end = true;
    });
    CHECK_MESSAGE(reason.find("\"open\" has not moved") != std::string::npos, reason);
    CHECK(world.target.visible == world.everything());
}

TEST_CASE("a look-up that hangs before a batch is STALLED, with what hangs and how much is waiting") {
    World world;
    world.config.trigger.kind = config::TriggerKind::processing_time;
    world.config.trigger.interval = 1ms;
    world.kafka.set("orders", 0, 0, 20);
    LeapingClock clock;
    world.clock = &clock;
    std::atomic<bool> caught_up{false};
    std::atomic<bool> hanging{false};
    std::atomic<bool> may_end{false};
    world.kafka.before_facts = [&]() -> Result<void> {
        if (caught_up) {
            hanging = true;
            while (!may_end) std::this_thread::sleep_for(1ms);
        }
        return {};
    };
    std::string reason;
    world.run([&](Pipeline& pipeline) {
        const Status now = pipeline.status();
        if (now.state == State::caught_up && !caught_up) {
            caught_up = true;
        } else if (hanging && !may_end) {
            clock.leap(1min);
            if (now.state != State::stalled) return;
            reason = now.reason;
            may_end = true;
            pipeline.shut_down();
        }
    });
    CHECK_MESSAGE(reason.find("look up offsets") != std::string::npos, reason);
}

TEST_CASE("partitions that come and go are told of as they are, and the others keep what was known of them") {
    World world;
    world.config.trigger = {config::TriggerKind::processing_time, 1ms};
    world.config.source.fail_on_data_loss = false;
    for (const int partition : {0, 1, 3}) world.kafka.set("orders", partition, 0, 2);
    std::atomic<bool> changes{false};
    world.kafka.before_facts = [&]() -> Result<void> {
        if (!changes) return {};
        const std::lock_guard lock(world.kafka.mutex);
        world.kafka.partitions.erase({"orders", 0});
        world.kafka.set("orders", 2, 0, 5);
        world.kafka.set("orders", 4, 0, 0);
        return {};
    };
    std::map<TopicPartition, PartitionStatus> seen;
    world.run([&](Pipeline& pipeline) {
        const Status status = pipeline.status();
        if (status.state != State::caught_up) return;
        if (!changes) {
            CHECK(status.partitions.size() == 3);
            changes = true;
        } else if (status.backlog == 0 && status.partitions.contains({"orders", 4})) {
            seen = status.partitions;
            pipeline.shut_down();
        }
    });
    REQUIRE(seen.size() == 4);
    CHECK_FALSE(seen.contains({"orders", 0}));
    CHECK(seen[{"orders", 1}].position == 2);
    CHECK(seen[{"orders", 1}].last_record_ms == 1001);
    CHECK(seen[{"orders", 2}].position == 5);
    CHECK(seen[{"orders", 2}].latest == 5);
    CHECK(seen[{"orders", 2}].last_record_ms == 1004);
    CHECK_FALSE(seen[{"orders", 4}].last_record_ms.has_value());
}
