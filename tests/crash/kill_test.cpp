#include <doctest/doctest.h>

#include <algorithm>
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

/// Kills the daemon at random moments until `wanted` of them were in a batch, then lets it finish. Its lives
/// are longer where it dies before it has begun, and shorter where it is through before.
void kill_at_random(const std::string& mode, int wanted, std::int64_t records, const std::string& cap) {
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
    int longest = 700;
    int kills = 0;
    for (int in_batch = 0; in_batch < wanted;) {
        REQUIRE_MESSAGE(kills < 10 * wanted,
                        "only " << in_batch << " kills of " << kills << " were in a batch: " << daemon.log());
        daemon.start();
        // From the first instants of a start to the middle of a later batch.
        const auto life = std::chrono::milliseconds{std::uniform_int_distribution<>(20, longest)(random)};
        if (const auto ended = daemon.wait(life)) {
            REQUIRE_MESSAGE(ended->code == 0, daemon.log());
            produce_mixed(kafka, topic, 4, records / 5, produced);  // it was through before we were
            produced += records / 5;
            REQUIRE(produced < 6 * records);
            longest = std::max(longest * 3 / 4, 100);
            continue;
        }
        daemon.kill();
        ++kills;
        if (has_open_batch(folder.path())) {
            ++in_batch;
        } else {
            longest = std::min(longest * 5 / 4, 10'000);
        }
    }
    MESSAGE(mode << ": " << wanted << " kills of " << kills << " were in a batch");
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
