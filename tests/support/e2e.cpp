#include "tests/support/e2e.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <sstream>

namespace sluice::test {
namespace {

std::string indented(const std::string& lines, const std::string& indent) {
    std::istringstream in(lines);
    std::string out;
    for (std::string line; std::getline(in, line);) out += indent + line + "\n";
    return out;
}

}  // namespace

void produce_mixed(Kafka& kafka, const std::string& topic, int partitions, std::int64_t count,
                   std::int64_t first) {
    const std::int64_t chunk = std::clamp<std::int64_t>(count / 30, 1, 20'000);
    int number = 0;
    int transactions = 0;
    for (std::int64_t at = 0; at < count; at += chunk, ++number) {
        const std::int64_t size = std::min(chunk, count - at);
        const auto make = [&](std::int64_t i) {
            const std::int64_t id = first + at + i;
            Record record;
            record.partition = static_cast<std::int32_t>(id % partitions);
            record.key = "k" + std::to_string(id % 1000);
            record.value = "{\"id\":" + std::to_string(id) + ",\"text\":\"order " +
                           std::to_string(id * 7919) + "\"}";
            return record;
        };
        if (number % 3 != 2) {
            kafka.produce(topic, size, make);
            continue;
        }
        Transaction transaction(kafka);
        transaction.produce(topic, size, make);
        if (++transactions % 7 == 3) {
            transaction.abort();
        } else {
            transaction.commit();
        }
    }
    kafka.await_decided(topic, partitions);
}

std::string pipeline_yaml(const std::string& bootstrap, const PipelineYaml& pipeline) {
    std::string topics;
    for (const auto& topic : pipeline.topics) topics += (topics.empty() ? "" : ", ") + topic;
    std::string yaml = "  - name: " + pipeline.name + "\n    source:\n";
    yaml += "      kafka.bootstrap.servers: " + bootstrap + "\n";
    yaml += "      subscribe: [" + topics + "]\n" + indented(pipeline.source_extra, "      ");
    yaml += "    trigger: " + pipeline.trigger + "\n    sink:\n" + indented(pipeline.sink, "      ");
    if (!pipeline.out.empty()) yaml += "      path: " + pipeline.out + "\n";
    return yaml + indented(pipeline.extra, "    ");
}

std::string config_yaml(const std::filesystem::path& folder, const std::string& pipelines) {
    return "dataDir: " + (folder / "data").string() + "\nhttp: off\npipelines:\n" + pipelines;
}

bool has_open_batch(const std::filesystem::path& folder) {
    const CommandResult listed = run_command("sluice", {"batches", "list", "orders", "--limit", "1", "--json", "--config",
                                                        (folder / "sluice.yaml").string()});
    if (listed.code != 0) return false;  // it had not come to make the checkpoint
    const auto newest = boost::json::parse(listed.out).at("batches").as_array();
    return !newest.empty() && newest[0].at("state") == "planned";
}

}  // namespace sluice::test
