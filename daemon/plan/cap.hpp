#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/plan/types.hpp"

namespace sluice::plan {

/// One partition with what there is to read, and when it last got its turn.
struct Backlog {
    OffsetRange range;                ///< position to end offset; inverted ones pass through unchanged
    std::int64_t last_advanced = -1;  ///< batch id; -1 = never, goes first
};

/// Cuts each range so that the trigger covers exactly `min(max_offsets, backlog)` offsets.
///
/// Enough for everyone: each partition with backlog gets one offset, the rest is divided in
/// proportion to what remains of each backlog, floors first, then the largest fractions (ties by
/// topic, partition). Too little for everyone: one offset each to those that waited longest (never
/// advanced first, then the lowest batch), ties by larger backlog, then topic, partition.
/// Ranges without a positive size keep their `until`: the data-loss check must still see it.
///
/// The answer is in the order of `available`, one range each.
/// Errors: `invalid_argument` when `max_offsets <= 0`. Pure; O(n log n).
/// Source: after Spark's `KafkaMicroBatchStream.rateLimit`, which rounds each share on its own and so
///         misses its limit both ways; the products here are 128-bit integers and always add up.
Result<std::vector<OffsetRange>> limit_offsets(std::int64_t max_offsets,
                                               std::span<const Backlog> available);

}  // namespace sluice::plan
