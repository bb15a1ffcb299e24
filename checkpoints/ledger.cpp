#include "checkpoints/ledger.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace sluice::checkpoints {

std::uint64_t records_lost(const std::vector<LossEntry>& entries) {
    std::map<std::pair<plan::TopicPartition, std::string>, std::vector<std::pair<std::int64_t, std::int64_t>>>
        by_partition;
    for (const auto& entry : entries) {
        by_partition[{entry.loss.topic_partition, entry.loss.topic_id}].emplace_back(entry.loss.from,
                                                                                     entry.loss.until);
    }
    std::uint64_t lost = 0;
    for (auto& [key, extents] : by_partition) {
        std::sort(extents.begin(), extents.end());
        std::int64_t end = 0;
        for (const auto& [from, until] : extents) {
            lost += plan::size_of({key.first, std::max(from, end), until});
            end = std::max(end, until);
        }
    }
    return lost;
}

bool is_of_a_log_that_is_gone(plan::LossKind kind) noexcept {
    return kind == plan::LossKind::topic_gone || kind == plan::LossKind::partition_gone ||
           kind == plan::LossKind::topic_recreated;
}

bool settles(const plan::Loss& accepted, const plan::Loss& older) noexcept {
    if (accepted.topic_partition != older.topic_partition || accepted.topic_id != older.topic_id) return false;
    if (older.from < accepted.from) return false;
    if (is_of_a_log_that_is_gone(accepted.kind)) return true;
    return accepted.kind == older.kind && older.until <= accepted.until;
}

}  // namespace sluice::checkpoints
