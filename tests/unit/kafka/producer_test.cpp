// The producer of dead letters, on librdkafka's mock cluster.

#include "daemon/kafka/producer.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "daemon/kafka/embedded_broker.hpp"
#include "tests/support/kafka_fixture.hpp"

using namespace sluice;
using namespace sluice::kafka;

TEST_CASE("a producer holds no more than it may, says how much it is, and takes one large record all the same") {
    auto broker = EmbeddedBroker::start();
    REQUIRE(broker);
    const std::string topic = test::Kafka::unique("letters");
    REQUIRE((*broker)->create_topic(topic, 1));
    ClientSettings settings;
    settings.properties["bootstrap.servers"] = (*broker)->bootstrap_servers();
    settings.pipeline = "test";
    constexpr std::uint64_t max = 8192;
    std::atomic<std::uint64_t> held{0};
    const auto producer = open_producer(settings, topic, {.max = max, .held = &held}, Milliseconds{10'000});
    REQUIRE(producer);
    const std::string small(1000, 'x');
    std::uint64_t most = 0;
    for (int i = 0; i < 100; ++i) {
        REQUIRE((*producer)->produce({.key = std::nullopt, .value = small, .headers = {}}, {}));
        most = std::max<std::uint64_t>(most, held);
    }
    CHECK(most > max / 2);
    CHECK(most <= max);
    const std::string large(10 * max, 'x');
    REQUIRE((*producer)->produce({.key = std::nullopt, .value = large, .headers = {}}, {}));
    CHECK(held > large.size());
    REQUIRE((*producer)->flush(Milliseconds{10'000}, {}));
    CHECK(held == 0);
}
