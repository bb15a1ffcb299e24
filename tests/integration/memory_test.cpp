// One bound for the memory of the process, kept where records are many, large, or small on the wire alone: in
// a cgroup that ends what goes beyond, where one can be made, and by the peak in any case.
#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <csignal>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/e2e.hpp"
#include "tests/support/memory_cgroup.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr std::int64_t mib = 1 << 20;
/// With memoryMax of 64 MiB: what the process needs beside what is bounded.
constexpr std::int64_t resident_max = (64 + 64) * mib;

/// The most that the process ever had in RAM.
std::int64_t peak_resident(const DaemonProcess& daemon) {
    std::ifstream status("/proc/" + std::to_string(daemon.pid()) + "/status");
    for (std::string word; status >> word;) {
        if (word != "VmHWM:") continue;
        std::int64_t kib = 0;
        status >> kib;
        return kib << 10;
    }
    return 0;
}

std::string batch(std::int64_t id, const std::string& pipeline = "orders") {
    return "batch committed pipeline=" + pipeline + " batch=" + std::to_string(id) + " ";
}

/// Records of few bytes once compressed: nothing in them but their number.
void produce_numbered(Kafka& kafka, const std::string& topic, int partitions, std::int64_t count,
                      std::size_t bytes, const std::string& compression, const std::string& batch_bytes) {
    kafka.produce(
        topic, count,
        [&](std::int64_t id) {
            Record record;
            record.partition = static_cast<std::int32_t>(id % partitions);
            record.value = std::to_string(id);
            record.value->resize(bytes, 'x');
            return record;
        },
        {{"compression.codec", compression}, {"linger.ms", "50"}, {"batch.size", batch_bytes},
         {"message.max.bytes", "16000000"}});
}

/// Runs a daemon with memoryMax of 64 MiB until its log says all of `lines`; answers the peak.
std::int64_t peak_of(const WorkFolder& folder, const std::string& pipelines,
                     const std::vector<std::string>& lines) {
    const auto cgroup = MemoryCgroup::make(resident_max);
    DaemonProcess daemon(folder.path(), "memoryMax: 64MiB\nworkers: 2\npluginDir: " SLUICE_TEST_BINARY_DIR
                                        "/tests/plugins\n" +
                                            config_yaml(folder.path(), pipelines));
    daemon.start({}, cgroup ? cgroup->wrapper() : std::vector<std::string>());
    for (const std::string& line : lines) {
        REQUIRE_MESSAGE(daemon.says(line, std::chrono::seconds{60}), daemon.log());
    }
    const std::int64_t peak = peak_resident(daemon);
    MESSAGE("at most " << peak / mib << " MiB" << std::string(cgroup ? ", in a cgroup" : ""));
    daemon.signal(SIGTERM);
    CHECK(daemon.wait()->code == 0);
    return peak;
}

struct Setup {
    Setup(const std::string& name, int partition_count)
        : folder(name), topic(Kafka::unique(name)), partitions(partition_count) {
        kafka.create_topic(topic, partitions, {{"max.message.bytes", "16777216"}});
        pipeline.topics = {topic};
        pipeline.trigger = "{ processingTime: 10ms }";
    }

    void produce(std::int64_t count, std::size_t bytes, const std::string& compression) {
        produce_numbered(kafka, topic, partitions, count, bytes, compression, "1000000");
    }

    /// Runs until batch `last` is committed; answers the peak.
    std::int64_t peak_after(std::int64_t last, const std::string& sink) {
        pipeline.sink = "plugin: slow\n" + sink;
        return peak_of(folder, pipeline_yaml(kafka.bootstrap(), pipeline), {batch(last)});
    }

    Kafka& kafka = Kafka::real();
    const WorkFolder folder;
    const std::string topic;
    const int partitions;
    PipelineYaml pipeline;
};

}  // namespace

TEST_CASE("records that are a hundredth of their size on the wire stay within memoryMax") {
    Setup setup("memory-zstd", 16);
    setup.produce(320'000, 1000, "zstd");
    // More consumers than workers, and ranges that end in the middle of what they fetched.
    setup.pipeline.source_extra = "maxOffsetsPerTrigger: 80000\nmaxRecordsPerPartition: 2500\n";
    CHECK(setup.peak_after(3, "holdWrite: 10ms\n") < resident_max);
}

TEST_CASE("records of 5 MB stay within memoryMax") {
    Setup setup("memory-large", 8);
    setup.produce(48, 5'000'000, "none");
    setup.pipeline.source_extra = "maxOffsetsPerTrigger: 16\n";
    CHECK(setup.peak_after(2, "holdWrite: 50ms\n") < resident_max);
}

TEST_CASE("records that are all key, or all headers, stay within memoryMax") {
    for (const std::string large : {"key", "header"}) {
        CAPTURE(large);
        Setup setup("memory-" + large, 2);
        setup.kafka.produce(
            setup.topic, 3'600,
            [&](std::int64_t id) {
                Record record;
                record.partition = static_cast<std::int32_t>(id % 2);
                record.value = std::to_string(id);
                const std::string text(50'000, 'x');
                if (large == "key") record.key = text;
                if (large == "header") record.headers.emplace_back("trace", text);
                return record;
            },
            {{"queue.buffering.max.kbytes", "65536"}});
        setup.pipeline.source_extra = "maxOffsetsPerTrigger: 1800\n";
        CHECK(setup.peak_after(1, "holdWrite: 50ms\n") < resident_max);
    }
}

TEST_CASE("a sink that takes seconds for a batch does not fill the memory meanwhile") {
    Setup setup("memory-slow", 8);
    setup.produce(800'000, 100, "none");
    setup.pipeline.source_extra = "maxOffsetsPerTrigger: 40000\n";
    CHECK(setup.peak_after(2, "holdCommit: 10s\n") < resident_max);
}

TEST_CASE("many pipelines whose records are a hundredth of their size on the wire stay within memoryMax together") {
    // Each fetch brings a batch of 8 MB whole, a quarter of what all consumers may hold: eight are too much.
    Kafka& kafka = Kafka::real();
    const WorkFolder folder("memory-many");
    std::string pipelines;
    std::vector<std::string> lines;
    for (int i = 0; i < 8; ++i) {
        PipelineYaml pipeline;
        pipeline.name = "orders" + std::to_string(i);
        pipeline.topics = {Kafka::unique("memory-many")};
        kafka.create_topic(pipeline.topics[0], 1, {{"max.message.bytes", "16777216"}});
        produce_numbered(kafka, pipeline.topics[0], 1, 32'000, 1000, "zstd", "8000000");
        pipeline.trigger = "{ processingTime: 10ms }";
        pipeline.sink = "plugin: slow\nholdWrite: 20ms\n";
        pipelines += pipeline_yaml(kafka.bootstrap(), pipeline);
        lines.push_back(batch(0, pipeline.name));
    }
    const std::string eight_consumers = "consumers: { capacity: 8 }\n";
    CHECK(peak_of(folder, pipelines + eight_consumers, lines) < resident_max);
}
