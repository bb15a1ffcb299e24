// Where a first start begins, in every form of `startingOffsets`, and which partitions it reads.

#include <doctest/doctest.h>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr std::int64_t first_ms = 1'767'225'600'000;  // 2026-01-01T00:00:00Z
constexpr std::int64_t minute_ms = 60'000;

/// Three partitions of 60 records, one a minute from first_ms on; partition 2 ends after 20.
std::string make_topic(Kafka& kafka) {
    const std::string topic = Kafka::unique("starting");
    kafka.create_topic(topic, 3, {{"retention.ms", "-1"}});
    for (std::int32_t p = 0; p < 3; ++p) {
        kafka.produce(topic, p == 2 ? 20 : 60, [p](std::int64_t i) {
            Record record;
            record.partition = p;
            record.value = std::to_string(i);
            record.timestamp_ms = first_ms + i * minute_ms;
            return record;
        });
    }
    return topic;
}

ExitStatus run_to_its_end(DaemonProcess& daemon) {
    daemon.start();
    const auto ended = daemon.wait();
    REQUIRE_MESSAGE(ended, daemon.log());
    return *ended;
}

/// From these offsets to the end of each partition, and no others.
void expect_from(Kafka& kafka, const std::filesystem::path& out, const std::string& topic,
                 const std::map<std::int32_t, std::int64_t>& starts) {
    Ledger expected;
    for (const auto& [tp, entries] : visible_in_kafka(kafka.bootstrap(), {topic})) {
        const auto start = starts.find(tp.partition);
        if (start == starts.end()) continue;
        for (const Entry& entry : entries) {
            if (entry.offset >= start->second) expected[tp].push_back(entry);
        }
    }
    CHECK(difference(expected, delivered_in(out)) == "");
}

}  // namespace

TEST_CASE("every form of startingOffsets begins where it says, once: editing it later moves nothing") {
    Kafka& kafka = Kafka::real();
    const std::string topic = make_topic(kafka);
    const std::string group = Kafka::unique("connect-orders");
    kafka.commit_group_offsets(group, {{{topic, 0}, 40}, {{topic, 1}, 60}});

    struct Form {
        const char* name;
        std::string yaml;
        std::map<std::int32_t, std::int64_t> starts;
    };
    const std::vector<Form> forms = {
        {"earliest", "earliest", {{0, 0}, {1, 0}, {2, 0}}},
        {"latest", "latest", {{0, 60}, {1, 60}, {2, 20}}},
        // Kafka's words for one partition: -2 is earliest, -1 latest.
        {"offsets", "{" + topic + ": {0: 7, 1: -1, 2: -2}}", {{0, 7}, {1, 60}, {2, 0}}},
        {"timestamp", "{timestamp: 2026-01-01T00:30:00Z, noMatch: latest}", {{0, 30}, {1, 30}, {2, 20}}},
        {"zone", "{timestamp: 2026-01-01T01:10:30+01:00}", {{0, 11}, {1, 11}, {2, 11}}},
        // A group that has no offset for a partition has not read it.
        {"group", "{group: " + group + "}", {{0, 40}, {1, 60}, {2, 0}}},
    };
    for (const Form& form : forms) {
        CAPTURE(form.name);
        const WorkFolder folder(std::string("starting-") + form.name);
        PipelineYaml pipeline;
        pipeline.topics = {topic};
        pipeline.out = folder.path() / "out";
        const auto yaml = [&](const std::string& starting) {
            pipeline.source_extra = "startingOffsets: " + starting + "\n";
            return config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline));
        };
        DaemonProcess daemon(folder.path(), yaml(form.yaml));
        CHECK_MESSAGE(run_to_its_end(daemon).code == 0, daemon.log());
        expect_from(kafka, folder.path() / "out", topic, form.starts);

        daemon.set_yaml(yaml(std::string_view(form.name) == "earliest" ? "latest" : "earliest"));
        CHECK_MESSAGE(run_to_its_end(daemon).code == 0, daemon.log());
        expect_from(kafka, folder.path() / "out", topic, form.starts);
    }
}

TEST_CASE("a time after the last record fails the first start by name, unless noMatch says latest") {
    Kafka& kafka = Kafka::real();
    const std::string topic = make_topic(kafka);
    const WorkFolder folder("starting-no-match");
    PipelineYaml pipeline;
    pipeline.topics = {topic};
    pipeline.out = folder.path() / "out";
    pipeline.source_extra = "startingOffsets: {timestamp: 2026-01-01T00:30:00Z}\n";
    DaemonProcess daemon(folder.path(), config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
    CHECK(run_to_its_end(daemon).code == 1);
    CHECK_MESSAGE(daemon.log().find(topic + "-2") != std::string::npos, daemon.log());
    CHECK_MESSAGE(daemon.log().find("noMatch: latest") != std::string::npos, daemon.log());
    CHECK(delivered_in(folder.path() / "out").empty());
}

TEST_CASE("subscribePattern takes the topics that match, also later ones; assign takes just its partitions") {
    Kafka& kafka = Kafka::real();
    const std::string topic = make_topic(kafka);
    const WorkFolder folder("starting-subscription");
    const auto yaml = [&](const std::string& name, const std::string& subscription) {
        return "  - name: " + name + "\n    source:\n      kafka.bootstrap.servers: " + kafka.bootstrap() +
               "\n      " + subscription + "\n    trigger: availableNow\n    sink:\n      plugin: file\n" +
               "      format: json\n      path: " + (folder.path() / name).string() + "\n";
    };
    DaemonProcess daemon(folder.path(),
                         config_yaml(folder.path(),
                                     yaml("pattern", "subscribePattern: \"" + topic + ".*\"") +
                                         yaml("assigned", "assign: {" + topic + ": [0, 2]}")));
    CHECK_MESSAGE(run_to_its_end(daemon).code == 0, daemon.log());
    expect_from(kafka, folder.path() / "pattern", topic, {{0, 0}, {1, 0}, {2, 0}});
    expect_from(kafka, folder.path() / "assigned", topic, {{0, 0}, {2, 0}});

    const std::string later = topic + "-later";
    kafka.create_topic(later, 1);
    kafka.produce_numbers(later, 0, 10);
    kafka.produce_numbers(topic, 1, 5);
    CHECK_MESSAGE(run_to_its_end(daemon).code == 0, daemon.log());
    CHECK(difference(visible_in_kafka(kafka.bootstrap(), {topic, later}),
                     delivered_in(folder.path() / "pattern")) == "");
    expect_from(kafka, folder.path() / "assigned", topic, {{0, 0}, {2, 0}});
}
