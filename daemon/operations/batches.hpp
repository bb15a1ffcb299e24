#pragma once
// What was planned and what became of it: `sluice batches`.

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

#include "daemon/operations/context.hpp"

namespace sluice::operations {

inline constexpr std::size_t batches_listed = 20;
inline constexpr std::size_t batches_listed_max = 10'000;
inline constexpr std::size_t refused_listed_max = 100;

/// Newest first, at most `limit` (clamped to batches_listed_max):
/// {"pipeline":"orders","batches":[SUMMARY…]}, where SUMMARY is
/// {"batch":812,"state":"planned|committed|recovered|abandoned","planned_at":TIME,
///  "committed_at":TIME|null,"ranges":7,"offsets":300000,"attempts":1|null,"total_ms":431|null,
///  "books":BOOKS|null}. "books" sums its ranges' (see json.hpp); null while planned, and where the
/// outcome has none (abandoned; recovered and not readable any more).
Result<boost::json::object> list_batches(const Context& context, const std::string& pipeline,
                                         std::size_t limit);

/// SUMMARY, and with "ranges" an array: {…range…,"token":"orders/812/0","books":BOOKS|null}, and
/// "phases":{"read_and_write_ms":…,"sink_commit_ms":…,"total_ms":…}|null.
/// "offsets" is what was estimated: until - from. "refused":[{"topic","partition","offset","reason"}], the
/// first refused_listed_max records that the sink refused. Errors: `not_found` for a batch that never was, or is
/// no longer kept.
Result<boost::json::object> show_batch(const Context& context, const std::string& pipeline,
                                       std::uint64_t batch_id);

/// The same of a batch at hand.
boost::json::object to_json(const std::string& pipeline, const checkpoints::BatchSummary& batch);

/// The batch whose plan covers this offset, as show_batch, and "found":{"topic","partition","offset",
/// "range":INDEX}. Errors: `not_found`.
Result<boost::json::object> find_batch(const Context& context, const std::string& pipeline,
                                       const plan::TopicPartition& partition, std::int64_t offset);

}  // namespace sluice::operations
