#pragma once
// The options of the kafka sink: their table (what `sluice plugins` prints and YAML is checked
// against) and their values.

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "plugins/kafka/topic_names.hpp"
#include "sluice/sink.hpp"

namespace sluice::plugins::kafka {

/// Of `bufferMax`, in bytes.
inline constexpr std::int64_t buffer_least = 1 << 20;

inline constexpr sluice_option option_table[] = {
    option("kafka", SLUICE_OPTION_JSON,
           "Properties of librdkafka for the target, a map with `bootstrap.servers` at least; those that "
           "would break the guarantee are refused, with the reason."),
    option("kafkaSecrets", SLUICE_OPTION_JSON,
           "Those that nobody may see: `sasl.password`, `ssl.key.password`, …")
        .secret(),
    option("topic", SLUICE_OPTION_STRING,
           "Target of the topics that no route matches; `{topic}` stands for the source's name.")
        .by_default("{topic}"),
    option("routes", SLUICE_OPTION_JSON,
           "A list of `{regex, replacement}` as in Kafka Connect's RegexRouter: the first that matches a "
           "whole name counts, `$1` is its first group (ECMAScript)."),
    option("partition", SLUICE_OPTION_CHOICE,
           "`keep`: the source's number, so the target needs as many partitions; `hash`: by the key, "
           "where Java producers put it (murmur2).")
        .choices("keep|hash")
        .by_default("keep"),
    option("transactions", SLUICE_OPTION_BOOL,
           "A transaction for each batch: exactly once; `false`: an idempotent producer without, at least "
           "once: a batch that is run again, after a crash or any failure, comes again.")
        .by_default("true"),
    option("transactionalId", SLUICE_OPTION_STRING,
           "Whoever has it fences the one before: one pipeline, one id; two pipelines of a name that "
           "write to one cluster need two. To be changed between batches. Without it: `sluice-` and the "
           "pipeline's name (the first, where it was renamed)."),
    option("transactionTimeout", SLUICE_OPTION_DURATION,
           "Longest time for a batch, at most the brokers' `transaction.max.timeout.ms` (15 min): the "
           "cluster gives up a transaction that lasts longer.")
        .by_default("5m")
        .between(1000, 86'400'000),
    option("markerTopic", SLUICE_OPTION_STRING,
           "Topic whose partition 0 carries the marker. Without it: the target of the batch's first range."),
    option(
        "missingMarker", SLUICE_OPTION_CHOICE,
        "When nobody knows any more whether a batch to be run again is there: stop, or run it.")
        .choices("stop|run")
        .by_default("stop"),
    option("originHeaders", SLUICE_OPTION_BOOL,
           "Adds `sluice.origin.topic`, `.partition`, `.offset` behind the record's own headers.")
        .by_default("false"),
    option("createTopics", SLUICE_OPTION_BOOL,
           "Creates target topics that are missing, and the partitions that `partition: keep` needs.")
        .by_default("false"),
    option(
        "createPartitions", SLUICE_OPTION_INT,
        "Of a topic that is created; `0`: as many as `keep` needs so far, or the brokers' default.")
        .by_default("0")
        .between(0, 100'000),
    option(
        "targetCluster", SLUICE_OPTION_STRING,
        "Id of the only cluster that is written to; moves a pipeline to another cluster."),
    option("bufferMax", SLUICE_OPTION_SIZE, "Records that wait to be sent, in bytes, with 512 more for each. One that is larger is sent alone. Less where the pipeline's part of memoryMax is smaller, but never less than 1MiB.")
        .by_default("32MiB")
        .between(buffer_least, 1 << 30),
    option("timeout", SLUICE_OPTION_DURATION, "Longest wait for one answer of the target cluster.")
        .by_default("30s")
        .between(1000, 3'600'000),
};

struct Options {
    std::string pipeline;
    std::map<std::string, std::string> properties;  ///< of librdkafka, secrets too
    TopicNames topics{"{topic}", ""};
    bool keep_partition = true;
    bool transactions = true;
    std::string transactional_id;
    std::string marker_group;
    std::chrono::milliseconds transaction_timeout{};
    std::string marker_topic;  ///< empty: the target of the batch's first range
    bool run_without_marker = false;
    bool origin_headers = false;
    bool create_topics = false;
    int create_partitions = 0;
    std::string target_cluster;  ///< empty: any
    std::uint64_t buffer_max = 0;
    std::chrono::milliseconds timeout{};
};

/// Throws std::invalid_argument when the options do not fit together. Touches no network; whether
/// librdkafka takes the values of its properties is check_properties()'s to say (client.hpp).
Options read_options(const Settings& settings, std::string_view pipeline);

/// Why a property of librdkafka may not be set: it would break what the sink promises, or an option
/// has it. Empty: it may.
std::string_view refuse_property(std::string_view name);
/// True for properties whose value is a password, a key or a token.
bool is_secret_property(std::string_view name);

}  // namespace sluice::plugins::kafka
