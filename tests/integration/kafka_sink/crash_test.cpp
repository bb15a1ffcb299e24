#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <random>

#include "tests/integration/kafka_sink/mirror.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

std::uint32_t seed() {
    const char* const given = std::getenv("SLUICE_SEED");
    return given != nullptr ? static_cast<std::uint32_t>(std::stoul(given))
                            : std::random_device{}();
}

/// Kills the daemon until `wanted` of its deaths were in a batch, and lets it finish. Where it dies before
/// it has begun it gets longer lives; where it is through before, shorter ones and more to do.
void kill_in_batches(const Mirror& mirror, int wanted, std::int64_t records) {
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    const std::uint32_t chosen = seed();
    MESSAGE("seed " << chosen << " (SLUICE_SEED repeats it)");
    std::mt19937 random(chosen);
    int longest = 700;
    int kills = 0;
    for (int in_batch = 0; in_batch < wanted;) {
        REQUIRE_MESSAGE(kills < 10 * wanted, "only " << in_batch << " kills of " << kills
                                                     << " were in a batch: " << daemon.log());
        daemon.start();
        const auto life =
            std::chrono::milliseconds{std::uniform_int_distribution<>(20, longest)(random)};
        if (const auto ended = daemon.wait(life)) {
            REQUIRE_MESSAGE(ended->code == 0, daemon.log());  // it was through before we were
            produce_mixed(mirror.source, mirror.topic, 4, 50'000, records);
            records += 50'000;
            longest = std::max(longest * 3 / 4, 100);
            continue;
        }
        daemon.kill();
        ++kills;
        if (!mirror.open_batch().empty()) {
            ++in_batch;
        } else {
            longest = std::min(longest * 5 / 4, 10'000);
        }
    }
    MESSAGE(wanted << " kills of " << kills << " were in a batch");
    daemon.start();
    finish(daemon);
}

}  // namespace

TEST_CASE("a daemon killed at any step of a batch leaves every record exactly once") {
    const Mirror mirror("step", 0, "300");
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    std::int64_t produced = 0;
    for (const std::string step : {"kafka.begin.before_find", "kafka.begin.after_begin:2",
                                   "kafka.write.after_produce:3", "kafka.commit.before_flush",
                                   "kafka.commit.before_offsets:2", "kafka.commit.after_offsets",
                                   "kafka.commit.after_commit", "kafka.commit.after_commit:3"}) {
        CAPTURE(step);
        mirror.source.produce_numbers(mirror.topic, 0, 1'000);
        produce_mixed(mirror.source, mirror.topic, 4, 3, 3 * produced++);  // a transaction among them
        daemon.start({{"SLUICE_FAILPOINT", step}});
        const auto killed = daemon.wait();
        REQUIRE(killed);
        REQUIRE_MESSAGE(killed->signal == SIGKILL, daemon.log());
        daemon.start();
        finish(daemon);
        CHECK(mirror.wrong() == "");
    }
}

TEST_CASE("a pipeline renamed before its checkpoint knew of a batch finds it under its first transactional id") {
    Mirror mirror("renamed", 5'000, "1000");
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start({{"SLUICE_FAILPOINT", "batch.before_commit:2"}});
    const auto killed = daemon.wait();
    REQUIRE(killed);
    REQUIRE_MESSAGE(killed->signal == SIGKILL, daemon.log());
    mirror.pipeline.extra = "renamedFrom: " + mirror.pipeline.name + "\n";
    mirror.pipeline.name += "-renamed";
    daemon.set_yaml(mirror.yaml());
    daemon.start();
    finish(daemon);
    CHECK_MESSAGE(daemon.log().find("checkpoint renamed") != std::string::npos, daemon.log());
    CHECK(mirror.wrong() == "");
}

TEST_CASE("kill -9 at random moments leaves every record exactly once, and in order") {
    const Mirror mirror("kill", 100'000, "4000");
    kill_in_batches(mirror, 20, 100'000);
    CHECK(mirror.wrong() == "");
}

TEST_CASE("kill -9 leaves every record exactly once where keys choose the partition") {
    const Mirror mirror("kill-hash", 50'000, "4000", "partition: hash\n");
    kill_in_batches(mirror, 6, 50'000);
    CHECK(mirror.wrong(false) == "");
}

TEST_CASE("without transactions a crash repeats records of the open batch, and loses none") {
    const Mirror mirror("repeat", 20'000, "2000", "transactions: false\n");
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    std::map<std::int32_t, std::vector<std::pair<std::int64_t, std::int64_t>>> open;
    for (const std::string step : {"kafka.write.after_produce:3", "kafka.commit.before_flush",
                                   "kafka.commit.before_flush:3", "kafka.write.after_produce:9"}) {
        CAPTURE(step);
        daemon.start({{"SLUICE_FAILPOINT", step}});
        const auto killed = daemon.wait();
        REQUIRE(killed);
        REQUIRE_MESSAGE(killed->signal == SIGKILL, daemon.log());
        const auto batch = mirror.open_batch();
        REQUIRE_FALSE(batch.empty());
        for (const auto& [partition, range] : batch) open[partition].push_back(range);
    }
    daemon.start();
    finish(daemon);

    Ledger once;
    std::size_t twice = 0;
    for (auto& [tp, entries] : by_origin(mirror.delivered())) {
        std::sort(entries.begin(), entries.end());
        for (std::size_t i = 0; i < entries.size(); ++i) {
            if (i == 0 || entries[i] != entries[i - 1]) {
                once[tp].push_back(entries[i]);
                continue;
            }
            ++twice;
            const auto& ranges = open[tp.partition];
            const bool was_open = std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) {
                return range.first <= entries[i].offset && entries[i].offset < range.second;
            });
            CHECK_MESSAGE(was_open, plan::to_string(tp) << '@' << entries[i].offset);
        }
    }
    MESSAGE(twice << " records came twice");
    CHECK(difference(visible_in_kafka(mirror.source.bootstrap(), {mirror.topic}), once) == "");
}

TEST_CASE("a target broker killed in mid-transaction costs time and nothing else") {
    const Mirror mirror("outage", 60'000, "6000");
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    const auto written = [&] { return target_cluster().watermarks(mirror.topic, 0).high; };
    daemon.start();
    std::int64_t records = 60'000;
    for (int outage = 0; outage < 2;) {
        const auto before = written();
        // Between two batches is possible and rare: nearly all the time a transaction is open.
        REQUIRE_MESSAGE(wait_until([&] { return written() > before || !daemon.is_running(); }),
                        daemon.log());
        if (!daemon.is_running()) {  // through before the broker could be killed under it
            finish(daemon);
            produce_mixed(mirror.source, mirror.topic, 4, 60'000, records);
            records += 60'000;
            daemon.start();
            continue;
        }
        crash_target();
        start_target();
        ++outage;
    }
    finish(daemon);
    CHECK(mirror.wrong() == "");
}
