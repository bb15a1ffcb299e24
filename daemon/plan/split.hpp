#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/plan/types.hpp"

namespace sluice::plan {

struct SplitOptions {
    std::optional<std::int64_t> max_records_per_partition{};  ///< positive
    std::optional<std::int64_t> min_partitions{};             ///< positive; a true minimum
    std::optional<std::int64_t> longest{};  ///< positive; where there are enough ranges all the same
    std::size_t lanes = 0;  ///< preferred lanes to choose from; 0 = name none
    std::size_t ranges_max = 1'000'000;  ///< bound on the answer
};

/// A range of a plan, with the lane (a slot of the consumer pool) that should read it.
struct SplitRange {
    OffsetRange range;
    std::optional<std::size_t> lane{};

    bool operator==(const SplitRange&) const = default;
};

/// Cuts the ranges of a batch into tasks; order is kept, empty and inverted ranges are dropped.
///
/// 1. `max_records_per_partition`: ceil(size / max) near-equal pieces, small pieces first.
/// 2. Fewer than `min_partitions`: a proportional split in which pieces whose share rounds (half up)
///    to one stay whole and leave the proportion (by partition, as Spark does).
/// 3. Still fewer: the largest piece is halved (first on a tie, smaller half first) until there are
///    enough or every piece is one offset. This makes minPartitions a true minimum.
/// 4. Enough without 2 and 3, but some longer than `longest`: these are cut as by 1, unless that gives too many.
/// Lanes are named only when no rule was at work: `lane_of` each partition.
///
/// Errors: `invalid_argument` for options that are not positive, or an answer above `ranges_max`.
/// Source: Spark's `KafkaOffsetRangeCalculator`, in exact integers where Spark uses doubles, plus 3 and 4.
Result<std::vector<SplitRange>> split_ranges(std::span<const OffsetRange> ranges,
                                             const SplitOptions& options);

/// The lane of a partition: Spark's executor hash, floor-mod `lanes` (which must be positive).
std::size_t lane_of(const TopicPartition& topic_partition, std::size_t lanes);

}  // namespace sluice::plan
