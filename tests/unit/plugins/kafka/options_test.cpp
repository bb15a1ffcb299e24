#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "plugins/kafka/errors.hpp"
#include "plugins/kafka/kafka_sink.hpp"
#include "plugins/kafka/topic_names.hpp"

using namespace sluice;
using namespace sluice::plugins::kafka;

namespace {

using Given = std::map<std::string, std::string>;

auto with_config(Given given, auto ask) {
    given.emplace("kafka", R"({"bootstrap.servers":"localhost:9092"})");
    std::vector<sluice_setting> settings;
    for (const auto& [name, value] : given)
        settings.push_back({{name.data(), name.size()}, {value.data(), value.size()}});
    sluice_config config{};
    config.struct_size = sizeof config;
    config.settings = settings.data();
    config.setting_count = static_cast<std::uint32_t>(settings.size());
    return ask(Config(config));
}

/// "" or what check() says.
std::string checked(const Given& given) {
    return with_config(given, [](const Config& config) { return std::string(KafkaSink::check(config).text()); });
}

std::int32_t guarantee(const Given& given) {
    return with_config(given, [](const Config& config) { return KafkaSink::guarantee(config); });
}

bool says(const Given& given, const std::string& text) {
    const std::string said = checked(given);
    CAPTURE(said);
    return said.find(text) != std::string::npos;
}

Given kafka(const std::string& more) {
    return {{"kafka", R"({"bootstrap.servers":"localhost:9092",)" + more + "}"}};
}

}  // namespace

TEST_CASE("properties of librdkafka pass, numbers and booleans too") {
    CHECK(checked({}).empty());
    CHECK(checked(kafka(R"("compression.type":"zstd","linger.ms":20,"socket.nagle.disable":true)"))
              .empty());
    CHECK(checked({{"kafkaSecrets", R"({"sasl.password":"p"})"}}).empty());
}

TEST_CASE(
    "properties that would break the promise, or belong elsewhere, are refused with the reason") {
    CHECK(says({{"kafka", "{}"}}, "names no broker"));
    CHECK(says({{"kafka", R"("a:9092")"}}, "is no map"));
    CHECK(says(kafka(R"("transactional.id":"x")"), "set transactionalId"));
    CHECK(says(kafka(R"("transaction.timeout.ms":1)"), "set transactionTimeout"));
    CHECK(says(kafka(R"("enable.idempotence":false)"), "must not be lost"));
    CHECK(says(kafka(R"("acks":1)"), "must not be lost"));
    CHECK(says(kafka(R"("partitioner":"random")"), "set partition"));
    CHECK(says(kafka(R"("plugin.library.paths":"x")"), "loads code"));
    CHECK(says(kafka(R"("dr_msg_cb":"x")"), "only a program"));
    CHECK(says(kafka(R"("no.such.property":"x")"), "no.such.property"));
    CHECK(says(kafka(R"("linger.ms":"soon")"), "linger.ms"));
    CHECK(says(kafka(R"("linger.ms":[1])"), "neither text, nor number"));
}

TEST_CASE("secrets have a map of their own, and are never repeated") {
    CHECK(says(kafka(R"("sasl.password":"hunter2")"), "set it in kafkaSecrets"));
    CHECK_FALSE(says(kafka(R"("sasl.password":"hunter2")"), "hunter2"));
    bool is_secret = false;
    for (const sluice_option& each : option_table)
        if (std::string_view(each.name.data, each.name.size) == "kafkaSecrets")
            is_secret = (each.flags & SLUICE_OPTION_SECRET) != 0;
    CHECK(is_secret);
}

TEST_CASE("topics are named by the first route that matches the whole name, else by the pattern") {
    const TopicNames names("eu.{topic}", R"json([{"regex":"shop\\.(.*)","replacement":"shop-$1"},
                                             {"regex":"shop.*","replacement":"never"},
                                             {"regex":"a|b","replacement":"ab"}])json");
    CHECK(names.target_of("orders") == "eu.orders");
    CHECK(names.target_of("shop.orders") == "shop-orders");
    CHECK(names.target_of("my.shop.orders") == "eu.my.shop.orders");
    CHECK(names.target_of("b") == "ab");
    CHECK(TopicNames("{topic}", "").target_of("orders") == "orders");
    CHECK(TopicNames("all", "").target_of("orders") == "all");
    CHECK(TopicNames("{topic}.{topic}", "").target_of("x") == "x.x");
}

TEST_CASE("what makes no name of a topic is refused") {
    CHECK(says({{"topic", "a b"}}, "makes no name of a topic"));
    CHECK(says({{"topic", ""}}, "makes no name of a topic"));
    CHECK(says({{"routes", R"({"regex":"a"})"}}, "is no list"));
    CHECK(says({{"routes", R"([{"regex":"a"}])"}}, "each one is"));
    CHECK(says({{"routes", R"([{"regex":"(","replacement":"b"}])"}}, "no regular expression"));
    CHECK(says({{"markerTopic", "a/b"}}, "no name of a topic"));
    const TopicNames names("{topic}", R"json([{"regex":"(.*)","replacement":"$1 copy"}])json");
    CHECK_THROWS_AS((void)names.target_of("orders"), std::invalid_argument);
    CHECK_FALSE(is_topic_name(std::string(250, 'a')));
    CHECK_FALSE(is_topic_name(".."));
}

TEST_CASE("an error of the cluster is retried, fenced or fatal, and has its remedy") {
    CHECK(kind_of(RD_KAFKA_RESP_ERR__TRANSPORT) == ErrorKind::retry);
    CHECK(kind_of(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) == ErrorKind::retry);
    CHECK(kind_of(RD_KAFKA_RESP_ERR_PRODUCER_FENCED) == ErrorKind::fenced);
    CHECK(kind_of(RD_KAFKA_RESP_ERR__FENCED) == ErrorKind::fenced);
    CHECK(kind_of(RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH) == ErrorKind::fenced);
    CHECK(kind_of(RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT) == ErrorKind::fatal);
    CHECK(remedy_of(RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "", "sluice-x") ==
          "; grant it: kafka-acls.sh --add --allow-principal User:NAME --operation Write "
          "--transactional-id sluice-x");
}

TEST_CASE("a report blames a record only where no other one can be meant") {
    CHECK(delivery_of(RD_KAFKA_RESP_ERR_INVALID_RECORD) == Delivery::suspect);
    CHECK(delivery_of(RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP) == Delivery::suspect);
    CHECK(delivery_of(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) == Delivery::suspect);
    CHECK(delivery_of(RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD) == Delivery::other);
    CHECK(delivery_of(RD_KAFKA_RESP_ERR__PURGE_QUEUE) == Delivery::other);
    CHECK(delivery_of(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT) == Delivery::failed);
    CHECK(delivery_of(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) == Delivery::failed);
}

TEST_CASE("without transactions it is at least once") {
    CHECK(guarantee({}) == SLUICE_EXACTLY_ONCE);
    CHECK(guarantee({{"transactions", "false"}}) == SLUICE_AT_LEAST_ONCE);
}
