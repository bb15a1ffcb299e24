#pragma once
// A pipeline from one cluster to the other, and what a test looks at.

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

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
    [[nodiscard]] std::string wrong(bool keeps_partitions = true) const {
        const auto records = delivered();
        const Ledger expected = visible_in_kafka(source.bootstrap(), {topic});
        const auto written =
            read_topic(target_cluster().bootstrap(), topic, "read_uncommitted").size();
        MESSAGE(topic << ": " << count(expected) << " records compared; "
                      << static_cast<std::int64_t>(written - records.size())
                      << " more are aborted");
        return difference(expected, by_origin(records)) + disorder(records, keeps_partitions);
    }
    /// Of the batch that a daemon left without an outcome: offsets [from, until) by partition. Empty:
    /// there is none.
    [[nodiscard]] std::map<std::int32_t, std::pair<std::int64_t, std::int64_t>> open_batch() const {
        std::map<std::int32_t, std::pair<std::int64_t, std::int64_t>> open;
        const auto newest = tool({"batches", "list", topic, "--limit", "1"}).at("batches").as_array();
        if (newest.empty() || newest[0].at("state") != "planned") return open;
        const std::string batch = std::to_string(newest[0].at("batch").to_number<std::int64_t>());
        const auto shown = tool({"batches", "show", topic + '/' + batch});
        for (const auto& range : shown.at("ranges").as_array())
            open[range.at("partition").to_number<std::int32_t>()] = {
                range.at("from").to_number<std::int64_t>(), range.at("until").to_number<std::int64_t>()};
        return open;
    }

    /// What the tool answers, on the checkpoint of a daemon that is down.
    [[nodiscard]] boost::json::value tool(std::vector<std::string> words) const {
        words.insert(words.end(), {"--json", "--config", (folder.path() / "sluice.yaml").string()});
        const CommandResult answer = run_command("sluice", words);
        REQUIRE_MESSAGE(answer.code == 0, answer.err);
        return boost::json::parse(answer.out);
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
