#include <doctest/doctest.h>

#include <atomic>

#include "tests/unit/pipeline/doubtful_store.hpp"
#include "tests/unit/pipeline/world.hpp"

using namespace sluice;
using namespace sluice::pipeline;
using namespace sluice::pipeline::testing;
using namespace std::chrono_literals;

namespace {

using Retries = std::map<Stage, std::uint64_t>;

}  // namespace

TEST_CASE("availableNow delivers everything once, in capped batches, and is done") {
    World world;
    world.kafka.set("orders", 0, 0, 25);
    world.kafka.set("orders", 1, 5, 12);
    const Status status = world.run();
    CHECK(status.state == State::done);
    CHECK(world.exit_code == 0);
    CHECK(world.target.visible == world.everything());
    const auto batches = *world.store->batches("orders", 100);
    REQUIRE(batches.size() == 4);  // 32 offsets, at most 10 a batch
    for (const auto& batch : batches) {
        std::uint64_t offsets = 0;
        for (const auto& range : batch.plan.ranges) offsets += plan::size_of(range.range);
        CHECK(offsets <= 10);
        REQUIRE(batch.commit);
        CHECK(batch.commit->state == checkpoints::BatchState::committed);
    }
    CHECK((*world.store->load("orders")).positions.at(orders0).offset == 25);
    CHECK(world.store->load("orders")->receipt->bytes == "receipt 3");
    CHECK(status.partitions.at(orders0).last_record_ms == 1024);
    CHECK(status.batches_aborted == 0);
}

TEST_CASE("a first start asks the cluster once: its first batch is planned by what its offsets were counted from") {
    World world;
    LeapingClock clock;
    world.clock = &clock;
    world.kafka.set("orders", 0, 5, 13);
    int asked = 0;
    int asked_in_all = 1;
    world.kafka.before_facts = [&]() -> Result<void> { return ++asked, Result<void>{}; };
    SUBCASE("within a second") {}
    SUBCASE("not when the answer is old by the time the trigger comes") {
        asked_in_all = 2;
        world.kafka.before_facts = [&]() -> Result<void> {
            if (++asked == 1) clock.leap(2s);
            return {};
        };
    }
    SUBCASE("nor when it would be called a loss: that is asked with patience") {
        asked_in_all = 2;
        world.kafka.amend_facts = [](auto& facts, const auto& known) {
            if (known.empty()) facts.at(0).latest = 3;  // of a leader that is new
        };
    }
    CHECK(world.run().state == State::done);
    CHECK(asked == asked_in_all);
    CHECK(world.target.visible == world.everything());
    CHECK(world.store->losses("orders")->empty());
}

TEST_CASE("a second run goes on from the checkpoint, with the receipt handed back") {
    World world;
    world.kafka.set("orders", 0, 0, 10);
    world.run();
    world.kafka.set("orders", 0, 0, 15);
    world.target.calls.clear();
    world.run();
    CHECK(world.target.calls.front() == "open receipt 0");
    CHECK(world.target.visible == world.everything());
}

TEST_CASE("offsets without a record are counted as gaps") {
    World world;
    world.kafka.set("orders", 0, 0, 5);
    world.kafka.invisible = {{orders0, 1}, {orders0, 4}};
    world.run();
    const auto batch = *world.store->batch("orders", 0);
    REQUIRE(batch.commit);
    CHECK(batch.commit->books.at(0).polled == 3);
    CHECK(batch.commit->books.at(0).gaps == 2);
    CHECK(world.target.visible == world.everything());
}

TEST_CASE("a plan left behind by a crash is run again under its own id and ranges") {
    World world;
    world.kafka.set("orders", 0, 0, 30);
    REQUIRE(world.store->put_initial("orders", "{}", {{orders0, {0, -1, "id-1", -1}}}));
    checkpoints::Plan plan{0, from_epoch_ms(1), {{{orders0, 0, 17}, -1, "id-1", {}}}};
    REQUIRE(world.store->put_plan("orders", plan, {}));
    world.run();
    const auto begin = std::find(world.target.calls.begin(), world.target.calls.end(), "begin 0 again");
    CHECK(begin != world.target.calls.end());
    CHECK(world.store->batch("orders", 0)->plan.ranges.at(0).range.until == 17);
    CHECK(world.target.visible == world.everything());
}

TEST_CASE("a batch the sink already has is counted, not written again") {
    World world;
    world.kafka.set("orders", 0, 0, 7);
    REQUIRE(world.store->put_initial("orders", "{}", {{orders0, {0, -1, "id-1", -1}}}));
    REQUIRE(world.store->put_plan("orders", {0, from_epoch_ms(1), {{{orders0, 0, 7}, -1, "id-1", {}}}}, {}));
    for (std::int64_t i = 0; i < 7; ++i) world.target.visible.insert({orders0, i});
    world.target.committed[0] = world.target.visible;
    world.run();
    CHECK(world.target.visible == world.everything());
    CHECK(world.store->batch("orders", 0)->commit->books.at(0).polled == 7);

    SUBCASE("and when it can't be read any more, it is recovered") {
        World late;
        late.kafka.set("orders", 0, 5, 7);
        REQUIRE(late.store->put_initial("orders", "{}", {{orders0, {0, -1, "id-1", -1}}}));
        REQUIRE(late.store->put_plan("orders", {0, from_epoch_ms(1), {{{orders0, 0, 7}, -1, "id-1", {}}}}, {}));
        late.target.committed[0] = {};
        CHECK(late.run().state == State::done);
        CHECK(late.store->batch("orders", 0)->commit->state == checkpoints::BatchState::recovered);
        CHECK(late.store->load("orders")->positions.at(orders0).offset == 7);
    }
}

TEST_CASE("a commit in doubt is aborted and begun again, and leaves no duplicate") {
    World world;
    world.kafka.set("orders", 0, 0, 8);
    int doubts = 0;
    world.target.answer = [&](const std::string& call) -> sink::Reply {
        if (call == "commit 0" && ++doubts == 1) {
            // It went through, only its answer was lost.
            world.target.committed[0] = world.target.staged;
            world.target.visible = world.target.staged;
            return {sink::Status::retry, "connection lost", ""};
        }
        return {};
    };
    CHECK(world.run().state == State::done);
    CHECK(world.target.visible == world.everything());
    const auto& calls = world.target.calls;
    const auto abort = std::find(calls.begin(), calls.end(), "abort 0");
    REQUIRE(abort != calls.end());
    CHECK(*(abort + 1) == "begin 0 again");
}

TEST_CASE("a sink that asks for a retry gets the same records until it takes them") {
    World world;
    world.kafka.set("orders", 0, 0, 8);
    int refusals = 0;
    world.target.write = [&](const sluice_record& record) -> sink::WriteReply {
        if (record.offset == 3 && ++refusals <= 6) return {sink::Status::retry, "busy", 0, {}};
        return {};
    };
    const Status status = world.run([&](Pipeline& pipeline) {
        const Status now = pipeline.status();
        if (now.state != State::retrying) return;
        CHECK(now.attempt >= 1);
        CHECK(now.reason.find("busy") != std::string::npos);
    });
    CHECK(status.state == State::done);
    CHECK(refusals == 7);
    CHECK(world.target.visible == world.everything());
    CHECK(world.store->batch("orders", 0)->commit->attempts == 2);
    CHECK(status.retries == Retries{{Stage::sink_write, 1}});
    CHECK(status.batches_aborted == 1);
}

TEST_CASE("what is tried again is counted by what failed") {
    for (const auto& [failing, stage] : {std::pair{std::string("open without receipt"), Stage::open},
                                         {"begin 0", Stage::sink_begin},
                                         {"open_writer", Stage::sink_write},
                                         {"close_writer", Stage::sink_write},
                                         {"commit 0", Stage::sink_commit},
                                         {"facts 1", Stage::open},  // startingOffsets need them
                                         {"facts 2", Stage::look_up},
                                         {"read", Stage::read},
                                         {"topic ids", Stage::look_up}}) {
        CAPTURE(failing);
        World world;
        LeapingClock clock;
        world.clock = &clock;
        world.kafka.set("orders", 0, 0, 8);
        std::set<std::string> failed;
        const auto fails = [&](const std::string& call) { return call == failing && failed.insert(call).second; };
        const auto ask = [&](const std::string& call) -> Result<void> {
            if (fails(call)) return Error{ErrorCode::unavailable, "not now", true};
            return {};
        };
        world.target.answer = [&](const std::string& call) -> sink::Reply {
            if (fails(call)) return {sink::Status::retry, "not now", ""};
            return {};
        };
        int looked = 0;
        world.kafka.before_facts = [&] {
            clock.leap(2s);  // what a first start was counted from is too old for its trigger
            return ask("facts " + std::to_string(++looked));
        };
        world.kafka.before_read = [&](const plan::PlannedRange&) { return ask("read"); };
        world.kafka.before_ids = [&] { return ask("topic ids"); };
        const Status status = world.run();
        CHECK(status.state == State::done);
        CHECK(status.retries == Retries{{stage, 1}});
        const bool in_batch = failing != "facts 2" && stage != Stage::open;
        CHECK(status.batches_aborted == (in_batch ? 1 : 0));
    }
}

TEST_CASE("retrying ends after errors.retry.timeout, with exit code 75") {
    World world;
    world.kafka.set("orders", 0, 0, 8);
    world.config.errors.retry_timeout = 30ms;
    world.target.answer = [](const std::string& call) -> sink::Reply {
        if (call.starts_with("open")) return {sink::Status::retry, "no route to the database", ""};
        return {};
    };
    const Status status = world.run();
    CHECK(status.state == State::failed);
    CHECK(world.exit_code == 75);
    CHECK(status.reason.find("no route to the database") != std::string::npos);
}

TEST_CASE("a refused record stops the pipeline, named, and nothing of its batch is visible") {
    World world;
    world.kafka.set("orders", 0, 0, 8);
    world.target.write = [](const sluice_record& record) -> sink::WriteReply {
        if (record.offset != 5) return {};
        return {sink::Status::reject, "", SLUICE_REJECT_WHICH, {{0, "not a number"}}};
    };
    const Status status = world.run();
    CHECK(status.state == State::failed);
    CHECK(world.exit_code == 1);
    CHECK(status.reason.find("orders-0@5: not a number") != std::string::npos);
    CHECK(world.target.visible.empty());
    CHECK(world.store->load("orders")->positions.at(orders0).offset == 0);
}

TEST_CASE("FATAL from any call of the sink fails the pipeline and commits nothing") {
    for (const char* fatal : {"open without receipt", "begin 0", "open_writer", "close_writer", "commit 0"}) {
        CAPTURE(fatal);
        World world;
        world.kafka.set("orders", 0, 0, 8);
        world.target.answer = [&](const std::string& call) -> sink::Reply {
            if (call == fatal) return {sink::Status::fatal, "somebody has to look", ""};
            return {};
        };
        const Status status = world.run();
        CHECK(status.state == State::failed);
        CHECK(status.reason.find("somebody has to look") != std::string::npos);
        CHECK(world.target.visible.empty());
        const auto state = world.store->load("orders");
        REQUIRE(state);
        for (const auto& [tp, position] : state->positions) CHECK(position.offset == 0);
    }
}

TEST_CASE("a batch that the sink has but the checkpoint never ran is refused") {
    World world;
    world.kafka.set("orders", 0, 0, 8);
    world.target.committed[0] = {};
    for (const bool waits_first : {false, true}) {
        CAPTURE(waits_first);
        if (waits_first) world.target.answer = [asked = false](const std::string& call) mutable -> sink::Reply {
            if (call != "begin 0" || std::exchange(asked, true)) return {};
            return {sink::Status::retry, "not now", ""};
        };
        // Also when it is started again: as a re-run it would count as delivered.
        for (int start = 0; start < 2; ++start) {
            const Status status = world.run();
            CHECK(status.state == State::failed);
            CHECK(status.reason.find("the checkpoint is older than the output") != std::string::npos);
            CHECK(world.store->load("orders")->unfinished);
        }
    }
    CHECK(world.store->audit("orders")->size() == 1);
}

TEST_CASE("data loss found at planning stops the pipeline with the command that continues") {
    World world;
    world.kafka.set("orders", 0, 0, 10);
    world.run();
    world.kafka.set("orders", 0, 14, 20);
    const Status status = world.run();
    CHECK(status.state == State::failed);
    CHECK(status.error_code == ErrorCode::data_loss);
    CHECK(status.reason.find("sluice losses accept orders --execute") != std::string::npos);
    const auto losses = *world.store->losses("orders");
    REQUIRE(losses.size() == 1);
    CHECK_FALSE(losses[0].accepted);
    CHECK(plan::records_lost(losses[0].loss) == 4);

    SUBCASE("and with failOnDataLoss: false it goes on, and the ledger has the loss once") {
        world.config.source.fail_on_data_loss = false;
        const Status went_on = world.run();
        CHECK(went_on.state == State::done);
        const auto after = *world.store->losses("orders");
        REQUIRE(after.size() == 1);
        CHECK(after[0].accepted);
        CHECK(went_on.records_lost.at(after[0].loss.kind) == plan::records_lost(after[0].loss));
        CHECK(world.store->load("orders")->positions.at(orders0).offset == 20);
        CHECK(world.target.visible.count({orders0, 14}) == 1);
    }
}

TEST_CASE("records that expire while their plan is being run are lost, counted, and nothing else is") {
    World world;
    world.config.source.fail_on_data_loss = false;
    world.config.source.max_offsets_per_trigger = config::Unlimited{};
    world.kafka.set("orders", 0, 0, 20);
    bool expired = false;
    world.kafka.before_read = [&](const plan::PlannedRange&) -> Result<void> {
        if (!expired) {
            expired = true;
            world.kafka.set("orders", 0, 6, 20);
        }
        return {};
    };
    const Status status = world.run();
    CHECK(status.state == State::done);
    CHECK(status.records_lost.at(plan::LossKind::expired) == 6);
    const auto batch = *world.store->batch("orders", 0);
    REQUIRE(batch.commit);
    CHECK(batch.commit->books.at(0).lost == 6);
    CHECK(batch.commit->books.at(0).polled == 14);
    CHECK(world.target.visible == world.everything());
    CHECK(world.store->losses("orders")->size() == 1);
}

TEST_CASE("a reader out of range without a loss behind it is tried again") {
    World world;
    world.kafka.set("orders", 0, 0, 20);
    int failures = 0;
    world.kafka.before_read = [&](const plan::PlannedRange&) -> Result<void> {
        if (++failures <= 2) return Error{ErrorCode::out_of_range, "a leader on the move"};
        return {};
    };
    CHECK(world.run().state == State::done);
    CHECK(world.target.visible == world.everything());
    CHECK(world.store->losses("orders")->empty());
}

TEST_CASE("an old end between the position and the plan's end is doubted, and no loss") {
    World world;
    world.config.source.fail_on_data_loss = false;
    world.config.source.max_offsets_per_trigger = config::Unlimited{};
    world.kafka.set("orders", 0, 0, 20);
    bool moved = false;
    world.kafka.before_read = [&](const plan::PlannedRange&) -> Result<void> {
        if (std::exchange(moved, true)) return {};
        // The new leader does not know yet how far it is; the look-up asks again where that is doubtful.
        world.kafka.amend_facts = [](auto& facts, const auto& known) {
            facts.at(0).latest = std::max<std::int64_t>(5, known.at(orders0).offset);
        };
        return Error{ErrorCode::out_of_range, "a leader on the move"};
    };
    CHECK(world.run().state == State::done);
    CHECK(world.target.visible == world.everything());
    CHECK(world.store->losses("orders")->empty());
}

TEST_CASE("a loss that a batch steps over is in the ledger before the sink has the batch") {
    World world;
    world.config.source.fail_on_data_loss = false;
    world.config.source.max_offsets_per_trigger = config::Unlimited{};
    world.kafka.set("orders", 0, 0, 20);
    int reads = 0;
    world.kafka.before_read = [&](const plan::PlannedRange&) -> Result<void> {
        if (++reads == 1) world.kafka.set("orders", 0, 6, 20);
        return {};
    };
    std::atomic<bool> doubt = false;
    world.target.answer = [&](const std::string& call) -> sink::Reply {
        if (call != "commit 0") return {};
        world.target.committed[0] = world.target.visible = world.target.staged;
        world.kafka.set("orders", 0, 12, 20);  // by the time anybody looks again
        doubt = true;
        return {sink::Status::retry, "the answer was lost", ""};
    };
    world.config.errors.retry_delay_max = 20s;
    world.run([&](Pipeline& pipeline) {
        if (doubt && pipeline.status().state == State::retrying) pipeline.abort();
    });
    CHECK(world.store->load("orders")->unfinished.has_value());
    world.target.answer = {};
    CHECK(world.run().state == State::done);
    CHECK(world.store->batch("orders", 0)->commit->state == checkpoints::BatchState::recovered);
    REQUIRE(world.store->losses("orders")->size() == 1);
    CHECK(plan::records_lost(world.store->losses("orders")->at(0).loss) == 6);
}

TEST_CASE("a write of the checkpoint that was refused, and is there all the same, stops nothing") {
    World world;
    auto doubtful = std::make_unique<DoubtfulStore>(
        std::move(world.store), std::set<std::string>{"initial", "receipt", "plan", "commit"});
    const DoubtfulStore& store = *doubtful;
    world.store = std::move(doubtful);
    world.target.answer = [](const std::string& call) {
        return sink::Reply{sink::Status::ok, "", call.starts_with("open ") ? "opened" : ""};
    };
    world.kafka.set("orders", 0, 0, 25);
    CHECK(world.run().state == State::done);
    CHECK(world.target.visible == world.everything());
    CHECK(world.store->load("orders")->positions.at(orders0).offset == 25);
    CHECK(store.is_through());
}

TEST_CASE("once takes everything in one batch, whatever the limits say") {
    World world;
    world.config.trigger.kind = config::TriggerKind::once;
    world.kafka.set("orders", 0, 0, 35);
    CHECK(world.run().state == State::done);
    CHECK(world.store->batches("orders", 10)->size() == 1);
    CHECK(world.target.visible == world.everything());
}

TEST_CASE("a pipeline under processingTime catches up, pauses, resumes and shuts down") {
    World world;
    world.config.trigger = {config::TriggerKind::processing_time, 5ms};
    world.kafka.set("orders", 0, 0, 12);
    int step = 0;
    world.run([&](Pipeline& pipeline) {
        const State now = pipeline.status().state;
        switch (step) {
            case 0:
                if (now != State::caught_up) return;
                pipeline.set_run_state(checkpoints::RunState::paused);
                break;
            case 1:
                if (now != State::paused) return;
                pipeline.set_run_state(checkpoints::RunState::running);
                break;
            case 2:
                if (now != State::caught_up) return;
                pipeline.shut_down();
                break;
            default: return;
        }
        ++step;
    });
    CHECK(step == 3);
    CHECK(world.target.visible == world.everything());
}

TEST_CASE("positions are exported to a group when asked for, and a group that refuses them stops nothing") {
    for (const bool refuses : {false, true}) {
        CAPTURE(refuses);
        World world;
        world.kafka.set("orders", 0, 0, 25);
        world.config.export_group = "lag-tools";
        world.kafka.before_export = [&]() -> Result<void> {
            if (refuses) return Error{ErrorCode::unavailable, "no coordinator", true};
            return {};
        };
        CHECK(world.run().state == State::done);
        CHECK(world.target.visible == world.everything());
        if (!refuses) CHECK(world.kafka.groups.at("lag-tools").at(orders0) == 25);
        CHECK(world.kafka.groups.empty() == refuses);
    }
}

TEST_CASE("a group that cannot be written is tried once a minute, not at every batch") {
    World world;
    LeapingClock clock;
    world.clock = &clock;
    world.config.trigger = {config::TriggerKind::processing_time, 1ms};
    world.config.export_group = "lag-tools";
    world.kafka.set("orders", 0, 0, 95);
    std::atomic<int> tries{0};
    std::atomic<bool> away{true};
    world.kafka.before_export = [&]() -> Result<void> {
        ++tries;
        if (away) return Error{ErrorCode::unavailable, "no coordinator", true};
        return {};
    };
    world.run([&](Pipeline& pipeline) {
        if (pipeline.status().state != State::caught_up) return;
        if (away) {
            CHECK(tries == 1);
            away = false;
            clock.leap(1min);
        } else if (tries == 2) {
            pipeline.shut_down();
        }
    });
    CHECK(world.kafka.groups.at("lag-tools").at(orders0) == 95);
}
