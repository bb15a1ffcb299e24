#include "daemon/kafka/client_conf.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>

#include "daemon/base/log.hpp"
#include "daemon/base/paced_socket.hpp"
#include "daemon/base/secrets.hpp"
#include "daemon/base/text.hpp"

namespace sluice::kafka {
namespace {

/// Long-polls are cut to this, or moving a consumer that waits at a tail takes half a second.
constexpr std::int64_t fetch_wait_ms_max = 100;

/// librdkafka since 2.4 (2.8.0 for one) frees a cached topic that is still in its index by topic id
/// when the topic was deleted and created again in the meantime, and soon crashes (its issues 4778
/// and 4964). The default keeps topics for 15 minutes; what has expired can't be hit. Not much
/// shorter, because leaders are looked up in that cache right after it was filled. Costs a metadata
/// request a second for each client that is reading.
constexpr int metadata_age_ms_max = 200;

Result<void> set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
    std::array<char, 512> text{};
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text.data(), text.size()) ==
        RD_KAFKA_CONF_OK) {
        return {};
    }
    // librdkafka's words may quote the value.
    return Error{ErrorCode::configuration,
                 "kafka." + name + ": " +
                     (is_secret_property(name) ? std::string("librdkafka refuses the value")
                                               : secrets::redacted(text.data()))};
}

struct Property {
    const char* name;
    std::string value;
};

Result<void> set_all(rd_kafka_conf_t* conf, std::initializer_list<Property> properties) {
    for (const Property& property : properties) {
        SLUICE_CHECK(set(conf, property.name, property.value));
    }
    return {};
}

/// Read back from the configuration, so that aliases (max.partition.fetch.bytes) count too.
std::int64_t number_of(const rd_kafka_conf_t* conf, const char* name) {
    std::array<char, 64> value{};
    std::size_t size = value.size();
    const auto found = rd_kafka_conf_get(conf, name, value.data(), &size);
    SLUICE_ASSERT(found == RD_KAFKA_CONF_OK);
    const auto number = parse_int64(value.data());
    SLUICE_ASSERT(number);
    return *number;
}

/// Brings a number that the user may lower down to `limit`.
Result<void> limit_to(rd_kafka_conf_t* conf, const char* name, std::int64_t limit) {
    if (number_of(conf, name) <= limit) return {};
    return set(conf, name, std::to_string(limit));
}

log::Level level_of(int syslog_level) {
    // A lost connection is "error" to librdkafka and routine to a daemon: what can't be done
    // without it is reported by whoever needed it.
    if (syslog_level <= 2) return log::Level::error;
    if (syslog_level <= 4) return log::Level::warning;
    return syslog_level <= 6 ? log::Level::info : log::Level::debug;
}

// [librdkafka's own threads]
void on_log(const rd_kafka_t* client, int level, const char* facility, const char* text) {
    log::write(level_of(level), "kafka client",
               {{"client", client != nullptr ? rd_kafka_name(client) : "-"},
                {"facility", facility},
                {"text", secrets::redacted(text)}});
}

/// Of the user's properties, those that a producer would only warn of.
bool is_for_consumers(std::string_view name) {
    static constexpr std::string_view beginnings[] = {
        "group.", "fetch.", "queued.", "session.", "heartbeat.", "auto.", "enable.auto.", "partition.",
        "max.poll.", "max.partition.", "isolation.", "check.crcs", "offset.", "coordinator.",
        "enable.partition.eof", "receive.message.max.bytes", "metadata.max.age.ms"};
    return std::any_of(std::begin(beginnings), std::end(beginnings),
                       [&](std::string_view beginning) { return name.starts_with(beginning); });
}

Conf new_conf() {
    Conf conf{rd_kafka_conf_new()};
    rd_kafka_conf_set_log_cb(conf.get(), on_log);
    rd_kafka_conf_set_socket_cb(conf.get(), paced_socket);
    return conf;
}

/// A producer of dead letters: few, each of them precious. 16 MiB at most wait in it.
Result<Conf> make_producer_conf(const ClientSettings& settings) {
    Conf conf = new_conf();
    SLUICE_CHECK(set_all(conf.get(), {{"client.id", "sluice-" + settings.pipeline},
                                      {"queue.buffering.max.messages", "10000"},
                                      {"queue.buffering.max.kbytes", "16384"},
                                      {"message.max.bytes", "16777216"},  // the topic decides
                                      {"message.timeout.ms", "60000"},
                                      {"linger.ms", "5"},
                                      {"reconnect.backoff.max.ms", "2000"},
                                      {"socket.keepalive.enable", "true"},
                                      {"log.connection.close", "false"},
                                      {"enable.metrics.push", "false"}}));
    for (const auto& [name, value] : settings.properties) {
        if (!is_for_consumers(name)) SLUICE_CHECK(set(conf.get(), name, value));
    }
    SLUICE_CHECK(set_all(conf.get(), {{"enable.idempotence", "true"}, {"acks", "all"}}));
    // What one record may have must fit, or the producer waits for room that never comes.
    const std::int64_t record_kbytes = number_of(conf.get(), "message.max.bytes") / 1024 + 1;
    SLUICE_CHECK(set(conf.get(), "queue.buffering.max.kbytes",
                     std::to_string(std::max<std::int64_t>(16384, record_kbytes))));
    return conf;
}

bool uses_oauth(const rd_kafka_conf_t* conf) {
    std::array<char, 256> value{};
    std::size_t size = value.size();
    return rd_kafka_conf_get(conf, "sasl.mechanisms", value.data(), &size) == RD_KAFKA_CONF_OK &&
           upper(value.data()) == "OAUTHBEARER";
}

}  // namespace

bool is_secret_property(std::string_view name) noexcept {
    static constexpr std::string_view secrets[] = {"sasl.password",
                                                   "sasl.oauthbearer.client.secret",
                                                   "sasl.oauthbearer.config",
                                                   "ssl.key.password",
                                                   "ssl.key.pem",
                                                   "ssl.keystore.password",
                                                   "sasl.oauthbearer.extensions"};
    return std::find(std::begin(secrets), std::end(secrets), name) != std::end(secrets);
}

std::string principal_of(const std::map<std::string, std::string>& properties) {
    const auto value = [&](std::initializer_list<const char*> names) {
        for (const char* const name : names) {
            if (const auto found = properties.find(name); found != properties.end()) return found->second;
        }
        return std::string();
    };
    const std::string protocol = upper(value({"security.protocol"}));
    if (protocol.starts_with("SASL_")) {
        const std::string mechanism = upper(value({"sasl.mechanisms", "sasl.mechanism"}));
        const std::string user = value({"sasl.username"});
        if (mechanism == "PLAIN" || mechanism.starts_with("SCRAM-")) {
            return user.empty() ? user : "User:" + user;
        }
        return {};  // of a token or a ticket: the broker knows
    }
    const bool certified = !value({"ssl.certificate.location", "ssl.certificate.pem",
                                   "ssl.keystore.location"}).empty();
    if (protocol == "SSL" && certified) return {};  // the certificate's subject, as the broker maps it
    return "User:ANONYMOUS";
}

Result<Conf> make_conf(const ClientSettings& settings, Role role, const ConsumerLimits& limits) {
    SLUICE_ASSERT(limits.queued_kbytes > 0);
    SLUICE_ASSERT(limits.queued_messages > 0);
    SLUICE_ASSERT(limits.fetch_bytes > 0);
    if (role == Role::producer) return make_producer_conf(settings);
    Conf conf = new_conf();
    const std::string own_name = "sluice-" + settings.pipeline;

    // Ours, unless the user says otherwise.
    SLUICE_CHECK(set_all(
        conf.get(),
        {
            {"client.id", own_name},
            {"fetch.wait.max.ms", std::to_string(fetch_wait_ms_max)},
            {"fetch.queue.backoff.ms", "1"},  // the default waits 1 s whenever the queue was full
            {"fetch.error.backoff.ms", "50"},
            {"queued.max.messages.kbytes", std::to_string(limits.queued_kbytes)},
            {"queued.min.messages", std::to_string(limits.queued_messages)},
            {"fetch.message.max.bytes", std::to_string(limits.fetch_bytes)},
            // A broker that hangs keeps its connections, and a client that has asked it who leads what
            // now asks nobody else before this is over (the default is a minute).
            {"socket.timeout.ms", "10000"},
            {"reconnect.backoff.max.ms", "2000"},
            {"socket.keepalive.enable", "true"},
            {"log.connection.close", "false"},  // brokers reap idle connections all day
            {"enable.metrics.push", "false"},
        }));

    // librdkafka wants a group even for assign; it is never joined. A client that only asks has
    // none: looking for the group's coordinator makes its first answer take a second, two times in
    // three.
    if (role == Role::consumer) SLUICE_CHECK(set(conf.get(), "group.id", own_name));

    for (const auto& [name, value] : settings.properties) {
        if (role == Role::lookup && name == "group.id") continue;
        SLUICE_CHECK(set(conf.get(), name, value));
    }

    // Whatever the user says.
    SLUICE_CHECK(
        set_all(conf.get(), {
                                {"isolation.level", settings.isolation_level},
                                {"enable.auto.commit", "false"},
                                {"enable.auto.offset.store", "false"},
                                {"auto.offset.reset", "error"},
                                {"enable.partition.eof", role == Role::consumer ? "true" : "false"},
                                {"allow.auto.create.topics", "false"},
                                {"metadata.max.age.ms", std::to_string(metadata_age_ms_max)},
                            }));
    SLUICE_CHECK(limit_to(conf.get(), "fetch.wait.max.ms", fetch_wait_ms_max));
    SLUICE_CHECK(limit_to(conf.get(), "queued.max.messages.kbytes", limits.queued_kbytes));
    SLUICE_CHECK(limit_to(conf.get(), "queued.min.messages", limits.queued_messages));
    SLUICE_CHECK(limit_to(conf.get(), "fetch.message.max.bytes", limits.fetch_bytes));
    // Of a partition whose fetches hold nothing but aborted records, librdkafka asks for twice as much each
    // time, up to this. It may not be less than message.max.bytes,
    // nor more than the user lets a response have.
    const std::int64_t of_fetches =
        std::max<std::int64_t>(limits.fetch_bytes, number_of(conf.get(), "message.max.bytes"));
    const std::int64_t of_responses = number_of(conf.get(), "receive.message.max.bytes") - 512;
    SLUICE_CHECK(limit_to(conf.get(), "fetch.max.bytes", std::min(of_fetches, of_responses)));
    return conf;
}

Result<Client> make_client(Conf conf, rd_kafka_type_t type) {
    const bool oauth = uses_oauth(conf.get());
    if (oauth) rd_kafka_conf_enable_sasl_queue(conf.get(), 1);
    std::array<char, 512> text{};
    Client client{rd_kafka_new(type, conf.get(), text.data(), text.size())};
    if (!client) {
        return Error{ErrorCode::configuration,
                     "librdkafka refuses the kafka.* properties: " + secrets::redacted(text.data())};
    }
    (void)conf.release();  // the client took it
    if (oauth) {
        if (const ErrorHandle error{rd_kafka_sasl_background_callbacks_enable(client.get())}) {
            return to_error("refreshing OAuth tokens", rd_kafka_error_code(error.get()),
                            rd_kafka_error_string(error.get()));
        }
    }
    return client;
}

}  // namespace sluice::kafka
