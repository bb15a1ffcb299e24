#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <random>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

std::uint32_t seed() {
    const char* const given = std::getenv("SLUICE_SEED");
    return given != nullptr ? static_cast<std::uint32_t>(std::stoul(given)) : std::random_device{}();
}

/// A topic into a sink, and what kills it.
struct Scene {
    Scene(const std::string& scene, std::int64_t size, const std::string& cap, const std::string& sink)
        : name(scene), records(size), produced(size), folder("kill-" + name), topic(Kafka::unique("kill-" + name)) {
        kafka.create_topic(topic, 4);
        produce_mixed(kafka, topic, 4, records);
        pipeline.topics = {topic};
        pipeline.source_extra = "maxOffsetsPerTrigger: " + cap + "\nmaxRecordsPerPartition: 4000\n";
        pipeline.sink = sink;
        if (sink.starts_with("plugin: file")) pipeline.out = folder.path() / "out";
        daemon.emplace(folder.path(), config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
    }
    /// Kills the daemon at random moments until `wanted` of them were in a batch, then lets it finish. Its lives
    /// are longer where it dies before it has begun, and shorter where it is through before.
    void kill_at_random(int wanted, const std::function<void(DaemonProcess&)>& start) {
        const std::uint32_t chosen = seed();
        MESSAGE(name << ": seed " << chosen << " (SLUICE_SEED repeats it)");
        std::mt19937 random(chosen);
        int longest = 700;
        int kills = 0;
        for (int in_batch = 0; in_batch < wanted;) {
            REQUIRE_MESSAGE(kills < 10 * wanted,
                            "only " << in_batch << " kills of " << kills << " were in a batch: " << daemon->log());
            start(*daemon);
            // From the first instants of a start to the middle of a later batch.
            const auto life = std::chrono::milliseconds{std::uniform_int_distribution<>(20, longest)(random)};
            if (const auto ended = daemon->wait(life)) {
                REQUIRE_MESSAGE(ended->code == 0, daemon->log());
                produce_mixed(kafka, topic, 4, records / 5, produced);  // it was through before we were
                produced += records / 5;
                REQUIRE(produced < 6 * records);
                longest = std::max(longest * 3 / 4, 100);
                continue;
            }
            daemon->kill();
            ++kills;
            if (has_open_batch(folder.path())) {
                ++in_batch;
            } else {
                longest = std::min(longest * 5 / 4, 10'000);
            }
        }
        MESSAGE(name << ": " << wanted << " kills of " << kills << " were in a batch");
        start(*daemon);
        const auto ended = daemon->wait(std::chrono::seconds{240});
        REQUIRE_MESSAGE(ended, daemon->log());
        REQUIRE_MESSAGE(ended->code == 0, daemon->log());
    }
    void compare(const Ledger& delivered) {
        const Ledger expected = visible_in_kafka(kafka.bootstrap(), {topic});
        CHECK(difference(expected, delivered) == "");
        MESSAGE(name << ": " << count(expected) << " records compared");
    }

    Kafka& kafka = Kafka::real();
    const std::string name;
    const std::int64_t records;
    std::int64_t produced;
    const WorkFolder folder;
    const std::string topic;
    PipelineYaml pipeline;
    std::optional<DaemonProcess> daemon;
};

void kill_into_files(const std::string& mode, std::int64_t records, const std::string& cap) {
    Scene scene(mode, records, cap, "plugin: file\nformat: json\nmode: " + mode + "\n");
    scene.kill_at_random(20, [](DaemonProcess& daemon) { daemon.start(); });
    scene.compare(delivered_in(scene.folder.path() / "out"));
}

}  // namespace

TEST_CASE("kill -9 at 20 random moments leaves every record exactly once in parts") {
    kill_into_files("parts", 1'000'000, "20000");
}

TEST_CASE("kill -9 at 20 random moments leaves every record exactly once in append mode") {
    kill_into_files("append", 400'000, "10000");
}

TEST_CASE("kill -9 at 20 random moments leaves every record at least once on standard output") {
    Scene scene("stdout", 200'000, "10000", "plugin: stdout\n");
    const auto printed = scene.folder.path() / "printed";
    std::filesystem::create_directory(printed);
    int lives = 0;
    scene.kill_at_random(20, [&](DaemonProcess& daemon) {
        const std::string file = (printed / std::to_string(lives++)).string() + ".jsonl";
        daemon.start({}, {"/bin/sh", "-c", "exec \"$@\" >" + file, "sh"});
    });
    for (const auto& file : std::filesystem::directory_iterator(printed)) {
        std::ifstream in(file.path());
        const std::string text{std::istreambuf_iterator<char>(in), {}};
        std::filesystem::resize_file(file.path(), text.rfind('\n') + 1);  // what was cut; npos + 1 is 0
    }
    Ledger delivered = delivered_in(printed);
    const auto lines = count(delivered);
    for (auto& [tp, entries] : delivered) {
        std::sort(entries.begin(), entries.end());
        entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
    }
    MESSAGE("stdout: " << lines - count(delivered) << " came again, with the batches that were run again");
    scene.compare(delivered);
}
