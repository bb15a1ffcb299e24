// The cluster's look-ups against librdkafka's mock cluster, which knows no topic ids and no
// isolation levels: those are tests/integration/cluster_test.cpp.

#include "daemon/kafka/cluster.hpp"

#include <doctest/doctest.h>

#include <chrono>

#include "daemon/base/log.hpp"
#include "daemon/kafka/embedded_broker.hpp"
#include "tests/support/kafka_fixture.hpp"

using namespace sluice;
using namespace sluice::kafka;
using plan::PartitionFacts;
using plan::TopicPartition;

namespace {

/// Half of it is lost once on each cluster: topic ids are never answered.
constexpr Milliseconds patience{1500};

std::unique_ptr<EmbeddedBroker> start_broker() {
    auto broker = EmbeddedBroker::start();
    REQUIRE(broker);
    return std::move(*broker);
}

/// One for all tests, because its end takes a second. Topics have a name per test.
EmbeddedBroker& shared_broker() {
    // The logger must outlive what logs at its end.
    log::configure(log::Format::text, log::Level::warning);
    static const std::unique_ptr<EmbeddedBroker> broker = start_broker();
    return *broker;
}

std::unique_ptr<Cluster> open(const std::string& bootstrap) {
    auto cluster =
        open_cluster({.properties = {{"bootstrap.servers", bootstrap}}, .pipeline = "test"});
    REQUIRE(cluster);
    return std::move(*cluster);
}

std::vector<TopicPartition> names(const Result<std::vector<Cluster::Partition>>& partitions) {
    REQUIRE(partitions);
    std::vector<TopicPartition> result;
    for (const auto& partition : *partitions)
        result.push_back(partition.topic_partition);
    return result;
}

Milliseconds since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - start);
}

}  // namespace

TEST_CASE("partitions are those of the topics that exist, sorted") {
    auto& broker = shared_broker();
    for (const auto& [topic, count] : {std::pair{"orders", 3}, {"payments", 1}, {"other", 1}}) {
        REQUIRE(broker.create_topic(topic, count));
    }
    const auto cluster = open(broker.bootstrap_servers());

    const std::vector<TopicPartition> both{
        {"orders", 0}, {"orders", 1}, {"orders", 2}, {"payments", 0}};
    CHECK(names(cluster->partitions(SubscribeTopics{{"payments", "gone", "orders", "orders"}},
                                    patience)) == both);
    CHECK(names(cluster->partitions(SubscribePattern{"^(orders|pay)"}, patience)) == both);
    CHECK(names(cluster->partitions(AssignPartitions{{{"orders", {2, 0, 9}}, {"gone", {0}}}},
                                    patience)) ==
          std::vector<TopicPartition>{{"orders", 0}, {"orders", 2}});
    CHECK(names(cluster->partitions(SubscribePattern{"nothing"}, patience)).empty());
    // Asking for it did not create it.
    CHECK(names(cluster->partitions(SubscribePattern{"gone"}, patience)).empty());
}

TEST_CASE("a cluster without topic ids costs its time-out once") {
    auto& broker = shared_broker();
    REQUIRE(broker.create_topic("ids", 1));
    const auto cluster = open(broker.bootstrap_servers());
    constexpr Milliseconds enough{8000};  // two seconds of it are lost
    const auto first = cluster->partitions(SubscribeTopics{{"ids"}}, enough);
    REQUIRE(first);
    CHECK(first->at(0).topic_id == "");
    const auto start = std::chrono::steady_clock::now();
    REQUIRE(cluster->partitions(SubscribeTopics{{"ids"}}, enough));
    CHECK(since(start) < Milliseconds{1900});
}

TEST_CASE("a pattern that is no regular expression is a configuration error") {
    auto& broker = shared_broker();
    const auto partitions =
        open(broker.bootstrap_servers())->partitions(SubscribePattern{"("}, patience);
    REQUIRE_FALSE(partitions);
    CHECK(partitions.error().code == ErrorCode::configuration);
}

TEST_CASE("offsets are answered for all partitions, those that vanished are left out") {
    auto& broker = shared_broker();
    REQUIRE(broker.create_topic("offsets", 2));
    test::Kafka(broker.bootstrap_servers()).produce_numbers("offsets", 1, 30);
    const auto cluster = open(broker.bootstrap_servers());

    const std::vector<Cluster::Partition> partitions{
        {{"offsets", 0}, "", -1}, {{"offsets", 1}, "", -1}, {{"offsets", 7}, "", -1}};
    const auto facts = cluster->offsets(partitions, patience);
    REQUIRE(facts);
    REQUIRE(facts->size() == 2);
    CHECK(facts->at(0).topic_partition == TopicPartition{"offsets", 0});
    CHECK(facts->at(0).earliest == 0);
    CHECK(facts->at(0).latest == 0);
    CHECK(facts->at(1).topic_partition == TopicPartition{"offsets", 1});
    CHECK(facts->at(1).latest == 30);

    const auto none = cluster->offsets({}, patience);
    REQUIRE(none);
    CHECK(none->empty());
    const std::vector<Cluster::Partition> gone{{{"gone", 0}, "", -1}};
    const auto vanished = cluster->offsets(gone, patience);
    REQUIRE(vanished);
    CHECK(vanished->empty());
}

TEST_CASE("a group that never committed has no offsets") {
    auto& broker = shared_broker();
    REQUIRE(broker.create_topic("grouped", 1));
    const auto cluster = open(broker.bootstrap_servers());
    const std::vector<TopicPartition> partitions{{"grouped", 0}};
    const auto offsets = cluster->committed_offsets("nobody", partitions, patience);
    REQUIRE(offsets);
    CHECK(offsets->at({"grouped", 0}) == std::nullopt);
}

TEST_CASE("the cluster id is known") {
    auto& broker = shared_broker();
    const auto id = open(broker.bootstrap_servers())->cluster_id(patience);
    REQUIRE(id);
    CHECK_FALSE(id->empty());
}

TEST_CASE("without a broker every look-up is unavailable within its time-out and says why") {
    const auto cluster = open("127.0.0.1:1");
    const std::vector<Cluster::Partition> partitions{{{"orders", 0}, "", -1}};
    const std::vector<TopicPartition> one{{"orders", 0}};
    constexpr Milliseconds timeout{500};
    const auto is_unavailable = [&](const auto& call) {
        const auto start = std::chrono::steady_clock::now();
        const auto result = call();
        CHECK(since(start) < timeout + Milliseconds{5000});
        REQUIRE_FALSE(result);
        CAPTURE(result.error().message);
        CHECK(result.error().code == ErrorCode::unavailable);
        CHECK(result.error().retriable);
        CHECK(result.error().message.find("refused") != std::string::npos);
    };
    is_unavailable([&] { return cluster->partitions(SubscribeTopics{{"orders"}}, timeout); });
    is_unavailable([&] { return cluster->partitions(SubscribePattern{"orders"}, timeout); });
    is_unavailable([&] { return cluster->offsets(partitions, timeout); });
    is_unavailable([&] { return cluster->offsets_at(one, from_epoch_ms(0), timeout); });
    is_unavailable([&] { return cluster->committed_offsets("group", one, timeout); });
    is_unavailable([&] { return cluster->cluster_id(timeout); });
}

TEST_CASE("a host name that does not resolve is named") {
    const auto cluster = open("no-such-host.invalid:9092");
    const auto id = cluster->cluster_id(Milliseconds{500});
    REQUIRE_FALSE(id);
    CHECK(id.error().retriable);
    CAPTURE(id.error().message);
    CHECK(id.error().message.find("no-such-host.invalid") != std::string::npos);
}

TEST_CASE("an embedded broker refuses a second topic of the same name") {
    auto& broker = shared_broker();
    REQUIRE(broker.create_topic("twice", 1));
    const auto again = broker.create_topic("twice", 1);
    REQUIRE_FALSE(again);
    CHECK(again.error().code == ErrorCode::exists);
    CHECK_FALSE(broker.create_topic("empty", 0));
    CHECK_FALSE(EmbeddedBroker::start(0));
}
