#pragma once
// The words of the planner: plain values, no Kafka types. Each member has an initializer, `{}` at
// least, so that a designated initializer may leave it out without a warning.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

namespace sluice::plan {

/// Ordered by topic (bytes), then partition: the order of every plan, table and file.
struct TopicPartition {
    std::string topic;
    std::int32_t partition = 0;

    auto operator<=>(const TopicPartition&) const = default;
};

/// "orders-3", for people and logs. Never parsed: topics may contain '-'.
std::string to_string(const TopicPartition& topic_partition);

/// Offsets `[from, until)` of one partition: `from` is read, `until` is not.
/// `until - from` counts offsets, which is at least the number of records a consumer will see:
/// compaction, aborted transactions and control batches all leave gaps.
struct OffsetRange {
    TopicPartition topic_partition{};
    std::int64_t from = 0;
    std::int64_t until = 0;

    bool operator==(const OffsetRange&) const = default;
};

/// Number of offsets in a range; 0 for an empty or inverted one. Never overflows.
std::uint64_t size_of(const OffsetRange& range) noexcept;

/// How far one partition has been read, as checkpointed with a batch commit.
struct Position {
    std::int64_t offset = 0;         ///< the next offset to read
    std::int32_t leader_epoch = -1;  ///< under which the log holds `offset` - 1; -1 unknown
    std::string topic_id{};          ///< Kafka's topic id; empty = unknown, never counts as changed
    std::int64_t last_advanced = -1;  ///< id of the batch that moved it last; -1 never

    bool operator==(const Position&) const = default;
};

/// What the cluster says about one partition now.
struct PartitionFacts {
    TopicPartition topic_partition{};
    std::int64_t earliest = 0;  ///< low watermark
    std::int64_t latest = 0;    ///< end for the isolation level: last stable offset when committed
    std::string topic_id{};     ///< empty = unknown
    std::int32_t leader_epoch = -1;
    /// Where the log was cut below a position and written anew since; nullopt = it was not, or nobody
    /// asked, which costs a client and is done where something speaks for it.
    std::optional<std::int64_t> truncated_at{};

    bool operator==(const PartitionFacts&) const = default;
};

}  // namespace sluice::plan
