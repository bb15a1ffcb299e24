#include <doctest/doctest.h>

#include <string>

#include "daemon/kafka/cluster.hpp"

using sluice::kafka::refuse_property;

namespace {

/// The reason, or "" when the property is taken.
std::string refusal(std::string_view name, std::string_view value) {
    return refuse_property(name, value).value_or("");
}

bool says(const std::string& text, std::string_view part) {
    CAPTURE(text);
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("properties that tune, connect and authenticate are taken") {
    const std::pair<const char*, const char*> good[] = {{"bootstrap.servers", "a:9092,b:9092"},
                                                        {"metadata.broker.list", "a:9092"},
                                                        {"client.id", "mine"},
                                                        {"client.rack", "eu-1a"},
                                                        {"group.id", "mine"},
                                                        {"security.protocol", "SASL_SSL"},
                                                        {"sasl.mechanism", "SCRAM-SHA-512"},
                                                        {"sasl.username", "user"},
                                                        {"sasl.password", "${weird}\n\"secret\""},
                                                        {"ssl.ca.location", "/etc/ssl/ca.pem"},
                                                        {"socket.timeout.ms", "10000"},
                                                        {"debug", "fetch,broker"},
                                                        {"queued.max.messages.kbytes", "65536"},
                                                        {"fetch.message.max.bytes", "65536"},
                                                        {"max.partition.fetch.bytes", "65536"},
                                                        {"fetch.wait.max.ms", "500"},
                                                        {"check.crcs", "true"},
                                                        {"isolation.level", "read_uncommitted"},
                                                        {"isolation.level", "read_committed"}};
    for (const auto& [name, value] : good) {
        CAPTURE(name);
        CHECK(refusal(name, value) == "");
    }
}

TEST_CASE("a property that would break the contract is refused with the option to use instead") {
    const std::pair<const char*, const char*> bad[] = {
        {"enable.auto.commit", "exportGroup"},
        {"auto.commit.interval.ms", "trigger"},
        {"enable.auto.offset.store", "checkpoints"},
        {"auto.offset.reset", "startingOffsets"},
        {"enable.partition.eof", "end of a range"},
        {"partition.assignment.strategy", "joins no group"},
        {"group.instance.id", "joins no group"},
        {"allow.auto.create.topics", "deleted"},
        {"statistics.interval.ms", "/metrics"},
        {"plugin.library.paths", "loads code"},
        {"interceptors", "loads code"},
        {"log.queue", "log"},
        {"opaque", "only a program"},
        {"rebalance_cb", "only a program"},
        {"ssl_ca", "ssl.ca.pem"}};
    for (const auto& [name, part] : bad) {
        CAPTURE(name);
        CHECK(says(refusal(name, "true"), part));
    }
}

TEST_CASE("isolation.level has two values") {
    CHECK(says(refusal("isolation.level", "serializable"), "read_uncommitted"));
}

TEST_CASE("what only Java clients know is refused with librdkafka's word for it") {
    CHECK(says(refusal("key.deserializer", "org.x.Y"), "Java class"));
    CHECK(says(refusal("interceptor.classes", "org.x.Y"), "Java"));
    CHECK(says(refusal("sasl.jaas.config", "…"), "sasl.username"));
    CHECK(says(refusal("ssl.truststore.location", "/x.jks"), "ssl.ca.location"));
    CHECK(says(refusal("max.poll.records", "500"), "maxOffsetsPerTrigger"));
    CHECK(says(refusal("fetch.max.wait.ms", "500"), "fetch.wait.max.ms"));
}

TEST_CASE("what only producers know is refused") {
    for (const char* const name : {"transactional.id", "acks", "linger.ms", "enable.idempotence",
                                   "compression.type", "partitioner"}) {
        CAPTURE(name);
        CHECK(says(refusal(name, "1"), "producers"));
    }
}

TEST_CASE("an unknown property is refused with the nearest known one") {
    CHECK(says(refusal("bootstrap.server", "a:9092"), "did you mean 'kafka.bootstrap.servers'"));
    CHECK(says(refusal("sasl.pasword", "x"), "did you mean 'kafka.sasl.password'"));
    CHECK(refusal("zzzzzzzzzzzzzzzzzzz", "x") == "librdkafka knows no such property");
    CHECK(says(refusal("", "x"), "no such property"));
    CHECK(
        says(refusal("Property", "x"), "no such property"));  // a heading of librdkafka's own table
}

TEST_CASE("a value that librdkafka does not take is refused in its words") {
    CHECK(says(refusal("security.protocol", "tls"), "security.protocol"));
    CHECK(says(refusal("socket.timeout.ms", "5"), "10..300000"));
    CHECK(says(refusal("client.id", std::string_view("a\0b", 3)), "NUL"));
}
