#pragma once
// What `auto` means, as functions of what was observed. Pure.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "daemon/plan/planner.hpp"

namespace sluice::pipeline {

inline constexpr std::int64_t first_batch_offsets = 100'000;

/// maxOffsetsPerTrigger: auto. About 30 s of work at the observed rate; 100,000 before anything was
/// observed, and never less than 10,000: a slow start must not keep itself slow.
inline std::int64_t auto_max_offsets(std::optional<double> records_per_second) {
    if (!records_per_second) return first_batch_offsets;
    return static_cast<std::int64_t>(std::clamp(*records_per_second * 30.0, 10'000.0, 1e12));
}

/// maxBytesPerTrigger as a number of offsets, by the mean record size seen (1 KiB before any was).
inline std::int64_t offsets_for_bytes(std::uint64_t bytes_max, std::optional<double> mean_bytes) {
    const double mean = std::max(mean_bytes.value_or(1024.0), 1.0);
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::min(static_cast<double>(bytes_max) / mean, 1e15)));
}

/// minPartitions: auto. As many ranges as workers, but only when a half is long enough (about a million
/// records) to pay for re-positioning consumers at every trigger. Not Spark's two for each core: it needs
/// them where a task is a while in coming and tasks differ in length; a worker here takes up its next range at
/// once, and pieces of one partition are cut equal.
inline std::optional<std::int64_t> auto_min_partitions(std::uint64_t backlog, int workers) {
    constexpr std::uint64_t worth_a_consumer = 1'000'000;
    const auto ranges = std::min<std::uint64_t>(static_cast<std::uint64_t>(std::max(workers, 1)),
                                                backlog / worth_a_consumer);
    if (ranges < 2) return std::nullopt;
    return static_cast<std::int64_t>(ranges);
}

/// minPartitions: auto, where quiet partitions make up the number: the longest that a range may be, so that one hot
/// partition is not left to one worker. A quarter more than an even share, or partitions that hardly differ would be
/// cut for nothing.
inline std::optional<std::int64_t> auto_longest_range(std::uint64_t backlog, std::optional<std::int64_t> min_partitions) {
    if (!min_partitions) return std::nullopt;
    const std::uint64_t share = backlog / static_cast<std::uint64_t>(*min_partitions);
    return static_cast<std::int64_t>(std::min(share + share / 4, std::uint64_t{INT64_MAX}));
}

/// How many records a worker's part of the memory holds, each twice: as fetched, and as the sink writes it.
inline std::int64_t records_held(std::uint64_t memory_max, int workers, std::optional<double> mean_bytes) {
    const double mean = std::max(mean_bytes.value_or(1024.0), 1.0);
    const double records = static_cast<double>(memory_max) / std::max(workers, 1) / (mean * 2);
    return static_cast<std::int64_t>(std::min(records, 1e12));
}

/// A range that is shorter costs more to go to than to read: 10,000 records, or 10 MiB of larger ones.
inline std::int64_t shortest_range(std::optional<double> mean_bytes) {
    constexpr double worth_going_to = 10.0 * (1 << 20);
    const double mean = std::max(mean_bytes.value_or(1024.0), 1.0);
    return static_cast<std::int64_t>(std::clamp(worth_going_to / mean, 1.0, 10'000.0));
}

/// maxRecordsPerPartition: auto. What a worker's part of the memory holds, and no less than is worth a range.
inline std::int64_t auto_max_records(std::uint64_t memory_max, int workers,
                                     std::optional<double> mean_bytes) {
    return std::max(records_held(memory_max, workers, mean_bytes), shortest_range(mean_bytes));
}

}  // namespace sluice::pipeline
