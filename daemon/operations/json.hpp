#pragma once
// The JSON pieces that several operations share. Times are ISO 8601 in UTC, durations milliseconds,
// offsets and counts integers; what is not known is null, never left out and never -1.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <map>
#include <optional>
#include <vector>

#include "checkpoints/store.hpp"
#include "daemon/plan/planner.hpp"

namespace sluice::operations {

namespace json = boost::json;

json::value time_or_null(const std::optional<WallTime>& time);
/// null for nullopt, and for the "unknown" -1 of epochs and batch ids.
json::value count_or_null(std::optional<std::int64_t> count);
json::value id_or_null(const std::optional<std::uint64_t>& id);

/// {"index":0,"topic":"orders","partition":0,"from":1000,"until":51000,"offsets":50000,"lane":2|null}
json::object to_json(const plan::PlannedRange& range, std::size_t index);
json::array to_json(const std::vector<plan::PlannedRange>& ranges);
/// Offsets of all ranges together.
std::uint64_t offsets_of(const std::vector<plan::PlannedRange>& ranges);

/// {"topic":"orders","partition":0,"kind":"expired","topic_id":"…"|null,"from":812,"until":900,
///  "records_lost":88,"adjusted_start":900|null,"text":"orders-0: offsets [812, 900) are gone, …"}
json::object to_json(const plan::Loss& loss);

/// {"polled":…,"gaps":…,"accepted":…,"filtered":…,"dead_lettered":…,"lost":…,"bytes":…}
json::object to_json(const checkpoints::RangeBooks& books);
checkpoints::RangeBooks sum_of(const std::vector<checkpoints::RangeBooks>& books);

}  // namespace sluice::operations
