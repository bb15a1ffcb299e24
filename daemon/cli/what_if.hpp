#pragma once
// `sluice plan --what-if`: the planner as a pocket calculator, without a broker.

#include <string>
#include <string_view>

#include "daemon/base/result.hpp"

namespace sluice::cli {

/// Answers one question about the planner. `json` is one object; its keys say what is asked, and so
/// do the keys of the answer (`?` marks what may be left out):
///
///   {ranges: [{topic, partition, from, until}], minPartitions?, maxRecordsPerPartition?,
///   executors?}
///     → {ranges: [{topic, partition, from, until, preferred?}]}          plan::split_ranges
///   {from, until, limit, earliest?, last_advanced?}  → {until}           plan::limit_offsets
///   {from, latest, minOffsets, elapsedMs, maxTriggerDelayMs}  → {skip}   plan::should_wait
///
/// `from`, `until`, `latest`, `earliest`, `last_advanced` of the last two map {topic: {partition:
/// offset}}; a partition absent from `from` is new, and one absent from `earliest` too keeps its
/// `until`. `executors` names the lanes, in order; with it every range has a `preferred` (or null).
///
/// All numbers are 64-bit integers, up to 2^63-1, and never pass through a double.
/// Errors: `invalid_argument` for everything else than such an object (not JSON, an unknown,
/// missing
///         or repeated key, a wrong type, not an integer, out of bounds, nested too deep, longer
///         than 16 MiB, an answer of more than 100,000 ranges), naming the key and what is accepted. Pure; safe for concurrent calls.
Result<std::string> what_if(std::string_view json);

}  // namespace sluice::cli
