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

TEST_CASE("kill -9 at 20 random moments leaves every record exactly once, and in order") {
    std::int64_t records = 100'000;
    const Mirror mirror("kill", records, "4000");
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    const std::uint32_t chosen = seed();
    MESSAGE("seed " << chosen << " (SLUICE_SEED repeats it)");
    std::mt19937 random(chosen);
    for (int killed = 0; killed < 20;) {
        daemon.start();
        const auto life =
            std::chrono::milliseconds{std::uniform_int_distribution<>(20, 700)(random)};
        if (const auto ended = daemon.wait(life)) {
            REQUIRE_MESSAGE(ended->code == 0, daemon.log());  // it was through before we were
            produce_mixed(mirror.source, mirror.topic, 4, 50'000, records);
            records += 50'000;
        } else {
            daemon.kill();
            ++killed;
        }
    }
    daemon.start();
    finish(daemon);
    CHECK(mirror.wrong() == "");
}

TEST_CASE("a target broker killed in mid-transaction costs time and nothing else") {
    const Mirror mirror("outage", 60'000, "6000");
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    const auto written = [&] { return target_cluster().watermarks(mirror.topic, 0).high; };
    daemon.start();
    for (int outage = 0; outage < 2; ++outage) {
        const auto before = written();
        // Between two batches is possible and rare: nearly all the time a transaction is open.
        REQUIRE_MESSAGE(wait_until([&] { return written() > before || !daemon.is_running(); }),
                        daemon.log());
        crash_target();
        start_target();
    }
    finish(daemon);
    CHECK(mirror.wrong() == "");
}
