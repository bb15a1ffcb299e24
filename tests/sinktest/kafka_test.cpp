// The kafka sink through the kit, on a real cluster whose broker is killed and comes back.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/integration/kafka_sink/target.hpp"
#include "tests/sinktest/kit_run.hpp"

using namespace sluice::test;

namespace {

std::string script(const std::string& arguments) {
    return std::string(SLUICE_TEST_SOURCE_DIR) + "/tests/support/kafka.sh " + arguments;
}
std::string folder() { return std::string(SLUICE_TEST_BINARY_DIR) + "/kafka_target"; }

/// The kit's records are of years ago, or have no time: a topic keeps them and takes any.
void keeps(const std::string& options, Properties configs, std::vector<std::string> more,
           const std::string& verdict = "declared exactly-once, proven exactly-once") {
    CAPTURE(options);
    const std::string topic = Kafka::unique("kit");
    configs.insert({{"retention.ms", "-1"}, {"message.timestamp.after.max.ms", "9223372036854775807"}});
    target_cluster().create_topic(topic, 3, configs);
    const std::string bootstrap = target_cluster().bootstrap();
    const KitFolder kit;
    kit.write("sink.yaml", "plugin: kafka\nkafka: { bootstrap.servers: '" + bootstrap + "' }\ntopic: " + topic +
                               "\ntransactionalId: " + topic + "\noriginHeaders: true\n" + options);
    more.insert(more.end(), {"--rounds", "4", "--reader",
                             plugin_file("tests/kafka_reader") + " " + bootstrap + " " + topic});
    const KitRun run = run_kit(plugin_file("lib/sluice/kafka.so"), kit.path("sink.yaml"), std::move(more));
    CHECK_MESSAGE(run.code == 0, run.text);
    CHECK_MESSAGE(run.says(verdict), run.text);
}

}  // namespace

TEST_CASE("kafka: records are there exactly once, through a broker that is killed") {
    keeps("timeout: 3s\ntransactionTimeout: 10s\n", {{"max.message.bytes", "4000000"}},
          {"--down", script("crash " + folder()),
           "--up", script("up " + std::string(SLUICE_TEST_SOURCE_DIR) + "/build/deps/kafka " + folder())});
}

TEST_CASE("kafka: what the broker refuses is named, by the hash of keys too") {
    for (const char* const scenario : {"refused records", "odd records"}) {
        CAPTURE(scenario);
        keeps("partition: hash\n", {{"max.message.bytes", "30000"}},
              {"--refused", std::string(40'000, 'x'), "--scenario", scenario},
              "declared exactly-once, and this scenario found nothing against it");
    }
}
