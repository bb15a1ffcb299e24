#pragma once
// What the end-to-end and crash tests share: topics of every kind, a configuration, a drain.

#include <string>
#include <vector>

#include "tests/support/daemon_process.hpp"
#include "tests/support/kafka_fixture.hpp"
#include "tests/support/ledger.hpp"

namespace sluice::test {

/// Produces `count` records round-robin over `partitions` partitions, in chunks: most plain, every
/// third chunk in a transaction, every seventh transaction aborted. Values are unique texts.
void produce_mixed(Kafka& kafka, const std::string& topic, int partitions, std::int64_t count,
                   std::int64_t first = 0);

struct PipelineYaml {
    std::string name = "orders";
    std::vector<std::string> topics;
    std::string trigger = "availableNow";         ///< YAML after "trigger:"
    std::string source_extra;                     ///< further lines, each "key: value\n"
    std::string sink = "plugin: file\nformat: json\n";  ///< lines; `path` is added for file
    std::string out;                              ///< output folder
    std::string extra;                            ///< further lines of the pipeline
};
std::string pipeline_yaml(const std::string& bootstrap, const PipelineYaml& pipeline);
/// A whole configuration: dataDir below `folder`, no HTTP.
std::string config_yaml(const std::filesystem::path& folder, const std::string& pipelines);

/// Whether the daemon of `folder`, which is down, left the newest batch of "orders" without an outcome.
bool has_open_batch(const std::filesystem::path& folder);

}  // namespace sluice::test
