#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "plugins/kafka/conf.hpp"
#include "plugins/kafka/errors.hpp"
#include "plugins/kafka/kafka_sink.hpp"
#include "plugins/kafka/patience.hpp"
#include "plugins/kafka/topic_names.hpp"
#include "plugins/kafka/waiting.hpp"

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
    config.pipeline = SLUICE_STRING("orders");
    return ask(Config(config));
}

/// "" or what check() says.
std::string checked(const Given& given) {
    return with_config(given, [](const Config& config) { return std::string(KafkaSink::check(config).text()); });
}

std::int32_t guarantee(const Given& given) {
    return with_config(given, [](const Config& config) { return KafkaSink::guarantee(config); });
}

std::int64_t number_in(const Conf& conf, const char* property) {
    char value[64] = {};
    std::size_t size = sizeof value;
    REQUIRE(rd_kafka_conf_get(conf.get(), property, value, &size) == RD_KAFKA_CONF_OK);
    return std::stoll(value);
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

TEST_CASE("whatever a record may be, the producer's queue has room for it") {
    for (const std::int64_t record_max : {1'000, 16'777'216, 1'000'000'000}) {
        for (const char* const buffer_max : {"1048576", "33554432", "1073741824"}) {
            CAPTURE(record_max);
            CAPTURE(buffer_max);
            const Conf conf = with_config(
                {{"bufferMax", buffer_max},
                 {"kafka", R"({"bootstrap.servers":"localhost:9092","message.max.bytes":)" +
                               std::to_string(record_max) + "}"}},
                [](const Config& config) {
                    return make_conf(read_options(config.settings, "orders"), Role::producer);
                });
            const std::int64_t room = number_in(conf, "queue.buffering.max.kbytes") * 1024;
            CHECK(room >= record_max);
            CHECK(room >= std::stoll(buffer_max));
        }
    }
}

TEST_CASE("a topic that was written is not read, in whichever order the two come") {
    Traffic traffic;
    CHECK(traffic.add({"orders"}, {"copy.orders"}) == "");
    CHECK(traffic.add({"orders", "payments"}, {"copy.orders", "copy.payments"}) == "");
    SUBCASE("written first") {
        CHECK(traffic.add({"copy.orders"}, {"copy.copy.orders"}) == "copy.orders");
    }
    SUBCASE("read first") {
        CHECK(traffic.add({"x"}, {"payments"}) == "payments");
    }
    SUBCASE("in one batch") {
        CHECK(traffic.add({"x"}, {"x"}) == "x");
    }
}

TEST_CASE("keys and headers count among the bytes that wait, and a record that is too large goes alone") {
    Waiting waiting(1'000);
    const auto left = [](std::uint64_t records) { return [records] { return records; }; };
    CHECK(waiting.has_room(5'000, left(0)));
    waiting.add(5'000);
    CHECK_FALSE(waiting.has_room(0, left(1)));
    CHECK(waiting.has_room(0, left(0)));
    CHECK(waiting.bytes() == 0);
    for (int i = 0; i < 10; ++i) {
        REQUIRE(waiting.has_room(100, left(static_cast<std::uint64_t>(i))));
        waiting.add(100);
    }
    CHECK_FALSE(waiting.has_room(100, left(10)));
    CHECK_FALSE(waiting.has_room(200, left(9)));
    CHECK(waiting.has_room(100, left(9)));
    CHECK(waiting.bytes() == 900);
    CHECK(waiting.has_room(900, left(1)));
    CHECK(waiting.bytes() == 100);
}

TEST_CASE("once a daemon is being stopped a wait ends within 8 s of it, however long one call may take") {
    sluice_host table{};
    table.struct_size = sizeof table;
    table.stopping = [](const sluice_host*) -> std::int32_t { return 1; };
    const Host host(&table);
    using std::chrono::milliseconds;
    Patience short_slices(host, std::chrono::hours(1));
    CHECK_FALSE(short_slices.is_over());
    CHECK(short_slices.slice_ms() == 1000);
    Patience one_call(host, std::chrono::hours(1), Patience::stop_limit);
    CHECK(milliseconds(one_call.slice_ms()) == Patience::stop_limit);
    CHECK(one_call.is_over());  // the call may have begun with the stop
}

TEST_CASE("pipelines may share a cluster and its topics, but no transactional id") {
    const auto target = [](const Given& given) {
        return with_config(given, [](const Config& config) { return KafkaSink::target(config); });
    };
    CHECK(target({}) == "localhost:9092, transactional id sluice-orders");
    CHECK(target({{"transactionalId", "x"}, {"topic", "all"}}) == "localhost:9092, transactional id x");
    CHECK(target({{"transactionalId", "x"}, {"kafkaSecrets", R"({"sasl.password":"hunter2"})"}}) ==
          "localhost:9092, transactional id x");
    CHECK(target({{"transactions", "false"}}).empty());
}

TEST_CASE("without transactions it is at least once") {
    CHECK(guarantee({}) == SLUICE_EXACTLY_ONCE);
    CHECK(guarantee({{"transactions", "false"}}) == SLUICE_AT_LEAST_ONCE);
}
