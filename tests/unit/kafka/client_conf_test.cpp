#include <doctest/doctest.h>

#include <array>
#include <string>

#include "daemon/kafka/client_conf.hpp"

using namespace sluice;
using namespace sluice::kafka;

namespace {

std::string get(const Result<Conf>& conf, const char* name) {
    REQUIRE(conf);
    std::array<char, 256> value{};
    std::size_t size = value.size();
    REQUIRE(rd_kafka_conf_get(conf->get(), name, value.data(), &size) == RD_KAFKA_CONF_OK);
    return value.data();
}

ClientSettings settings(std::map<std::string, std::string> properties = {}) {
    properties.emplace("bootstrap.servers", "localhost:1");
    return {.properties = std::move(properties), .pipeline = "orders"};
}

}  // namespace

TEST_CASE("a client is named after its pipeline unless the user names it") {
    const auto conf = make_conf(settings(), Role::consumer);
    CHECK(get(conf, "client.id") == "sluice-orders");
    CHECK(get(conf, "group.id") == "sluice-orders");
    const auto named = make_conf(settings({{"client.id", "a"}, {"group.id", "b"}}), Role::consumer);
    CHECK(get(named, "client.id") == "a");
    CHECK(get(named, "group.id") == "b");
}

TEST_CASE("a client that only asks is in no group, and asks at once") {
    const auto conf = make_conf(settings({{"group.id", "b"}}), Role::lookup);
    REQUIRE(conf);
    std::size_t size = 0;
    CHECK(rd_kafka_conf_get(conf->get(), "group.id", nullptr, &size) == RD_KAFKA_CONF_UNKNOWN);
}

TEST_CASE("no property of the user undoes what the contract needs") {
    const auto conf = make_conf(settings({{"enable.auto.commit", "true"},
                                          {"enable.auto.offset.store", "true"},
                                          {"auto.offset.reset", "latest"},
                                          {"isolation.level", "read_uncommitted"},
                                          {"enable.partition.eof", "false"},
                                          {"allow.auto.create.topics", "true"},
                                          {"metadata.max.age.ms", "900000"},
                                          {"fetch.wait.max.ms", "500"}}),
                                Role::consumer);
    CHECK(get(conf, "metadata.max.age.ms") == "200");
    CHECK(get(conf, "enable.auto.commit") == "false");
    CHECK(get(conf, "enable.auto.offset.store") == "false");
    CHECK(get(conf, "auto.offset.reset") == "error");
    CHECK(get(conf, "isolation.level") == "read_committed");
    CHECK(get(conf, "enable.partition.eof") == "true");
    CHECK(get(conf, "allow.auto.create.topics") == "false");
    CHECK(get(conf, "fetch.wait.max.ms") == "100");
    CHECK(get(conf, "fetch.queue.backoff.ms") == "1");
}

TEST_CASE("the isolation level is the pipeline's") {
    ClientSettings uncommitted = settings();
    uncommitted.isolation_level = "read_uncommitted";
    CHECK(get(make_conf(uncommitted, Role::lookup), "isolation.level") == "read_uncommitted");
}

TEST_CASE("a user may lower the limits of a consumer and not raise them") {
    const ConsumerLimits limits{
        .queued_kbytes = 4096, .queued_messages = 5000, .fetch_bytes = 100'000};
    const auto plain = make_conf(settings(), Role::consumer, limits);
    CHECK(get(plain, "queued.max.messages.kbytes") == "4096");
    CHECK(get(plain, "queued.min.messages") == "5000");
    CHECK(get(plain, "fetch.message.max.bytes") == "100000");
    CHECK(get(plain, "fetch.max.bytes") == "1000000");  // message.max.bytes: not less

    const auto lower = make_conf(settings({{"queued.max.messages.kbytes", "64"},
                                           {"queued.min.messages", "10"},
                                           {"max.partition.fetch.bytes", "1000"},
                                           {"fetch.wait.max.ms", "10"}}),
                                 Role::consumer, limits);
    CHECK(get(lower, "queued.max.messages.kbytes") == "64");
    CHECK(get(lower, "queued.min.messages") == "10");
    CHECK(get(lower, "fetch.message.max.bytes") == "1000");
    CHECK(get(lower, "fetch.wait.max.ms") == "10");

    const auto higher = make_conf(settings({{"queued.max.messages.kbytes", "1000000"},
                                            {"queued.min.messages", "1000000"},
                                            {"message.max.bytes", "3000000"},
                                            {"fetch.max.bytes", "4000000"},
                                            {"max.partition.fetch.bytes", "10000000"}}),
                                  Role::consumer, limits);
    CHECK(get(higher, "queued.max.messages.kbytes") == "4096");
    CHECK(get(higher, "queued.min.messages") == "5000");
    CHECK(get(higher, "fetch.message.max.bytes") == "100000");
    CHECK(get(higher, "fetch.max.bytes") == "3000000");
}

TEST_CASE("fetches are no larger than what a user lets a response have") {
    const ConsumerLimits limits{.fetch_bytes = 8 << 20};
    const auto conf = make_conf(settings({{"receive.message.max.bytes", "2000512"}}), Role::consumer, limits);
    CHECK(get(conf, "fetch.max.bytes") == "2000000");
    CHECK(get(conf, "fetch.message.max.bytes") == "8388608");
    CHECK(make_client(std::move(*make_conf(settings({{"receive.message.max.bytes", "2000512"}}),
                                           Role::consumer, limits))));
}

TEST_CASE("a property that librdkafka refuses is named") {
    const auto conf = make_conf(settings({{"security.protocol", "tls"}}), Role::lookup);
    REQUIRE_FALSE(conf);
    CHECK(conf.error().code == ErrorCode::configuration);
    CHECK(conf.error().message.find("kafka.security.protocol") != std::string::npos);
}

TEST_CASE("properties that only clash together are refused when the client is made") {
    // librdkafka wants session.timeout.ms <= max.poll.interval.ms.
    auto conf = make_conf(settings({{"max.poll.interval.ms", "1000"}}), Role::lookup);
    REQUIRE(conf);
    const auto client = make_client(std::move(*conf));
    REQUIRE_FALSE(client);
    CHECK(client.error().code == ErrorCode::configuration);
    CHECK(client.error().message.find("max.poll.interval.ms") != std::string::npos);
}

TEST_CASE("passwords, keys and tokens are secrets") {
    CHECK(is_secret_property("sasl.password"));
    CHECK(is_secret_property("ssl.key.password"));
    CHECK(is_secret_property("ssl.key.pem"));
    CHECK(is_secret_property("sasl.oauthbearer.client.secret"));
    CHECK_FALSE(is_secret_property("sasl.username"));
}

TEST_CASE("the principal is what ACLs must name, where the client knows it") {
    using kafka::principal_of;
    CHECK(principal_of({}) == "User:ANONYMOUS");
    CHECK(principal_of({{"security.protocol", "ssl"}}) == "User:ANONYMOUS");
    CHECK(principal_of({{"security.protocol", "ssl"}, {"ssl.certificate.location", "c.pem"}}) == "");
    CHECK(principal_of({{"security.protocol", "sasl_ssl"},
                        {"sasl.mechanism", "PLAIN"},
                        {"sasl.username", "alice"}}) == "User:alice");
    CHECK(principal_of({{"security.protocol", "SASL_PLAINTEXT"},
                        {"sasl.mechanisms", "SCRAM-SHA-512"},
                        {"sasl.username", "alice"}}) == "User:alice");
    CHECK(principal_of({{"security.protocol", "SASL_SSL"}, {"sasl.mechanisms", "OAUTHBEARER"}}) == "");
}
