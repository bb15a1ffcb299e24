// The Kafka side of a pipeline: its table, librdkafka's properties, and how they fit together. What
// is read and from where is in subscription.cpp.

#include <algorithm>

#include "daemon/config/references.hpp"
#include "daemon/config/sections.hpp"

namespace sluice::config {
namespace {

constexpr std::string_view kafka_prefix = "kafka.";
constexpr std::string_view subscription_keys[] = {"subscribe", "subscribePattern", "assign"};

/// Properties whose values are never shown, however they were written.
bool is_secret_property(std::string_view name) {
    return name.find("password") != std::string_view::npos ||
           name.find("secret") != std::string_view::npos || name == "ssl.key.pem" ||
           name == "sasl.oauthbearer.config";
}

void take_property(Context& context, std::string_view name, const Value& value, Source& source) {
    const bool is_secret = is_secret_property(name);
    context.remember_secrets(*value.node, is_secret);
    if (value.node->text.find('\0') != std::string::npos) {
        context.findings.error(value.node->at, value.path, "a property has no NUL bytes");
        return;
    }
    if (context.options.refuse_kafka_property) {
        if (const auto why = context.options.refuse_kafka_property(name, value.text)) {
            context.findings.error(value.node->at, value.path, redacted(*why, *value.node, is_secret));
            return;
        }
    }
    source.kafka.insert_or_assign(std::string(name), value.text);
    if (value.node->raw) source.kafka_references.insert_or_assign(std::string(name), *value.node->raw);
}

constexpr Key<Source> source_table[] = {
    {{.name = "kafka.bootstrap.servers",
      .required = true,
      .sentence = "Brokers to begin with, as host:port, separated by commas."},
     [](Context& context, const Value& value, Source& source) {
         if (value.text.empty()) {
             context.findings.error(value.node->at, value.path, "names no broker");
             return;
         }
         take_property(context, "bootstrap.servers", value, source);
     }},
    {{.name = "kafka.isolation.level",
      .type = Type::choice,
      .default_value = "read_committed",
      .words = "read_committed|read_uncommitted",
      .sentence = "Whether records of open and aborted transactions are read."},
     [](Context&, const Value& value, Source& source) { source.isolation_level = value.text; }},
    {{.name = "kafka.*",
      .type = Type::nested,
      .form = "a single value",
      .sentence = "Any other property of librdkafka, by its own name; those that would break the "
                  "contract are refused."},
     nullptr},
    {{.name = "subscribe",
      .type = Type::nested,
      .form = "a list of topics, or `a, b`",
      .sentence = "Topics to read; exactly one of subscribe, subscribePattern and assign."},
     set_subscribe},
    {{.name = "subscribePattern",
      .sentence = "Regular expression (ECMAScript) found anywhere in a topic's name; looked at again "
                  "at each trigger."},
     set_pattern},
    {{.name = "assign",
      .type = Type::nested,
      .form = "`{topic: [0, 1]}`",
      .sentence = "Exactly these partitions."},
     set_assign},
    {{.name = "startingOffsets",
      .type = Type::nested,
      .default_value = "earliest",
      .form = "`earliest`, `latest`, `{topic: {partition: offset}}` (-1 latest, -2 earliest), "
              "`{timestamp: …}`, `{group: name}`",
      .sentence = "Where the very first batch starts; written down then, and without effect later."},
     set_starting_offsets},
    {{.name = "maxOffsetsPerTrigger",
      .type = Type::integer,
      .default_value = "auto",
      .words = "auto|unlimited",
      .minimum = 1,
      .sentence = "Most offsets of one batch over all partitions, exactly; auto is about 30 s of work."},
     [](Context&, const Value& value, Source& source) {
         source.max_offsets_per_trigger = limit_of(value);
     }},
    {{.name = "maxBytesPerTrigger",
      .type = Type::size,
      .minimum = 1,
      .sentence = "Most bytes of one batch, by the mean record size seen so far."},
     [](Context&, const Value& value, Source& source) {
         source.max_bytes_per_trigger = static_cast<std::uint64_t>(value.number);
     }},
    {{.name = "minOffsetsPerTrigger",
      .type = Type::integer,
      .minimum = 1,
      .sentence = "A trigger with fewer new offsets waits for more, up to maxTriggerDelay."},
     [](Context&, const Value& value, Source& source) {
         source.min_offsets_per_trigger = value.number;
     }},
    {{.name = "maxTriggerDelay",
      .type = Type::duration,
      .default_value = "15m",
      .minimum = 1,
      .maximum = 365LL * 24 * 3600 * 1000,
      .sentence = "Longest wait for minOffsetsPerTrigger."},
     [](Context&, const Value& value, Source& source) {
         source.max_trigger_delay = Milliseconds{value.number};
     }},
    {{.name = "maxRecordsPerPartition",
      .type = Type::integer,
      .default_note = "not cut by size",
      .words = "auto",
      .minimum = 1,
      .sentence = "A partition's share of a batch is cut into near-equal ranges of at most this many "
                  "offsets; auto goes by memory."},
     [](Context&, const Value& value, Source& source) {
         source.max_records_per_partition = limit_of(value);
     }},
    {{.name = "minPartitions",
      .type = Type::integer,
      .default_note = "one range a partition",
      .words = "auto",
      .minimum = 1,
      .maximum = 100'000,
      .sentence = "Fewest ranges of a batch, as long as there are offsets to divide; auto goes by "
                  "workers, and by what is worth one."},
     [](Context&, const Value& value, Source& source) { source.min_partitions = limit_of(value); }},
    {{.name = "failOnDataLoss",
      .type = Type::boolean,
      .default_value = "true",
      .sentence = "Whether offsets that can no longer be read stop the pipeline, or are recorded and "
                  "stepped over."},
     [](Context&, const Value& value, Source& source) { source.fail_on_data_loss = value.boolean; }},
    {{.name = "fetchOffset.numRetries",
      .type = Type::integer,
      .default_value = "3",
      .minimum = 1,
      .maximum = 100,
      .sentence = "Attempts of an offset look-up within one trigger."},
     [](Context&, const Value& value, Source& source) {
         source.fetch_offset_retries = static_cast<int>(value.number);
     }},
    {{.name = "fetchOffset.retryInterval",
      .type = Type::duration,
      .default_value = "1s",
      .minimum = 0,
      .maximum = 300'000,
      .sentence = "Time between those attempts."},
     [](Context&, const Value& value, Source& source) {
         source.fetch_offset_retry_interval = Milliseconds{value.number};
     }},
};

void check_subscription(Context& context, const Node& node, const std::string& path) {
    const std::vector<std::string> given = present(node, subscription_keys);
    if (given.size() == 1) return;
    const std::string what = given.empty() ? "none is given" : and_list(given) + " are given";
    context.findings.error(node.at, path,
                           "needs exactly one of subscribe, subscribePattern and assign; " + what);
}

/// Offsets to start from must be of partitions that are read, or they would be ignored in silence.
void check_starting_topics(Context& context, const Node& at, const std::string& path,
                           const Source& source) {
    const auto* const starting = std::get_if<AtOffsets>(&source.starting_offsets);
    if (starting == nullptr) return;
    for (const auto& [topic, offsets] : starting->offsets) {
        if (const auto* const topics = std::get_if<Topics>(&source.subscription)) {
            const auto& names = topics->names;
            if (std::find(names.begin(), names.end(), topic) == names.end()) {
                context.findings.error(at.at, path, "topic '" + topic + "' is not subscribed to");
            }
        } else if (const auto* const assigned = std::get_if<Assignment>(&source.subscription)) {
            const auto found = assigned->partitions.find(topic);
            for (const auto& [partition, offset] : offsets) {
                if (found == assigned->partitions.end() ||
                    !std::binary_search(found->second.begin(), found->second.end(), partition)) {
                    context.findings.error(at.at, path, "partition " + std::to_string(partition) +
                                                            " of topic '" + topic + "' is not assigned");
                }
            }
        }
    }
}

void check_limits(Context& context, const Node& node, const std::string& path, const Source& source) {
    const auto* const most = std::get_if<std::int64_t>(&source.max_offsets_per_trigger);
    if (source.min_offsets_per_trigger && most != nullptr && *source.min_offsets_per_trigger > *most) {
        const Node& minimum = *node.find("minOffsetsPerTrigger");
        context.findings.error(minimum.at, join_path(path, "minOffsetsPerTrigger"),
                               shown(minimum) + " is more than maxOffsetsPerTrigger (" +
                                   shown(*node.find("maxOffsetsPerTrigger")) + ")");
    }
    const Node* const delay = node.find("maxTriggerDelay");
    if (delay != nullptr && node.find("minOffsetsPerTrigger") == nullptr) {
        context.findings.warning(delay->at, join_path(path, "maxTriggerDelay"),
                                 "has no effect without minOffsetsPerTrigger");
    }
}

}  // namespace

std::span<const Key<Source>> source_keys() { return source_table; }

void read_source(Context& context, const Node& node, const std::string& path, Source& source) {
    const auto take_kafka = [&](const Node::Key& key, const Node& item) {
        if (!key.name.starts_with(kafka_prefix) || key.name.size() == kafka_prefix.size()) return false;
        const std::string_view name = std::string_view(key.name).substr(kafka_prefix.size());
        const KeyInfo info{.name = key.name};
        if (const auto value = read_value(context, info, item, join_path(path, key.name))) {
            take_property(context, name, *value, source);
        }
        return true;
    };
    read_section(context, node, path, source_keys(), source, take_kafka);
    if (!node.is_map()) return;
    check_subscription(context, node, path);
    const auto is_good = [&](std::string_view key) {
        return !context.findings.has_error_in(join_path(path, key));
    };
    if (is_good("minOffsetsPerTrigger") && is_good("maxOffsetsPerTrigger")) check_limits(context, node, path, source);
    const Node* const starting = node.find("startingOffsets");
    const bool reads_known_topics = present(node, subscription_keys).size() == 1 &&
                                    std::all_of(std::begin(subscription_keys), std::end(subscription_keys), is_good);
    if (starting != nullptr && reads_known_topics && is_good("startingOffsets")) {
        check_starting_topics(context, *starting, join_path(path, "startingOffsets"), source);
    }
}

}  // namespace sluice::config
