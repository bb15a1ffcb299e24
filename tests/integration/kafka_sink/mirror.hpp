#pragma once
// A pipeline from one cluster to the other, and what a test looks at.

#include <doctest/doctest.h>

#include <string>

#include "tests/integration/kafka_sink/target.hpp"
#include "tests/support/e2e.hpp"

namespace sluice::test {

inline std::string kafka_sink_lines(const std::string& more = "") {
    return "plugin: kafka\nkafka: { bootstrap.servers: '" + target_cluster().bootstrap() +
           "' }\noriginHeaders: true\n" + more;
}

/// One topic, its copy in the target, and a pipeline between them.
struct Mirror {
    /// `records` of every kind (produce_mixed) to begin with; `more` are lines of the sink.
    explicit Mirror(const std::string& name, std::int64_t records, const std::string& cap,
                    const std::string& more = "", int partitions = 4,
                    const Properties& configs = {})
        : folder("kafka-sink-" + name), topic(Kafka::unique("mirror-" + name)) {
        source.create_topic(topic, partitions, configs);
        target_cluster().create_topic(topic, partitions, configs);
        if (records > 0) produce_mixed(source, topic, partitions, records);
        pipeline.name = topic;  // so that the transactional id is this test's own
        pipeline.topics = {topic};
        pipeline.source_extra = "maxOffsetsPerTrigger: " + cap + "\n";
        pipeline.sink = kafka_sink_lines(more);
    }
    [[nodiscard]] std::string yaml() const {
        return config_yaml(folder.path(), pipeline_yaml(source.bootstrap(), pipeline));
    }
    [[nodiscard]] std::vector<Delivered> delivered() const {
        return read_topic(target_cluster().bootstrap(), topic);
    }
    /// Empty when every record that the source shows is in the target once, in its place.
    [[nodiscard]] std::string wrong() const {
        const auto records = delivered();
        const Ledger expected = visible_in_kafka(source.bootstrap(), {topic});
        const auto written =
            read_topic(target_cluster().bootstrap(), topic, "read_uncommitted").size();
        MESSAGE(topic << ": " << count(expected) << " records compared; "
                      << static_cast<std::int64_t>(written - records.size())
                      << " more are aborted");
        return difference(expected, by_origin(records)) + disorder(records);
    }

    Kafka& source = Kafka::real();
    WorkFolder folder;
    std::string topic;
    PipelineYaml pipeline;
};

/// It ends by itself, well.
inline void finish(DaemonProcess& daemon) {
    const auto ended = daemon.wait(std::chrono::seconds{120});
    REQUIRE_MESSAGE(ended, daemon.log());
    REQUIRE_MESSAGE(ended->code == 0, daemon.log());
}

/// Its pipeline stopped, and said `text`.
inline void stop_with(DaemonProcess& daemon, const std::string& text) {
    CHECK_MESSAGE(daemon.says(text), daemon.log());
    const auto ended = daemon.wait();
    REQUIRE_MESSAGE(ended, daemon.log());
    CHECK(ended->code == 1);
}

}  // namespace sluice::test
