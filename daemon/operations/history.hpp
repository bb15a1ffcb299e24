#pragma once
// The recorded batches whole, for those who judge or repeat them (`sluice verify`, `sluice batches
// replay`): from the store to JSON, and from JSON back to the same values in another process.

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/operations/context.hpp"

namespace sluice::operations {

inline constexpr std::size_t history_page_max = 500;

/// One page, newest first, of batches below `before` (nullopt: from the newest on), at most `limit`
/// (clamped to history_page_max):
/// {"pipeline","batches":[{…as show_batch, and each range with "topic_id" and "leader_epoch"…}],
///  "next":ID|null,            what `before` is for the following page; null: that was all that is kept
///  "cluster_id":"…"|null,     that the offsets count on
///  "losses":[{…LOSS…,"detected_at":TIME}],   the whole ledger
///  "moves":[{"at":TIME,"action":"offsets reset","topic","partition","before":812|null,"after":900|null}]}
/// Moves are those of the audit trail that name their partitions.
Result<boost::json::object> show_history(const Context& context, const std::string& pipeline,
                                         std::optional<std::uint64_t> before, std::size_t limit);

/// An operator moved a position.
struct PositionMove {
    WallTime at{};
    std::string action;
    plan::TopicPartition topic_partition;
    std::optional<std::int64_t> before;  ///< nullopt: had none
    std::optional<std::int64_t> after;   ///< nullopt: forgotten
};

/// What is on record of one pipeline.
struct History {
    std::string pipeline;
    std::string cluster_id;                              ///< empty = never contacted
    std::vector<checkpoints::BatchSummary> batches;  ///< oldest first
    std::vector<checkpoints::LossEntry> losses;  ///< without batch_id and accepted
    std::vector<PositionMove> moves;
};

struct HistoryPage {
    History history;
    std::optional<std::uint64_t> next;
};
/// The other direction of show_history. Errors: `failed`, naming what an answer of another version
/// lacks.
Result<HistoryPage> parse_history(const boost::json::object& page);

}  // namespace sluice::operations
