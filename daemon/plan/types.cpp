#include "daemon/plan/types.hpp"

namespace sluice::plan {

std::string to_string(const TopicPartition& topic_partition) {
    return topic_partition.topic + '-' + std::to_string(topic_partition.partition);
}

std::uint64_t size_of(const OffsetRange& range) noexcept {
    if (range.until <= range.from) return 0;
    // Unsigned: a range from below zero to 2^63-1 is larger than any signed difference.
    return static_cast<std::uint64_t>(range.until) - static_cast<std::uint64_t>(range.from);
}

}  // namespace sluice::plan
