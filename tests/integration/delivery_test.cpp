#include <doctest/doctest.h>

#include <csignal>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

/// Runs the daemon until it ends by itself; its log when it did not end well.
void drain(DaemonProcess& daemon) {
    daemon.start();
    const auto ended = daemon.wait(std::chrono::seconds{240});
    INFO(daemon.log());
    REQUIRE(ended);
    REQUIRE(ended->code == 0);
}

}  // namespace

TEST_CASE("a million records with transactions, a compacted topic and an empty partition land once") {
    Kafka& kafka = Kafka::real();
    const WorkFolder folder("delivery-million");
    const std::string orders = Kafka::unique("orders");
    const std::string compacted = Kafka::unique("compacted");
    const std::string sparse = Kafka::unique("sparse");
    kafka.create_topic(orders, 4);
    kafka.create_topic(compacted, 1,
                       {{"cleanup.policy", "compact"},
                        {"segment.ms", "100"},
                        {"min.cleanable.dirty.ratio", "0.01"},
                        {"segment.bytes", "1048576"}});
    kafka.create_topic(sparse, 3);  // partition 2 stays empty
    for (int round = 0; round < 5; ++round) {
        kafka.produce(compacted, 10'000, [&](std::int64_t i) {
            Record record;
            record.key = "key" + std::to_string(i % 50);
            record.value = std::to_string(round) + "/" + std::to_string(i);
            return record;
        });
    }
    kafka.produce_numbers(sparse, 0, 100);
    kafka.produce_numbers(sparse, 1, 7);
    produce_mixed(kafka, orders, 4, 1'000'000);

    PipelineYaml pipeline;
    pipeline.topics = {orders, compacted, sparse};
    pipeline.source_extra = "maxOffsetsPerTrigger: 200000\nmaxRecordsPerPartition: 30000\n";
    pipeline.out = folder.path() / "out";
    DaemonProcess daemon(folder.path(), config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
    drain(daemon);

    const Ledger delivered = delivered_in(folder.path() / "out");
    // The cleaner may have removed records since: what Kafka shows now must be there, and apart from
    // the compacted topic nothing else.
    Ledger expected = visible_in_kafka(kafka.bootstrap(), {orders, sparse});
    Ledger without_compacted = delivered;
    const plan::TopicPartition compacted_partition{compacted, 0};
    REQUIRE(without_compacted.erase(compacted_partition) == 1);
    CHECK(difference(expected, without_compacted) == "");
    CHECK(count(expected) > 900'000);
    MESSAGE("records: " << count(delivered) << ", aborted ones left out of 1,000,000: "
                        << 1'000'000 + 107 - count(expected));
    std::string missing;
    const Ledger kept = visible_in_kafka(kafka.bootstrap(), {compacted});
    for (const Entry& entry : kept.at(compacted_partition)) {
        const auto& entries = delivered.at(compacted_partition);
        if (std::count(entries.begin(), entries.end(), entry) != 1) {
            missing += ' ' + std::to_string(entry.offset);
        }
    }
    CHECK(missing == "");

    SUBCASE("a second run from the checkpoint reads nothing twice") {
        drain(daemon);
        CHECK(difference(delivered, delivered_in(folder.path() / "out")) == "");
    }
}

TEST_CASE("a partition added while running is read from its beginning") {
    Kafka& kafka = Kafka::real();
    const WorkFolder folder("delivery-added");
    const std::string topic = Kafka::unique("grows");
    kafka.create_topic(topic, 1);
    kafka.produce_numbers(topic, 0, 1000);
    PipelineYaml pipeline;
    pipeline.topics = {topic};
    pipeline.trigger = "{ processingTime: 100ms }";
    pipeline.source_extra = "startingOffsets: latest\n";
    pipeline.out = folder.path() / "out";
    DaemonProcess daemon(folder.path(), config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
    daemon.start();
    REQUIRE(wait_until([&] { return daemon.log().find("initial offsets written down") != std::string::npos; }));
    kafka.create_partitions(topic, 2);
    kafka.produce_numbers(topic, 1, 500);
    const auto out = folder.path() / "out";
    CHECK(wait_until([&] {
        return std::filesystem::exists(out) && count(delivered_in(out)) == 500;
    }));
    daemon.signal(SIGTERM);
    const auto ended = daemon.wait();
    INFO(daemon.log());
    REQUIRE(ended);
    CHECK(ended->code == 0);
    Ledger expected = visible_in_kafka(kafka.bootstrap(), {topic});
    expected.erase({topic, 0});
    CHECK(difference(expected, delivered_in(out)) == "");
}

TEST_CASE("append mode with zstd holds every record once, over several batches") {
    Kafka& kafka = Kafka::real();
    const WorkFolder folder("delivery-append");
    const std::string topic = Kafka::unique("append");
    kafka.create_topic(topic, 2);
    produce_mixed(kafka, topic, 2, 20'000);
    PipelineYaml pipeline;
    pipeline.topics = {topic};
    pipeline.source_extra = "maxOffsetsPerTrigger: 3000\nminPartitions: 4\n";
    pipeline.sink = "plugin: file\nformat: json\nmode: append\ncompression: zstd\nrollSize: 64KiB\n";
    pipeline.out = folder.path() / "out";
    DaemonProcess daemon(folder.path(), config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
    drain(daemon);
    CHECK(difference(visible_in_kafka(kafka.bootstrap(), {topic}), delivered_in(folder.path() / "out")) == "");
}

TEST_CASE("ranges of nothing but transaction markers end at once, one offset at a time") {
    Kafka& kafka = Kafka::real();
    const WorkFolder folder("delivery-markers");
    const std::string topic = Kafka::unique("markers");
    kafka.create_topic(topic, 1);
    for (int i = 0; i < 10; ++i) {
        Transaction transaction(kafka);
        transaction.produce(topic, 2, [&](std::int64_t n) {
            Record record;
            record.value = std::to_string(i) + "/" + std::to_string(n);
            return record;
        });
        if (i % 4 == 1) {
            transaction.abort();
        } else {
            transaction.commit();
        }
    }
    PipelineYaml pipeline;
    pipeline.topics = {topic};
    pipeline.source_extra = "maxOffsetsPerTrigger: 1\n";
    pipeline.out = folder.path() / "out";
    DaemonProcess daemon(folder.path(), config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
    daemon.start();
    const auto ended = daemon.wait(std::chrono::seconds{60});  // a stuck range would take 120 s
    REQUIRE_MESSAGE(ended, daemon.log());
    CHECK(ended->code == 0);
    const Ledger expected = visible_in_kafka(kafka.bootstrap(), {topic});
    CHECK(count(expected) == 14);
    CHECK(difference(expected, delivered_in(folder.path() / "out")) == "");
}
