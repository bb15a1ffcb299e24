// The demo's Kafka: librdkafka's mock cluster with the topics of the worked example. Writes the
// bootstrap address into the file it is given, and lives until its standard input ends.

#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>

#include "daemon/kafka/embedded_broker.hpp"
#include "tests/support/kafka_fixture.hpp"

using namespace sluice;

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: sluice_demo_broker FILE\n";
        return 64;
    }
    auto broker = kafka::EmbeddedBroker::start();
    if (!broker) {
        std::cerr << broker.error().message << '\n';
        return 1;
    }
    struct Partition {
        const char* topic;
        std::int32_t number;
        std::int64_t end;
    };
    constexpr Partition partitions[] = {
        {"orders", 0, 151'000}, {"orders", 1, 82'000}, {"orders", 2, 35'000}, {"payments", 0, 40'100}};
    for (const auto& [topic, count] : {std::pair{"orders", 3}, std::pair{"payments", 1}}) {
        if (auto created = (*broker)->create_topic(topic, count); !created) {
            std::cerr << created.error().message << '\n';
            return 1;
        }
    }
    test::Kafka kafka((*broker)->bootstrap_servers());
    for (const Partition& partition : partitions) {
        kafka.produce(
            partition.topic, partition.end,
            [&](std::int64_t i) {
                test::Record record;
                record.partition = partition.number;
                record.key = "customer-" + std::to_string(i % 997);
                record.value = R"({"id":)" + std::to_string(i) + R"(,"amount":)" +
                               std::to_string((i * 7919) % 10'000) + R"(,"currency":"EUR"})";
                record.timestamp_ms = 1'793'520'000'000 + i;
                return record;
            },
            {{"compression.type", "lz4"}, {"linger.ms", "50"}, {"batch.num.messages", "10000"}});
    }
    // Whole under its name at once: whoever sees the file may read it.
    const std::string file = argv[1];
    std::ofstream(file + ".new") << (*broker)->bootstrap_servers() << '\n';
    if (std::rename((file + ".new").c_str(), file.c_str()) != 0) return 1;
    std::string line;
    while (std::getline(std::cin, line)) {
    }
    return 0;
}
