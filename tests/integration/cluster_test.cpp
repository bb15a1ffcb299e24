// The cluster's look-ups against a real Apache Kafka: what the mock cluster can't show.

#include "daemon/kafka/cluster.hpp"

#include <doctest/doctest.h>

#include <chrono>

#include "daemon/kafka/truncation.hpp"
#include "tests/support/kafka_fixture.hpp"

using namespace sluice;
using namespace sluice::kafka;
using plan::PartitionFacts;
using plan::Position;
using plan::TopicPartition;
using test::Kafka;
using test::Record;
using test::Transaction;

namespace {

constexpr Milliseconds patience{20'000};

std::unique_ptr<Cluster> open(const std::string& isolation_level = "read_committed") {
    auto cluster = open_cluster({.properties = {{"bootstrap.servers", Kafka::real().bootstrap()}},
                                 .pipeline = "test",
                                 .isolation_level = isolation_level});
    REQUIRE(cluster);
    return std::move(*cluster);
}

std::string new_topic(const std::string& name, int partitions,
                      const test::Properties& configs = {}) {
    const std::string topic = Kafka::unique(name);
    Kafka::real().create_topic(topic, partitions, configs);
    return topic;
}

std::vector<Cluster::Partition> partitions_of(Cluster& cluster, const std::string& topic) {
    const auto partitions = cluster.partitions(SubscribeTopics{{topic}}, patience);
    if (!partitions) FAIL(partitions.error().message);
    return *partitions;
}

std::vector<PartitionFacts> facts_of(Cluster& cluster, const std::string& topic) {
    const auto facts = cluster.offsets(partitions_of(cluster, topic), patience);
    if (!facts) FAIL(facts.error().message);
    return *facts;
}

PartitionFacts only_fact(Cluster& cluster, const std::string& topic) {
    const auto facts = facts_of(cluster, topic);
    REQUIRE(facts.size() == 1);
    return facts[0];
}

Record number(std::int64_t i) {
    Record record;
    record.value = std::to_string(i);
    return record;
}

}  // namespace

TEST_CASE("read_committed ends at the last stable offset while a transaction is open") {
    const std::string topic = new_topic("lso", 1);
    const auto committed = open();
    const auto uncommitted = open("read_uncommitted");
    Kafka::real().produce_numbers(topic, 0, 6);

    Transaction transaction(Kafka::real());
    transaction.produce(topic, 20, number);
    Kafka::real().produce_numbers(topic, 0, 4);
    CHECK(only_fact(*committed, topic).latest == 6);
    CHECK(only_fact(*uncommitted, topic).latest == 30);

    transaction.commit();
    // The marker is a record of its own; the broker writes it after it has answered.
    CHECK(test::wait_until([&] { return only_fact(*committed, topic).latest == 31; }));
    CHECK(only_fact(*uncommitted, topic).latest == 31);
}

TEST_CASE("aborted records count until their end is known too") {
    const std::string topic = new_topic("aborted", 1);
    const auto committed = open();
    Transaction transaction(Kafka::real());
    transaction.produce(topic, 10, number);
    CHECK(only_fact(*committed, topic).latest == 0);
    transaction.abort();
    CHECK(test::wait_until([&] { return only_fact(*committed, topic).latest == 11; }));
}

TEST_CASE("deleted records raise the earliest offset") {
    const std::string topic = new_topic("deleted", 2);
    const auto cluster = open();
    Kafka::real().produce_numbers(topic, 1, 100);
    CHECK(facts_of(*cluster, topic).at(1).earliest == 0);
    Kafka::real().delete_records(topic, 1, 40);
    const auto facts = facts_of(*cluster, topic);
    CHECK(facts.at(0).earliest == 0);
    CHECK(facts.at(0).latest == 0);
    CHECK(facts.at(1).earliest == 40);
    CHECK(facts.at(1).latest == 100);
}

TEST_CASE("a topic that was deleted and created again has another id") {
    const std::string topic = new_topic("again", 1);
    const auto cluster = open();
    Kafka::real().produce_numbers(topic, 0, 5);
    const auto before = only_fact(*cluster, topic);
    CHECK(before.topic_id.size() == 22);
    CHECK(before.leader_epoch == 0);
    CHECK(before.latest == 5);
    CHECK(only_fact(*cluster, topic).topic_id == before.topic_id);

    Kafka::real().delete_topic(topic);
    CHECK(partitions_of(*cluster, topic).empty());

    Kafka::real().create_topic(topic, 1);
    Kafka::real().produce_numbers(topic, 0, 50);
    const auto after = only_fact(*cluster, topic);
    CHECK(after.topic_id.size() == 22);
    CHECK(after.topic_id != before.topic_id);
    CHECK(after.latest == 50);
}

TEST_CASE("a topic that was created again unseen has another id, and librdkafka survives it") {
    const std::string topic = new_topic("unseen", 1);
    const auto cluster = open();
    Kafka::real().produce_numbers(topic, 0, 5);
    const auto before = only_fact(*cluster, topic);
    // Of what was just looked up librdkafka must have forgotten everything: see client_conf.cpp.
    const auto forgotten = system_clock().steady() + Milliseconds{500};
    Kafka::real().delete_topic(topic);
    Kafka::real().create_topic(topic, 1);
    REQUIRE(test::wait_until([&] { return system_clock().steady() > forgotten; }));

    for (int i = 0; i < 20; ++i) {
        const auto all = cluster->partitions(SubscribePattern{topic}, patience);
        REQUIRE(all);
        REQUIRE(all->size() == 1);
        CHECK(all->at(0).topic_id != before.topic_id);
        CHECK(only_fact(*cluster, topic).latest == 0);
    }
}

TEST_CASE("a partition that vanished does not take the others along") {
    const std::string topic = new_topic("half", 2);
    const std::string other = new_topic("half-other", 1);
    Kafka::real().produce_numbers(topic, 0, 3);
    const auto cluster = open();
    const auto partitions = cluster->partitions(SubscribeTopics{{topic, other}}, patience);
    REQUIRE(partitions);
    REQUIRE(cluster->offsets(*partitions, patience));
    Kafka::real().delete_topic(other);
    const auto facts = cluster->offsets(*partitions, patience);
    if (!facts) FAIL(facts.error().message);
    REQUIRE(facts->size() == 2);
    CHECK(facts->at(0).latest == 3);
}

TEST_CASE("partitions that vanished between two questions are left out") {
    const std::string topic = new_topic("vanished", 2);
    const auto cluster = open();
    const auto partitions = partitions_of(*cluster, topic);
    REQUIRE(partitions.size() == 2);
    REQUIRE(cluster->offsets(partitions, patience));
    Kafka::real().delete_topic(topic);
    const auto facts = cluster->offsets(partitions, patience);
    if (!facts) FAIL(facts.error().message);
    CHECK(facts->empty());
}

TEST_CASE("a partition that was added is there at the next question") {
    const std::string topic = new_topic("grown", 1);
    const auto cluster = open();
    REQUIRE(facts_of(*cluster, topic).size() == 1);
    Kafka::real().create_partitions(topic, 3);
    Kafka::real().produce_numbers(topic, 2, 7);
    const auto facts = facts_of(*cluster, topic);
    REQUIRE(facts.size() == 3);
    CHECK(facts[2].latest == 7);
}

TEST_CASE("a pattern finds topics with their ids, and none of Kafka's own") {
    const std::string prefix = Kafka::unique("pattern");
    Kafka::real().create_topic(prefix + "-a", 1);
    Kafka::real().create_topic(prefix + "-b", 2);
    const auto cluster = open();
    // So that __consumer_offsets exists.
    Kafka::real().commit_group_offsets(Kafka::unique("group"), {{{prefix + "-a", 0}, 0}});

    const auto some = cluster->partitions(SubscribePattern{prefix + "-[ab]$"}, patience);
    REQUIRE(some);
    REQUIRE(some->size() == 3);
    CHECK(some->at(0).topic_partition == TopicPartition{prefix + "-a", 0});
    CHECK(some->at(2).topic_partition == TopicPartition{prefix + "-b", 1});
    CHECK(some->at(0).topic_id.size() == 22);
    CHECK(some->at(0).topic_id != some->at(2).topic_id);

    const auto all = cluster->partitions(SubscribePattern{".*"}, patience);
    REQUIRE(all);
    for (const auto& partition : *all) {
        CHECK_FALSE(partition.topic_partition.topic.starts_with("__"));
    }
    const auto named = cluster->partitions(SubscribeTopics{{"__consumer_offsets"}}, patience);
    REQUIRE(named);
    CHECK(named->size() == 4);
}

TEST_CASE("a timestamp names the first record that is not older") {
    const std::string topic = new_topic("times", 2);
    const auto cluster = open();
    // Recent enough for retention: in steps of a second, since an hour ago.
    const WallTime start = system_clock().wall() - std::chrono::hours{1};
    Kafka::real().produce(topic, 100, [&](std::int64_t i) {
        Record record = number(i);
        record.timestamp_ms = to_epoch_ms(start) + i * 1000;
        return record;
    });
    const std::vector<TopicPartition> partitions{{topic, 0}, {topic, 1}, {topic, 9}};
    const auto at = [&](Milliseconds after_start) {
        auto offsets = cluster->offsets_at(partitions, start + after_start, patience);
        if (!offsets) FAIL(offsets.error().message);
        CHECK(offsets->size() == 2);  // partition 9 does not exist
        CHECK(offsets->at({topic, 1}) == std::nullopt);
        return offsets->at({topic, 0});
    };
    CHECK(at(Milliseconds{-5000}) == 0);
    CHECK(at(Milliseconds{0}) == 0);
    CHECK(at(Milliseconds{41'500}) == 42);
    CHECK(at(Milliseconds{99'000}) == 99);
    CHECK(at(Milliseconds{99'001}) == std::nullopt);
}

TEST_CASE("a timestamp before 1970 is refused instead of being taken for latest or earliest") {
    const std::string topic = new_topic("old", 1);
    const std::vector<TopicPartition> partitions{{topic, 0}};
    const auto offsets = open()->offsets_at(partitions, from_epoch_ms(-1), patience);
    REQUIRE_FALSE(offsets);
    CHECK(offsets.error().code == ErrorCode::invalid_argument);
}

TEST_CASE("the committed offsets of a group are read without joining it") {
    const std::string topic = new_topic("grouped", 3);
    const std::string group = Kafka::unique("group");
    Kafka::real().commit_group_offsets(group, {{{topic, 0}, 12}, {{topic, 2}, 0}});
    const auto cluster = open();
    const std::vector<TopicPartition> partitions{{topic, 0}, {topic, 1}, {topic, 2}};
    const auto offsets = cluster->committed_offsets(group, partitions, patience);
    if (!offsets) FAIL(offsets.error().message);
    CHECK(offsets->at({topic, 0}) == 12);
    CHECK(offsets->at({topic, 1}) == std::nullopt);
    CHECK(offsets->at({topic, 2}) == 0);

    const auto none = cluster->committed_offsets(Kafka::unique("nobody"), partitions, patience);
    REQUIRE(none);
    CHECK(none->at({topic, 0}) == std::nullopt);
}

TEST_CASE("asking for a topic does not create it, and the cluster tells its id") {
    const auto cluster = open();
    const std::string topic = Kafka::unique("absent");
    CHECK(partitions_of(*cluster, topic).empty());
    const auto id = cluster->cluster_id(patience);
    REQUIRE(id);
    CHECK(id->size() == 22);
}

TEST_CASE("facts of a known position are gathered in one go when nothing is wrong") {
    const std::string topic = new_topic("facts", 2);
    Kafka::real().produce_numbers(topic, 0, 10);
    const auto cluster = open();
    const std::map<TopicPartition, Position> known{{{topic, 0}, Position{10, -1, "", -1}}};
    const auto facts = gather_facts(*cluster, SubscribeTopics{{topic}}, known, 3, Milliseconds{1},
                                    patience, [](Milliseconds) {
                                        FAIL("asked again");
                                        return false;
                                    });
    REQUIRE(facts);
    REQUIRE(facts->size() == 2);
    CHECK(facts->at(0).latest == 10);
}

TEST_CASE("partitions far behind their ends answer whether they were truncated, like those at their ends") {
    constexpr std::int32_t partitions = 24;
    constexpr std::int64_t behind = 2'000;  // records to come with the first fetch of each
    const std::string topic = new_topic("behind", partitions);
    std::map<TopicPartition, Position> positions;
    for (std::int32_t p = 0; p < partitions; ++p) positions[{topic, p}] = {p == 0 ? behind : 10, 0, "", -1};
    Kafka::real().produce(topic, behind * partitions, [](std::int64_t i) {
        Record record;
        record.partition = static_cast<std::int32_t>(i % partitions);
        record.value = "x";
        return record;
    });
    const auto found = find_truncations({.properties = {{"bootstrap.servers", Kafka::real().bootstrap()}},
                                         .pipeline = "test",
                                         .isolation_level = "read_committed"},
                                        positions, patience, std::stop_token{});
    REQUIRE_MESSAGE(found, found.error().message);
    CHECK(found->empty());
}

TEST_CASE("the first look-ups of a client take milliseconds") {
    const std::string topic = new_topic("quick", 4);
    // The best of ten: others are busy beside it, and librdkafka can lose a wake-up, which costs a second.
    auto best = std::chrono::steady_clock::duration::max();
    for (int i = 0; i < 10; ++i) {
        const auto start = std::chrono::steady_clock::now();
        const auto cluster = open();
        REQUIRE(cluster->cluster_id(patience));
        CHECK(facts_of(*cluster, topic).size() == 4);
        best = std::min(best, std::chrono::steady_clock::now() - start);
    }
    CHECK(best < std::chrono::milliseconds{500});
}
