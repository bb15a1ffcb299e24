#include "plugins/kafka/conf.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <stdexcept>

#include "daemon/base/paced_socket.hpp"
#include "plugins/kafka/waiting.hpp"

namespace sluice::plugins::kafka {
namespace {

void set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
    std::array<char, 512> text{};
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text.data(), text.size()) ==
        RD_KAFKA_CONF_OK)
        return;
    // librdkafka's words may quote the value.
    throw std::invalid_argument(
        "kafka: " + name + ": " +
        (is_secret_property(name) ? "librdkafka refuses the value" : text.data()));
}

struct Property {
    const char* name;
    std::string value;
};
void set_all(rd_kafka_conf_t* conf, std::initializer_list<Property> properties) {
    for (const Property& property : properties)
        set(conf, property.name, property.value);
}

std::uint64_t number_in(const rd_kafka_conf_t* conf, const char* property) {
    std::array<char, 64> text{};
    std::size_t size = text.size();
    if (rd_kafka_conf_get(conf, property, text.data(), &size) != RD_KAFKA_CONF_OK) return 0;
    return std::stoull(text.data());
}

void set_for_producer(rd_kafka_conf_t* conf, const Options& options, bool alone) {
    // librdkafka calls a queue full that has no room for the record, even one that is empty: a record
    // larger than its bound would wait for ever. What waits is bounded by Waiting (client.hpp).
    const std::uint64_t room = std::max(options.buffer_max, number_in(conf, "message.max.bytes"));
    const std::uint64_t records = std::max<std::uint64_t>(options.buffer_max / record_cost, 1000);
    set_all(conf, {{"enable.idempotence", "true"},
                   {"acks", "all"},
                   {"delivery.report.only.error", "true"},
                   {"allow.auto.create.topics", "false"},
                   {"partitioner", "murmur2_random"},  // where Java producers put the same key
                   {"queue.buffering.max.kbytes", std::to_string((room + 1023) / 1024)},
                   {"queue.buffering.max.messages", std::to_string(records)}});
    if (options.transactions)
        set_all(conf,
                {{"transactional.id", options.transactional_id},
                 {"transaction.timeout.ms", std::to_string(options.transaction_timeout.count())}});
    if (alone) set(conf, "batch.num.messages", "1");
}

bool uses_oauth(const rd_kafka_conf_t* conf) {
    std::array<char, 256> value{};
    std::size_t size = value.size();
    return rd_kafka_conf_get(conf, "sasl.mechanisms", value.data(), &size) == RD_KAFKA_CONF_OK &&
           std::string_view(value.data()) == "OAUTHBEARER";
}

}  // namespace

Conf make_conf(const Options& options, Role role) {
    Conf conf{rd_kafka_conf_new()};
    rd_kafka_conf_set_socket_cb(conf.get(), paced_socket);
    set_all(conf.get(),
            {{"client.id", options.transactional_id},
             {"message.max.bytes", "16777216"},  // the topic decides
             {"reconnect.backoff.max.ms", "2000"},
             {"socket.keepalive.enable", "true"},
             {"log.connection.close", "false"},
             {"enable.metrics.push", "false"},
             // librdkafka would take the timeout of the transaction: too long for a dead peer.
             {"socket.timeout.ms", std::to_string(std::min<std::int64_t>(
                                       options.transaction_timeout.count(), 60'000))}});
    for (const auto& [name, value] : options.properties)
        set(conf.get(), name, value);
    if (role == Role::marker_reader) {
        set(conf.get(), "group.id", options.marker_group);
    } else {
        set_for_producer(conf.get(), options, role == Role::lone_producer);
    }
    return conf;
}

Handle make_client(Conf conf, Role role) {
    const bool oauth = uses_oauth(conf.get());
    if (oauth) rd_kafka_conf_enable_sasl_queue(conf.get(), 1);
    std::array<char, 512> text{};
    Handle client{rd_kafka_new(role == Role::marker_reader ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER,
                               conf.get(), text.data(), text.size())};
    if (!client)
        throw std::invalid_argument("kafka: librdkafka refuses the properties: " +
                                    std::string(text.data()));
    (void)conf.release();  // the client took it
    if (oauth)
        if (const ErrorHandle error{rd_kafka_sasl_background_callbacks_enable(client.get())})
            throw std::runtime_error(rd_kafka_error_string(error.get()));
    return client;
}

}  // namespace sluice::plugins::kafka
