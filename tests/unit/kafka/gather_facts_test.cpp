#include <doctest/doctest.h>

#include <deque>

#include "daemon/kafka/cluster.hpp"

using namespace sluice;
using namespace sluice::kafka;
using plan::PartitionFacts;
using plan::Position;
using plan::TopicPartition;

namespace {

const TopicPartition orders0{"orders", 0};

/// Answers one prepared set of facts after the other; the last one for ever.
class ScriptedCluster final : public Cluster {
 public:
    explicit ScriptedCluster(std::deque<std::vector<PartitionFacts>> answers)
        : answers_(std::move(answers)) {}
    int asked = 0;

    Result<std::string> cluster_id(Milliseconds) override { return std::string("id"); }
    Result<std::vector<Partition>> partitions(const Subscription&, Milliseconds) override {
        std::vector<Partition> result;
        for (const auto& fact : answers_.front())
            result.push_back({fact.topic_partition, "", -1});
        return result;
    }
    Result<std::vector<PartitionFacts>> offsets(std::span<const Partition>, Milliseconds) override {
        ++asked;
        auto answer = answers_.front();
        if (answers_.size() > 1) answers_.pop_front();
        return answer;
    }
    Result<std::map<TopicPartition, std::optional<std::int64_t>>> offsets_at(
        std::span<const TopicPartition>, WallTime, Milliseconds) override {
        return Error{};
    }
    Result<std::map<TopicPartition, std::optional<std::int64_t>>> offsets_at(
        const std::map<TopicPartition, std::int64_t>&, Milliseconds) override {
        return Error{};
    }
    Result<std::map<std::string, TopicConfig>> topic_configs(const std::set<std::string>&,
                                                             Milliseconds) override {
        return Error{};
    }
    Result<std::map<TopicPartition, std::optional<std::int64_t>>> committed_offsets(
        const std::string&, std::span<const TopicPartition>, Milliseconds) override {
        return Error{};
    }
    Result<void> set_committed_offsets(const std::string&,
                                       const std::map<TopicPartition, std::int64_t>&,
                                       Milliseconds) override {
        return Error{};
    }

 private:
    std::deque<std::vector<PartitionFacts>> answers_;
};

std::vector<PartitionFacts> ends_at(std::int64_t latest, const std::string& id = "A") {
    return {{.topic_partition = orders0, .earliest = 0, .latest = latest, .topic_id = id}};
}

Result<std::vector<PartitionFacts>> gather(ScriptedCluster& cluster, Position known,
                                           int* waits = nullptr, bool go_on = true) {
    return gather_facts(cluster, SubscribeTopics{{"orders"}}, {{orders0, std::move(known)}}, 3,
                        Milliseconds{7}, Milliseconds{100}, [&](Milliseconds interval) {
                            CHECK(interval == Milliseconds{7});
                            if (waits != nullptr) ++*waits;
                            return go_on;
                        });
}

}  // namespace

TEST_CASE("facts that agree with the positions are asked for once") {
    ScriptedCluster cluster({ends_at(10)});
    const auto facts = gather(cluster, {.offset = 10, .topic_id = "A"});
    REQUIRE(facts);
    CHECK(*facts == ends_at(10));
    CHECK(cluster.asked == 1);
}

TEST_CASE("an end below the position is asked for again until it has caught up") {
    ScriptedCluster cluster({ends_at(7), ends_at(9), ends_at(12)});
    int waits = 0;
    const auto facts = gather(cluster, {.offset = 10, .topic_id = "A"}, &waits);
    REQUIRE(facts);
    CHECK(*facts == ends_at(12));
    CHECK(waits == 2);
}

TEST_CASE("an end that stays below the position is believed after the last retry") {
    ScriptedCluster cluster({ends_at(7)});
    const auto facts = gather(cluster, {.offset = 10, .topic_id = "A"});
    REQUIRE(facts);
    CHECK(*facts == ends_at(7));
    CHECK(cluster.asked == 4);
}

TEST_CASE("an unknown topic id counts as the same topic") {
    ScriptedCluster cluster({ends_at(7, ""), ends_at(10, "")});
    const auto facts = gather(cluster, {.offset = 10, .topic_id = "A"});
    REQUIRE(facts);
    CHECK(*facts == ends_at(10, ""));
}

TEST_CASE("another topic id is asked for again: a broker that was frozen still tells the old one") {
    ScriptedCluster cluster({ends_at(100, "old"), ends_at(100, "old"), ends_at(12, "A")});
    int waits = 0;
    const auto facts = gather(cluster, {.offset = 10, .topic_id = "A"}, &waits);
    REQUIRE(facts);
    CHECK(*facts == ends_at(12, "A"));
    CHECK(waits == 2);
}

TEST_CASE("a topic id that stays another one is believed after the last retry") {
    ScriptedCluster cluster({ends_at(100, "B")});
    const auto facts = gather(cluster, {.offset = 10, .topic_id = "A"});
    REQUIRE(facts);
    CHECK(*facts == ends_at(100, "B"));
    CHECK(cluster.asked == 4);
}

TEST_CASE("a partition that is not there is asked for again") {
    ScriptedCluster cluster({std::vector<PartitionFacts>{}, ends_at(10)});
    const auto facts = gather(cluster, {.offset = 10, .topic_id = "A"});
    REQUIRE(facts);
    CHECK(*facts == ends_at(10));
}

TEST_CASE("waiting ends when the pipeline is stopped") {
    ScriptedCluster cluster({ends_at(7)});
    const auto facts = gather(cluster, {.offset = 10, .topic_id = "A"}, nullptr, false);
    REQUIRE_FALSE(facts);
    CHECK(facts.error().code == ErrorCode::stopping);
}
