#include "plugins/kafka/options.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>
#include <stdexcept>

namespace sluice::plugins::kafka {
namespace {

struct Refusal {
    std::string_view name;
    std::string_view reason;
};
constexpr std::string_view only_a_program = "only a program can use it";
constexpr std::string_view loads_code = "it loads code into the daemon";
constexpr std::string_view lossless = "records must not be lost, nor their order";
constexpr Refusal refusals[] = {
    {"transactional.id", "set transactionalId"},
    {"transaction.timeout.ms", "set transactionTimeout"},
    {"queue.buffering.max.messages", "set bufferMax"},
    {"queue.buffering.max.kbytes", "set bufferMax"},
    {"enable.idempotence", lossless},
    {"acks", lossless},
    {"request.required.acks", lossless},
    {"retries", lossless},
    {"message.send.max.retries", lossless},
    {"enable.gapless.guarantee", "the sink handles lost records itself"},
    {"delivery.report.only.error", "the sink handles lost records itself"},
    {"allow.auto.create.topics", "set createTopics"},
    {"partitioner", "set partition"},
    {"statistics.interval.ms", "nobody reads librdkafka's statistics; see /metrics"},
    {"plugin.library.paths", loads_code},
    {"interceptors", loads_code},
    {"enabled_events", only_a_program},
    {"log.queue", only_a_program},
    {"opaque", only_a_program},
    {"default_topic_conf", only_a_program},
    {"ssl_engine_callback_data", only_a_program},
};

std::string text_of(const boost::json::value& value) {
    if (value.is_string()) return std::string(value.get_string().data(), value.get_string().size());
    if (value.is_bool()) return value.get_bool() ? "true" : "false";
    if (value.is_int64()) return std::to_string(value.get_int64());
    if (value.is_uint64()) return std::to_string(value.get_uint64());
    if (value.is_double()) return boost::json::serialize(value);
    throw std::invalid_argument("is neither text, nor number, nor true or false");
}

void read_properties(Options& options, std::string_view option, std::string_view json,
                     bool secrets) {
    boost::json::error_code error;
    const boost::json::value document =
        boost::json::parse(boost::json::string_view(json.data(), json.size()), error);
    if (error || !document.is_object())
        throw std::invalid_argument(std::string(option) +
                                    " is no map, such as {bootstrap.servers: 'host:9092'}");
    for (const auto& [key, value] : document.get_object()) {
        const std::string name(key.data(), key.size());
        const auto refuse = [&](std::string_view why) {
            throw std::invalid_argument(std::string(option) + ": " + name + ' ' + std::string(why));
        };
        if (const std::string_view why = refuse_property(name); !why.empty())
            refuse("can't be set: " + std::string(why));
        if (is_secret_property(name) && !secrets) refuse("is a secret: set it in kafkaSecrets");
        try {
            options.properties.insert_or_assign(name, text_of(value));
        } catch (const std::invalid_argument& wrong) {
            refuse(wrong.what());
        }
    }
}

}  // namespace

std::string_view refuse_property(std::string_view name) {
    const auto* const found = std::find_if(std::begin(refusals), std::end(refusals),
                                           [&](const Refusal& each) { return each.name == name; });
    if (found != std::end(refusals)) return found->reason;
    if (name.size() > 3 && name.substr(name.size() - 3) == "_cb") return only_a_program;
    return "";
}

bool is_secret_property(std::string_view name) {
    static constexpr std::string_view secrets[] = {"sasl.password",
                                                   "sasl.oauthbearer.client.secret",
                                                   "sasl.oauthbearer.config",
                                                   "ssl.key.password",
                                                   "ssl.key.pem",
                                                   "ssl.keystore.password",
                                                   "sasl.oauthbearer.extensions"};
    return std::find(std::begin(secrets), std::end(secrets), name) != std::end(secrets);
}

Options read_options(const Settings& settings, std::string_view pipeline) {
    Options options;
    options.pipeline = pipeline;
    if (settings.has("kafka")) read_properties(options, "kafka", settings.string("kafka"), false);
    if (settings.has("kafkaSecrets"))
        read_properties(options, "kafkaSecrets", settings.string("kafkaSecrets"), true);
    const auto servers = options.properties.find("bootstrap.servers");
    if (servers == options.properties.end() || servers->second.empty())
        throw std::invalid_argument(
            "kafka names no broker: kafka: {bootstrap.servers: 'host:9092'} at least");
    options.topics =
        TopicNames(std::string(settings.string("topic", "{topic}")), settings.string("routes", ""));
    options.keep_partition = settings.string("partition", "keep") == "keep";
    options.transactions = settings.boolean("transactions", true);
    options.transactional_id = settings.string("transactionalId", "");
    if (options.transactional_id.empty())
        options.transactional_id = "sluice-" + std::string(pipeline);
    options.marker_group = options.transactional_id + "-marker";
    options.transaction_timeout = settings.duration("transactionTimeout", std::chrono::minutes(5));
    options.marker_topic = settings.string("markerTopic", "");
    if (!options.marker_topic.empty() && !is_topic_name(options.marker_topic))
        throw std::invalid_argument("markerTopic '" + options.marker_topic +
                                    "' is no name of a topic");
    options.run_without_marker = settings.string("missingMarker", "stop") == "run";
    options.origin_headers = settings.boolean("originHeaders", false);
    options.create_topics = settings.boolean("createTopics", false);
    options.create_partitions = static_cast<int>(settings.integer("createPartitions", 0));
    options.target_cluster = settings.string("targetCluster", "");
    options.buffer_max = settings.size("bufferMax", 32U << 20U);
    options.timeout = settings.duration("timeout", std::chrono::seconds(30));
    return options;
}

}  // namespace sluice::plugins::kafka
