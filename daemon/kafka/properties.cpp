// Which of librdkafka's properties a user may set.

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/text.hpp"
#include "daemon/kafka/client_conf.hpp"

namespace sluice::kafka {
namespace {

struct Refusal {
    std::string_view name;
    std::string_view reason;
};

// Known to librdkafka, and would break what sluice promises.
constexpr Refusal refusals[] = {
    {"enable.auto.commit",
     "positions are committed with each batch, never by the client; to publish them for lag tools, "
     "set exportGroup"},
    {"auto.commit.enable",
     "positions are committed with each batch, never by the client; to publish them for lag tools, "
     "set exportGroup"},
    {"auto.commit.interval.ms",
     "positions are committed with each batch, never by the client; the trigger sets how often"},
    {"enable.auto.offset.store", "positions are kept in sluice's checkpoints only"},
    {"offset.store.method", "positions are kept in sluice's checkpoints only"},
    {"offset.store.path", "positions are kept in sluice's checkpoints only"},
    {"offset.store.sync.interval.ms", "positions are kept in sluice's checkpoints only"},
    {"auto.offset.reset",
     "a client must never choose where to read; set startingOffsets for the first start, and "
     "failOnDataLoss for offsets that are gone"},
    {"enable.partition.eof", "the reader needs it to find the end of a range"},
    {"partition.assignment.strategy", "sluice assigns partitions itself and joins no group"},
    {"group.remote.assignor", "sluice assigns partitions itself and joins no group"},
    {"group.instance.id", "sluice assigns partitions itself and joins no group"},
    {"allow.auto.create.topics", "reading must not create a topic that was deleted"},
    {"metadata.max.age.ms",
     "librdkafka would crash where a topic is deleted and created again; see "
     "daemon/kafka/README.md"},
    {"topic.blacklist", "it would hide topics from the planner; narrow subscribePattern instead"},
    {"plugin.library.paths", "it loads code into the daemon"},
    {"interceptors", "it loads code into the daemon"},
    {"statistics.interval.ms", "nobody reads librdkafka's statistics; see /metrics"},
    {"enabled_events", "only a program can use it"},
    {"log.queue", "the client's log goes to sluice's own"},
    {"opaque", "only a program can use it"},
    {"default_topic_conf", "only a program can use it"},
    {"ssl_key", "only a program can use it; set ssl.key.location or ssl.key.pem"},
    {"ssl_certificate",
     "only a program can use it; set ssl.certificate.location or ssl.certificate.pem"},
    {"ssl_ca", "only a program can use it; set ssl.ca.location or ssl.ca.pem"},
    {"ssl_engine_callback_data", "only a program can use it"},
    {"consume.callback.max.messages", "only a program can use it"},
};

// Known to Java clients only: what people bring along from Spark and Kafka Connect.
constexpr Refusal java_only[] = {
    {"key.deserializer", "a Java class; sinks get keys and values as bytes"},
    {"value.deserializer", "a Java class; sinks get keys and values as bytes"},
    {"key.serializer", "a Java class, and sluice does not produce here"},
    {"value.serializer", "a Java class, and sluice does not produce here"},
    {"key.converter", "a Java class of Kafka Connect; sinks get keys and values as bytes"},
    {"value.converter", "a Java class of Kafka Connect; sinks get keys and values as bytes"},
    {"interceptor.classes", "Java classes"},
    {"metric.reporters", "Java classes; see /metrics"},
    {"security.providers", "Java classes"},
    {"sasl.client.callback.handler.class", "a Java class"},
    {"sasl.login.callback.handler.class", "a Java class; see sasl.oauthbearer.method"},
    {"sasl.jaas.config",
     "it configures Java; set sasl.mechanisms, sasl.username and sasl.password"},
    {"ssl.truststore.location", "it names a Java key store; set ssl.ca.location to a PEM file"},
    {"ssl.truststore.password", "it opens a Java key store; set ssl.ca.location to a PEM file"},
    {"ssl.truststore.type", "it describes a Java key store; set ssl.ca.location to a PEM file"},
    {"ssl.truststore.certificates", "the name is Java's; set ssl.ca.pem"},
    {"ssl.keystore.type", "librdkafka reads PKCS#12 from ssl.keystore.location"},
    {"ssl.keystore.key", "the name is Java's; set ssl.key.pem"},
    {"ssl.keystore.certificate.chain", "the name is Java's; set ssl.certificate.pem"},
    {"ssl.enabled.protocols", "the name is Java's; the TLS library decides"},
    {"max.poll.records", "records are not polled by count; set maxOffsetsPerTrigger"},
    {"fetch.max.wait.ms", "the name is Java's; set fetch.wait.max.ms (100 at most)"},
    {"default.api.timeout.ms", "the name is Java's; set socket.timeout.ms"},
    {"receive.buffer.bytes", "the name is Java's; set socket.receive.buffer.bytes"},
    {"send.buffer.bytes", "the name is Java's; set socket.send.buffer.bytes"},
};

struct Known {
    std::string name;
    bool producer_only = false;
};

/// Every property that librdkafka documents, from the table that it prints of itself: name | C/P |
/// …
std::vector<Known> ask_librdkafka() {
    char* text = nullptr;
    std::size_t size = 0;
    std::FILE* const out = open_memstream(&text, &size);
    SLUICE_ASSERT(out != nullptr);
    rd_kafka_conf_properties_show(out);
    (void)std::fclose(out);
    std::vector<Known> known;
    std::string_view rest(text, size);
    while (!rest.empty()) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        const std::size_t name_end = line.find_first_of(" |");
        const std::size_t bar = line.find('|');
        if (bar == std::string_view::npos || bar + 3 > line.size()) continue;
        // "  C  ", "  P  ", "  *  ": the heading and the ruler have none of them alone.
        const std::string_view column = line.substr(bar + 1, line.find('|', bar + 1) - bar - 1);
        const std::size_t at = column.find_first_not_of(' ');
        if (at == std::string_view::npos || column.find_last_not_of(' ') != at) continue;
        if (std::string_view("CP*").find(column[at]) == std::string_view::npos) continue;
        const std::string_view name = line.substr(0, name_end);
        const bool producer = column[at] == 'P';
        const auto earlier = std::find_if(known.begin(), known.end(),
                                          [&](const Known& k) { return k.name == name; });
        if (earlier == known.end()) {
            known.push_back({std::string(name), producer});
        } else {
            earlier->producer_only = earlier->producer_only && producer;
        }
    }
    std::free(text);
    SLUICE_ASSERT(known.size() > 100);
    return known;
}

const std::vector<Known>& known_properties() {
    static const std::vector<Known> known = ask_librdkafka();
    return known;
}

const Refusal* find(std::span<const Refusal> table, std::string_view name) {
    const auto found =
        std::find_if(table.begin(), table.end(), [&](const Refusal& r) { return r.name == name; });
    return found == table.end() ? nullptr : &*found;
}

std::string unknown(std::string_view name) {
    std::vector<std::string> usable;
    for (const Known& property : known_properties()) {
        if (!property.producer_only && find(refusals, property.name) == nullptr &&
            !property.name.ends_with("_cb")) {
            usable.push_back(property.name);
        }
    }
    std::string text = "librdkafka knows no such property";
    if (const auto meant = nearest(name, usable)) text += "; did you mean 'kafka." + *meant + "'?";
    return text;
}

/// librdkafka's own opinion on the value, on a configuration that is thrown away.
std::optional<std::string> refuse_value(const std::string& name, const std::string& value) {
    const Conf conf{rd_kafka_conf_new()};
    std::array<char, 512> text{};
    if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), text.data(), text.size()) ==
        RD_KAFKA_CONF_OK) {
        return std::nullopt;
    }
    if (is_secret_property(name)) return "librdkafka refuses the value";
    return std::string(text.data());
}

}  // namespace

std::optional<std::string> refuse_property(std::string_view name, std::string_view value) {
    if (const Refusal* const refusal = find(refusals, name)) {
        return "can't be set: " + std::string(refusal->reason);
    }
    if (const Refusal* const refusal = find(java_only, name)) {
        return "not a property of librdkafka: " + std::string(refusal->reason);
    }
    if (name.ends_with("_cb")) return "can't be set: only a program can use it";
    if (name == "isolation.level" && value != "read_committed" && value != "read_uncommitted") {
        return "is read_committed (the default) or read_uncommitted";
    }
    const auto& known = known_properties();
    const auto property =
        std::find_if(known.begin(), known.end(), [&](const Known& k) { return k.name == name; });
    if (property == known.end()) return unknown(name);
    if (property->producer_only) return "is for producers; a source only reads";
    if (value.find('\0') != std::string_view::npos) return "the value has a NUL byte in it";
    return refuse_value(std::string(name), std::string(value));
}

}  // namespace sluice::kafka
