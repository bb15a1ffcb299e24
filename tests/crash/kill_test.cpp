#include <doctest/doctest.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

std::uint32_t seed() {
    const char* const given = std::getenv("SLUICE_SEED");
    return given != nullptr ? static_cast<std::uint32_t>(std::stoul(given)) : std::random_device{}();
}

/// Kills the daemon `kills` times at random moments of its work, then lets it finish.
void kill_at_random(const std::string& mode, int kills, std::int64_t records, const std::string& cap) {
    Kafka& kafka = Kafka::real();
    const WorkFolder folder("kill-" + mode);
    const std::string topic = Kafka::unique("kill-" + mode);
    kafka.create_topic(topic, 4);
    produce_mixed(kafka, topic, 4, records);
    PipelineYaml pipeline;
    pipeline.topics = {topic};
    pipeline.source_extra = "maxOffsetsPerTrigger: " + cap + "\nmaxRecordsPerPartition: 4000\n";
    pipeline.sink = "plugin: file\nformat: json\nmode: " + mode + "\n";
    pipeline.out = folder.path() / "out";
    DaemonProcess daemon(folder.path(), config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
    const std::uint32_t chosen = seed();
    MESSAGE(mode << ": seed " << chosen << " (SLUICE_SEED repeats it)");
    std::mt19937 random(chosen);
    std::int64_t produced = records;
    for (int killed = 0; killed < kills;) {
        daemon.start();
        // From the first instants of a start to the middle of a later batch.
        const auto life = std::chrono::milliseconds{std::uniform_int_distribution<>(20, 700)(random)};
        if (const auto ended = daemon.wait(life)) {
            REQUIRE_MESSAGE(ended->code == 0, daemon.log());
            produce_mixed(kafka, topic, 4, records / 5, produced);  // it was through before we were
            produced += records / 5;
            REQUIRE(produced < 6 * records);
            continue;
        }
        daemon.kill();
        ++killed;
    }
    MESSAGE(mode << ": killed " << kills << " times");
    daemon.start();
    const auto ended = daemon.wait(std::chrono::seconds{240});
    REQUIRE_MESSAGE(ended, daemon.log());
    REQUIRE_MESSAGE(ended->code == 0, daemon.log());
    const Ledger expected = visible_in_kafka(kafka.bootstrap(), {topic});
    CHECK(difference(expected, delivered_in(folder.path() / "out")) == "");
    MESSAGE(mode << ": " << count(expected) << " records compared");
}

}  // namespace

TEST_CASE("kill -9 at 20 random moments leaves every record exactly once in parts") {
    kill_at_random("parts", 20, 1'000'000, "20000");
}

TEST_CASE("kill -9 at 20 random moments leaves every record exactly once in append mode") {
    kill_at_random("append", 20, 400'000, "10000");
}
