// A pipeline's positions through months of a cluster's life, a trigger at a time.

#include <doctest/doctest.h>

#include "daemon/plan/planner.hpp"
#include "tests/property/invariants.hpp"

using namespace sluice::plan;
using namespace sluice::plan::property;

namespace {

/// A cluster that does to its topics what clusters do, each thing about as often as the others.
class Cluster {
 public:
    explicit Cluster(std::uint64_t seed) : engine_(seed) {}

    std::int64_t between(std::int64_t least, std::int64_t most) {
        return std::uniform_int_distribution<std::int64_t>(least, most)(engine_);
    }

    void live() {
        for (std::int64_t events = between(0, 4); events > 0; --events)
            happen();
    }

    /// Topic ids are unknown now and then, as they are to a broker that does not answer in time.
    std::vector<PartitionFacts> facts() {
        const bool ids_known = between(0, 3) > 0;
        std::vector<PartitionFacts> answer;
        for (const auto& [name, topic] : topics_) {
            for (std::size_t p = 0; p < topic.logs.size(); ++p) {
                const Log& log = topic.logs[p];
                answer.push_back({{name, static_cast<std::int32_t>(p)},
                                  log.earliest,
                                  log.latest,
                                  ids_known ? topic.id : "",
                                  topic.epoch});
            }
        }
        return answer;
    }

 private:
    struct Log {
        std::int64_t earliest = 0;
        std::int64_t latest = 0;
    };
    struct Topic {
        std::string id{};
        std::int32_t epoch = 0;
        std::vector<Log> logs{};
    };

    void happen() {
        const std::string name(1, static_cast<char>('a' + between(0, 2)));
        if (!topics_.contains(name)) return create(name);
        Topic& topic = topics_[name];
        Log& log = topic.logs[static_cast<std::size_t>(
            between(0, static_cast<std::int64_t>(topic.logs.size()) - 1))];
        switch (between(0, 9)) {
            case 0:
                topics_.erase(name);
                break;
            case 1:
                create(name);
                break;
            case 2:
                log.earliest = between(log.earliest, log.latest);
                break;  // retention
            case 3:     // an unclean election
                log.latest = between(log.earliest, log.latest);
                ++topic.epoch;
                break;
            case 4:
                if (topic.logs.size() < 4) topic.logs.push_back({0, between(0, 3)});
                break;
            default:
                log.latest += between(0, 20);
        }
    }
    void create(const std::string& name) {
        Topic topic{.id = "id" + std::to_string(++created_)};
        topic.logs.resize(static_cast<std::size_t>(between(1, 3)));
        for (Log& log : topic.logs)
            log.latest = between(0, 30);
        topics_[name] = std::move(topic);
    }

    std::mt19937_64 engine_;
    std::map<std::string, Topic> topics_;
    std::int64_t created_ = 0;
};

class History {
 public:
    explicit History(std::uint64_t seed) : cluster_(seed) {}

    /// One trigger; "" or what is broken. A batch that was planned is committed, or not.
    std::string trigger() {
        cluster_.live();
        const auto facts = cluster_.facts();
        PlanOptions options;
        if (cluster_.between(0, 3) > 0) options.max_offsets = cluster_.between(1, 30);
        if (cluster_.between(0, 1) > 0) options.split.min_partitions = cluster_.between(1, 12);
        if (cluster_.between(0, 1) > 0) {
            options.split.max_records_per_partition = cluster_.between(1, 10);
        }
        const auto outcome = plan_batch({.positions = positions_, .facts = facts}, options);
        if (!outcome) return outcome.error().message;
        for (const Loss& loss : outcome->losses)
            ++losses_[loss.kind];
        const std::string broken = broken_plan(positions_, facts, options, *outcome);
        if (!broken.empty()) return broken;
        if (cluster_.between(0, 4) > 0) commit(*outcome);
        return {};
    }

    [[nodiscard]] const std::map<LossKind, int>& losses() const { return losses_; }

 private:
    /// As a batch commit does: positions of the present partitions, moved by what was read.
    void commit(const PlanOutcome& outcome) {
        positions_.clear();
        for (const StartAt& start : outcome.starts) {
            positions_[start.topic_partition] = start.position;
        }
        for (const PlannedRange& planned : outcome.ranges) {
            Position& position = positions_[planned.range.topic_partition];
            position.offset = planned.range.until;
            position.last_advanced = batch_;
        }
        ++batch_;
    }

    Cluster cluster_;
    std::map<TopicPartition, Position> positions_;
    std::map<LossKind, int> losses_;
    std::int64_t batch_ = 0;
};

}  // namespace

TEST_CASE("positions never go back, nor skip anything, but for a loss that is recorded") {
    const std::uint64_t seed = seed_of("histories");
    std::map<LossKind, int> losses;
    for (std::uint64_t life = 0; life < 150; ++life) {
        History history(seed + life);
        for (int trigger = 0; trigger < 150; ++trigger) {
            const std::string broken = history.trigger();
            if (!broken.empty()) FAIL(broken, ", SLUICE_SEED=", seed + life, ", trigger ", trigger);
        }
        for (const auto& [kind, count] : history.losses())
            losses[kind] += count;
    }
    // The histories are worth something only if everything happened in them.
    for (const LossKind kind :
         {LossKind::expired, LossKind::went_back, LossKind::partition_gone, LossKind::topic_gone,
          LossKind::topic_recreated, LossKind::new_starts_late}) {
        INFO(name_of(kind));
        CHECK(losses[kind] > 10);
    }
}
