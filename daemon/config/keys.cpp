#include "daemon/config/keys.hpp"

#include <algorithm>

#include "daemon/base/text.hpp"

namespace sluice::config {
namespace {

template <class T>
std::vector<const KeyInfo*> infos(std::span<const Key<T>> keys) {
    std::vector<const KeyInfo*> list;
    for (const Key<T>& key : keys) list.push_back(&key.info);
    return list;
}

/// The largest unit that divides the number: "32MiB".
std::string exact_size(std::int64_t bytes) {
    static constexpr std::string_view units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < std::size(units)) {
        bytes /= 1024;
        ++unit;
    }
    return std::to_string(bytes) + std::string(units[unit]);
}

std::string bound_text(Type type, std::int64_t bound) {
    if (type == Type::duration) return format_duration(Milliseconds{bound});
    if (type == Type::size) return exact_size(bound);
    return std::to_string(bound);
}

std::string joined(std::span<const std::string> words, std::string_view last) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) text += i + 1 == words.size() ? last : std::string_view(", ");
        text += words[i];
    }
    return text;
}

struct Foreign {
    std::string_view key;
    std::string_view hint;
};

constexpr Foreign foreign_keys[] = {
    {"topics", "here it is called 'subscribe', in the source"},
    {"topic", "here it is called 'subscribe', in the source"},
    {"topics.regex", "here it is called 'subscribePattern', in the source"},
    {"kafka", "librdkafka's properties are dotted keys: kafka.bootstrap.servers: …"},
    {"bootstrap.servers", "write kafka.bootstrap.servers, in the source"},
    {"startingTimestamp", "write startingOffsets: {timestamp: 2026-11-01T08:00:00Z}"},
    {"startingOffsetsByTimestamp", "write startingOffsets: {timestamp: 2026-11-01T08:00:00Z}"},
    {"startingOffsetsByTimestampStrategy", "write startingOffsets: {timestamp: …, noMatch: latest}"},
    {"endingOffsets", "a pipeline has no end; 'trigger: availableNow' stops at today's"},
    {"endingTimestamp", "a pipeline has no end; 'trigger: availableNow' stops at today's"},
    {"checkpointLocation", "checkpoints of all pipelines are in 'dataDir'"},
    {"groupIdPrefix", "write kafka.group.id"},
    {"fetchOffset.retryIntervalMs", "write fetchOffset.retryInterval, with its unit: 1s"},
    {"kafkaConsumer.pollTimeoutMs", "nothing waits that long here: leave it out"},
    {"includeHeaders", "headers are always there: leave it out"},
    {"tasks.max", "ranges are read in parallel by 'workers'"},
    {"connector.class", "name the sink's plugin: 'sink: {plugin: …}'"},
    {"errors.tolerance", "write it nested: 'errors: {tolerance: …}'"},
    {"errors.deadletterqueue.topic.name", "write 'errors: {deadLetters: {topic: …}}'"},
    {"minBatchesToRetain", "history is kept by age and size: 'history'"},
    {"<<", "merge keys are not understood: use an alias for a whole value"},
};

}  // namespace

const std::vector<Section>& sections() {
    static const std::vector<Section> all = {
        {"", "Top level.", infos(top_keys())},
        {"http", "The HTTP interface; `http: off` for none.", infos(http_keys())},
        {"consumers", "The pool of Kafka consumers, shared by all pipelines.", infos(consumers_keys())},
        {"history", "How long committed batches are remembered.", infos(history_keys())},
        {"pipelines[]", "One pipeline: a source, a trigger, a sink.", infos(pipeline_keys())},
        {"pipelines[].source", "What is read, and how much at once.", infos(source_keys())},
        {"pipelines[].source.startingOffsets", "The form that starts at a time.",
         infos(timestamp_keys())},
        {"pipelines[].source.startingOffsets", "The form that takes over from a consumer group.",
         infos(group_keys())},
        {"pipelines[].trigger", "When a batch is planned: exactly one of these.",
         infos(trigger_keys())},
        {"pipelines[].sink",
         "The plugin; all other keys are options of it, which `sluice plugins` lists.",
         infos(sink_keys())},
        {"pipelines[].errors", "What happens to records that the sink refuses, and when it is down.",
         infos(errors_keys())},
        {"pipelines[].errors.deadLetters", "Where refused records go: exactly one of these.",
         infos(dead_letters_keys())},
        {"pipelines[].errors.retry", "How a sink or broker that is down is tried again.",
         infos(retry_keys())},
        {"pipelines[].errors.restart",
         "How a pipeline that FAILED by a fault that can pass starts again by itself.",
         infos(restart_keys())},
    };
    return all;
}

std::string_view foreign_key_hint(std::string_view key) {
    const auto* const found = std::find_if(std::begin(foreign_keys), std::end(foreign_keys),
                                           [&](const Foreign& foreign) { return foreign.key == key; });
    return found == std::end(foreign_keys) ? std::string_view() : found->hint;
}

std::vector<std::string> split_words(std::string_view words) {
    std::vector<std::string> list;
    while (!words.empty()) {
        const std::size_t bar = std::min(words.find('|'), words.size());
        list.emplace_back(words.substr(0, bar));
        words.remove_prefix(std::min(words.size(), bar + 1));
    }
    return list;
}

std::string one_of(std::span<const std::string> words) { return joined(words, " or "); }
std::string and_list(std::span<const std::string> words) { return joined(words, " and "); }

std::string bounds_text(const KeyInfo& key) {
    const bool has_minimum = key.minimum.has_value();
    const bool has_maximum = key.maximum.has_value();
    if (has_minimum && has_maximum) {
        return bound_text(key.type, *key.minimum) + " to " + bound_text(key.type, *key.maximum);
    }
    if (has_minimum) return "at least " + bound_text(key.type, *key.minimum);
    if (has_maximum) return "at most " + bound_text(key.type, *key.maximum);
    return {};
}

}  // namespace sluice::config
