#include "daemon/plan/work.hpp"

#include <algorithm>
#include <numeric>

namespace sluice::plan {

std::vector<std::size_t> ranks_of(std::span<const TopicPartition* const> partitions) {
    std::vector<std::size_t> order(partitions.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto before = [&](std::size_t a, std::size_t b) {
        return *partitions[a] < *partitions[b];
    };
    if (!std::is_sorted(order.begin(), order.end(), before)) {
        std::stable_sort(order.begin(), order.end(), before);
    }
    std::vector<std::size_t> ranks(partitions.size());
    std::size_t rank = 0;
    for (std::size_t i = 1; i < order.size(); ++i) {
        if (before(order[i - 1], order[i])) ++rank;
        ranks[order[i]] = rank;
    }
    return ranks;
}

}  // namespace sluice::plan
