#include <doctest/doctest.h>

#include "tests/unit/pipeline/world.hpp"

using namespace sluice;
using namespace sluice::pipeline;
using namespace sluice::pipeline::testing;

namespace {

const TopicPartition orders1{"orders", 1};

/// Everything in one batch, with something done to Kafka once, before the sink commits.
struct Loss : World {
    explicit Loss(std::function<void()> change = {}) {
        config.source.max_offsets_per_trigger = config::Unlimited{};
        config.source.fail_on_data_loss = false;
        kafka.set("orders", 0, 0, 20);
        kafka.set("payments", 0, 0, 5, "id-p");
        before_commit(std::move(change));
    }
    void before_commit(std::function<void()> change) {
        kafka.before_ids = [change = std::move(change), done = false]() mutable -> Result<void> {
            if (change && !std::exchange(done, true)) change();
            return {};
        };
    }
    std::vector<checkpoints::LossEntry> ledger() const { return *store->losses("orders"); }
    std::int64_t calls(const std::string& call) const {
        return std::count(target.calls.begin(), target.calls.end(), call);
    }
};

}  // namespace

TEST_CASE("a topic created anew while its batch was read never reaches the sink's commit") {
    for (const std::int64_t end : {std::int64_t{3}, std::int64_t{20}, std::int64_t{500}}) {
        CAPTURE(end);
        Loss world;
        world.before_commit([&] { world.kafka.set("orders", 0, 0, end, "id-2"); });
        CHECK(world.run().state == State::done);
        CHECK(world.calls("commit 0") == 0);
        CHECK(world.store->batch("orders", 0)->commit->state == checkpoints::BatchState::abandoned);
        CHECK(world.target.visible == world.everything());
        const auto ledger = world.ledger();
        REQUIRE(ledger.size() == 1);
        CHECK(ledger[0].loss == plan::Loss{orders0, plan::LossKind::topic_recreated, "id-1", 0, 20, 0});
        CHECK(ledger[0].batch_id == 0);
        CHECK(ledger[0].accepted);
        CHECK(world.store->load("orders")->positions.at(orders0).offset == end);
        CHECK(world.store->load("orders")->positions.at(orders0).topic_id == "id-2");
    }
}

TEST_CASE("a topic created anew while its batch was read stops a pipeline that must not lose") {
    Loss world;
    world.config.source.fail_on_data_loss = true;
    world.before_commit([&] { world.kafka.set("orders", 0, 0, 500, "id-2"); });
    const Status status = world.run();
    CHECK(status.state == State::failed);
    CHECK(status.error_code == ErrorCode::data_loss);
    CHECK(status.reason.find("offsets [0, 20) are gone, 20 records") != std::string::npos);
    CHECK(world.target.visible.empty());
    REQUIRE(world.ledger().size() == 1);
    CHECK_FALSE(world.ledger()[0].accepted);
    CHECK(world.store->load("orders")->unfinished);
}

TEST_CASE("a topic that went while its batch was read is forgotten, and the rest is planned again") {
    Loss world;
    world.before_commit([&] { world.kafka.partitions.erase(orders0); });
    CHECK(world.run().state == State::done);
    CHECK(world.target.visible == world.everything());
    REQUIRE(world.ledger().size() == 1);
    CHECK(world.ledger()[0].loss == plan::Loss{orders0, plan::LossKind::topic_gone, "id-1", 0, 20, -1});
    CHECK_FALSE(world.store->load("orders")->positions.contains(orders0));
}

TEST_CASE("a partition that went while its batch was read is one loss") {
    Loss world;
    world.kafka.set("orders", 1, 0, 7);
    bool gone = false;
    world.kafka.before_read = [&](const plan::PlannedRange& range) -> Result<void> {
        if (range.range.topic_partition == orders1 && !std::exchange(gone, true)) {
            world.kafka.partitions.erase(orders1);
        }
        return {};
    };
    CHECK(world.run().state == State::done);
    CHECK(world.target.visible == world.everything());
    REQUIRE(world.ledger().size() == 1);
    CHECK(world.ledger()[0].loss == plan::Loss{orders1, plan::LossKind::partition_gone, "id-1", 0, 7, -1});
}

TEST_CASE("a log that ends inside a plan is planned again up to there") {
    Loss world;
    bool cut = false;
    world.kafka.before_read = [&](const plan::PlannedRange&) -> Result<void> {
        if (!std::exchange(cut, true)) world.kafka.set("orders", 0, 0, 12);
        return {};
    };
    CHECK(world.run().state == State::done);
    CHECK(world.target.visible == world.everything());
    REQUIRE(world.ledger().size() == 1);
    CHECK(world.ledger()[0].loss == plan::Loss{orders0, plan::LossKind::went_back, "id-1", 12, 20, 12});
    CHECK(world.store->load("orders")->positions.at(orders0).offset == 12);
}

TEST_CASE("a log truncated below a position is read on from where it was cut, however long it is now") {
    for (const std::int64_t end : {std::int64_t{15}, std::int64_t{20}, std::int64_t{50}}) {
        CAPTURE(end);
        Loss world;
        world.kafka.tells_epochs = true;
        CHECK(world.run().state == State::done);
        REQUIRE(world.store->load("orders")->positions.at(orders0).leader_epoch == 0);
        world.kafka.set("orders", 0, 0, end);
        world.kafka.partitions.at(orders0).leader_epoch = 2;
        world.kafka.truncated_at[orders0] = 12;
        CHECK(world.run().state == State::done);
        if (end == 20) {  // nothing to read there yet, so nothing to notice
            CHECK(world.ledger().empty());
            continue;
        }
        REQUIRE(world.ledger().size() == 1);
        CHECK(world.ledger()[0].loss == plan::Loss{orders0, plan::LossKind::truncated, "id-1", 20, 20, 12});
        CHECK(world.ledger()[0].accepted);
        const auto position = world.store->load("orders")->positions.at(orders0);
        CHECK(position.offset == end);
        CHECK(position.leader_epoch == 2);
    }
}

TEST_CASE("a log truncated below a position stops a pipeline that must not lose") {
    Loss world;
    world.kafka.tells_epochs = true;
    CHECK(world.run().state == State::done);
    world.config.source.fail_on_data_loss = true;
    world.kafka.set("orders", 0, 0, 50);
    world.kafka.partitions.at(orders0).leader_epoch = 2;
    world.kafka.truncated_at[orders0] = 12;
    const Status status = world.run();
    CHECK(status.state == State::failed);
    CHECK_MESSAGE(status.reason.find("truncated at offset 12") != std::string::npos, status.reason);
    CHECK_MESSAGE(status.reason.find("sluice losses accept orders --execute") != std::string::npos, status.reason);
    CHECK(world.store->load("orders")->positions.at(orders0).offset == 20);
}

TEST_CASE("what expired past the end of a plan is one loss, counted once in the books") {
    Loss world;
    world.config.source.max_offsets_per_trigger = std::int64_t{10};
    world.kafka.partitions.erase({"payments", 0});
    bool expired = false;
    world.kafka.before_read = [&](const plan::PlannedRange&) -> Result<void> {
        if (!std::exchange(expired, true)) world.kafka.set("orders", 0, 15, 20);
        return {};
    };
    CHECK(world.run().state == State::done);
    CHECK(world.target.visible == world.everything());
    REQUIRE(world.ledger().size() == 1);
    CHECK(world.ledger()[0].loss == plan::Loss{orders0, plan::LossKind::expired, "id-1", 0, 15, 15});
    CHECK(world.store->batch("orders", 0)->commit->books.at(0).lost == 10);
    CHECK(world.store->load("orders")->positions.at(orders0).offset == 20);
}

TEST_CASE("a loss past the end of a plan leaves the partition its turn: its batch was the last to move it") {
    Loss world;
    world.config.source.max_offsets_per_trigger = std::int64_t{10};
    world.kafka.partitions.erase({"payments", 0});
    bool expired = false;
    world.kafka.before_read = [&](const plan::PlannedRange&) -> Result<void> {
        if (!std::exchange(expired, true)) world.kafka.set("orders", 0, 20, 20);
        return {};
    };
    CHECK(world.run().state == State::done);
    const auto position = world.store->load("orders")->positions.at(orders0);
    CHECK(position.offset == 20);
    CHECK(position.last_advanced == 0);
}

TEST_CASE("a partition that is new keeps its place when its first plan is given up for another's loss") {
    Loss world;
    CHECK(world.run().state == State::done);
    world.kafka.set("fresh", 0, 3, 9, "id-f");
    world.kafka.set("payments", 0, 0, 8, "id-p");
    bool is_recreated = false;
    int looks = 0;  // since then: the first one gives the plan up
    world.before_commit([&] {
        world.kafka.set("payments", 0, 0, 2, "id-p2");
        is_recreated = true;
    });
    world.kafka.before_facts = [&]() -> Result<void> {
        if (is_recreated && ++looks == 2) world.kafka.set("fresh", 0, 5, 9, "id-f");
        return {};
    };
    CHECK(world.run().state == State::done);
    const auto ledger = world.ledger();
    const plan::Loss since{{"fresh", 0}, plan::LossKind::expired, "id-f", 3, 5, 5};
    CHECK(std::any_of(ledger.begin(), ledger.end(), [&](const auto& entry) { return entry.loss == since; }));
    CHECK(world.store->load("orders")->positions.at({"fresh", 0}).offset == 9);
}

TEST_CASE("a cluster that can't tell topic ids, or not just now, loses nothing") {
    Loss world;
    int asked = 0;
    world.kafka.before_ids = [&]() -> Result<void> {
        if (++asked <= 2) return Error{ErrorCode::unavailable, "brokers are down", true};
        for (auto& [tp, fact] : world.kafka.partitions) fact.topic_id.clear();
        return {};
    };
    CHECK(world.run().state == State::done);
    CHECK(asked == 3);
    CHECK(world.target.visible == world.everything());
    CHECK(world.ledger().empty());
    CHECK(world.store->load("orders")->positions.at(orders0).topic_id == "id-1");
}

TEST_CASE("losses that wait for an operator are told, and counted as soon as they are accepted, each once") {
    Loss world;
    CHECK(world.run().state == State::done);
    world.config.source.fail_on_data_loss = true;
    world.config.trigger = {config::TriggerKind::processing_time, Milliseconds{1}};
    world.kafka.set("orders", 0, 26, 40);
    bool accepted = false;
    const Status status = world.run([&](Pipeline& pipeline) {
        const Status now = pipeline.status();
        if (!accepted && now.state == State::failed) {
            CHECK(now.unaccepted_losses == 1U);
            CHECK_FALSE(now.records_lost.contains(plan::LossKind::expired));
            REQUIRE(pipeline.hold());
            checkpoints::Store::Move move;
            move.accept = world.ledger();
            move.positions[orders0] = {26, -1, "id-1", -1};
            REQUIRE(world.store->put_move("orders", move));
            pipeline.release();
            accepted = true;
            const Status then = pipeline.status();  // whether it goes on or not
            CHECK(then.unaccepted_losses == 0U);
            CHECK(then.records_lost.at(plan::LossKind::expired) == 6);
            pipeline.restart();
        } else if (accepted && now.state == State::caught_up) {
            pipeline.shut_down();
        }
    });
    CHECK(status.unaccepted_losses == 0U);
    CHECK(status.records_lost.at(plan::LossKind::expired) == 6);
    const Status later = world.run([](Pipeline& pipeline) {
        if (pipeline.status().state == State::caught_up) pipeline.shut_down();
    });
    CHECK(later.records_lost.at(plan::LossKind::expired) == 0);  // it was an earlier process that went on without
}

TEST_CASE("a loss that has grown since it was noted is stepped over whole: nothing is left that waits") {
    Loss world;
    CHECK(world.run().state == State::done);
    world.config.source.fail_on_data_loss = true;
    world.kafka.set("orders", 0, 26, 40);
    CHECK(world.run().state == State::failed);
    world.kafka.set("orders", 0, 30, 40);
    world.config.source.fail_on_data_loss = false;
    const Status status = world.run();
    CHECK(status.state == State::done);
    CHECK(status.unaccepted_losses == 0U);
    CHECK(status.records_lost.at(plan::LossKind::expired) == 10);
    const auto ledger = world.ledger();
    CHECK(ledger.size() == 2);
    for (const auto& entry : ledger) CHECK(entry.accepted);
}

TEST_CASE("a plan's loss that has grown since it was noted is given up whole, too") {
    Loss world;
    world.config.source.fail_on_data_loss = true;
    world.kafka.before_read = [&, done = false](const plan::PlannedRange&) mutable -> Result<void> {
        if (!std::exchange(done, true)) world.kafka.set("orders", 0, 0, 12);
        return {};
    };
    CHECK(world.run().state == State::failed);
    world.kafka.set("orders", 0, 0, 8);
    world.config.source.fail_on_data_loss = false;
    const Status status = world.run();
    CHECK(status.state == State::done);
    CHECK(status.unaccepted_losses == 0U);
    CHECK(status.records_lost.at(plan::LossKind::went_back) == 12);
    CHECK(world.ledger().size() == 2);
}
