#include <algorithm>
#include <string>

#include "daemon/kafka/cluster.hpp"

namespace sluice::kafka {
namespace {

/// Would `position` be data loss if `fact` were true? Brokers that have just become leaders, have just
/// started, or were frozen, answer with old ends and old metadata for a moment (KAFKA-7703): with the id of
/// a topic, too, that was deleted and created anew long since.
bool is_doubtful(const plan::Position& position, const plan::PartitionFacts& fact) {
    const bool other_topic =
        !position.topic_id.empty() && !fact.topic_id.empty() && position.topic_id != fact.topic_id;
    return other_topic || fact.latest < position.offset;
}

bool any_doubtful(const std::map<plan::TopicPartition, plan::Position>& known,
                  const std::vector<plan::PartitionFacts>& facts) {
    return std::any_of(known.begin(), known.end(), [&](const auto& entry) {
        const auto& [partition, position] = entry;
        const auto fact = std::lower_bound(
            facts.begin(), facts.end(), partition,
            [](const plan::PartitionFacts& f, const auto& p) { return f.topic_partition < p; });
        if (fact == facts.end() || fact->topic_partition != partition) return true;
        return is_doubtful(position, *fact);
    });
}

}  // namespace

Result<std::vector<plan::PartitionFacts>> gather_facts(
    Cluster& cluster, const Subscription& subscription,
    const std::map<plan::TopicPartition, plan::Position>& known, int retries, Milliseconds interval,
    Milliseconds timeout, const std::function<bool(Milliseconds)>& wait) {
    for (int attempt = 0;; ++attempt) {
        SLUICE_TRY(const auto partitions, cluster.partitions(subscription, timeout));
        SLUICE_TRY(auto facts, cluster.offsets(partitions, timeout));
        if (attempt >= retries || !any_doubtful(known, facts)) return facts;
        if (!wait(interval)) {
            return Error{ErrorCode::stopping, "stopped while waiting to ask for the offsets again"};
        }
    }
}

}  // namespace sluice::kafka
