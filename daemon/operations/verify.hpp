#pragma once
// The books of recorded batches, checked and explained: `sluice verify`.

#include <boost/json/object.hpp>
#include <functional>
#include <set>
#include <string>

#include "daemon/base/result.hpp"
#include "daemon/kafka/rereader.hpp"
#include "daemon/operations/history.hpp"

namespace sluice::operations {

/// How ranges are counted again; kafka::Rereader, or a test's values.
struct Reread {
    std::string isolation_level = "read_committed";  ///< the pipeline's
    std::function<Result<kafka::TopicsNow>(const std::set<std::string>& topics)> look;
    std::function<Result<kafka::RangeCounts>(const plan::OffsetRange& range,
                                             const std::string& isolation_level)>
        count;
};

/// Judges the books and the continuity of `history` (judge.hpp), then reads every range of a committed
/// batch again: as the pipeline does, and where it has gaps with read_uncommitted too, which shows what
/// was aborted. `reread` nullptr: the books alone.
///
/// {"pipeline","findings":[{"kind","batch":812,"range":3|null,"topic":…|null,"partition":…|null,"text"}],
///  "batches":{"first":0|null,"last":811|null,"committed":…,"recovered":…,"abandoned":…,"open":…},
///  "topics":[{"topic","cleanup_policy":"delete"|null,SUMS}],  SUMS of the ranges of committed batches:
///     "ranges","offsets","polled","gaps","accepted","filtered","dead_lettered","lost","bytes",
///     and of the gaps: "aborted","control","compacted_or_control","not_explained"; besides:
///     "compacted_since", and ranges: "read_again","not_retained","not_read"
///  "total":{SUMS},
///  "ranges":[{"batch","range","topic","partition","from","until","offsets","books":BOOKS,
///     "again":"same|differs|no longer retained|truncated since|lost|not read", GAPS|null}],
///  "not_read_because":TEXT|null,   set when a broker did not answer: the remaining ranges were not read
///  "notes":[TEXT…]}
///
/// A range that the broker does not have any more (retention, a topic created anew) is "no longer
/// retained", one whose log was cut at or below its records after they were read (`cut_since`) is "truncated
/// since": that is no finding, and both count as "not_retained". Blocks for as long as reading takes.
/// Errors: `configuration` when the cluster is another one than the checkpoints'.
Result<boost::json::object> verify(const History& history, const Reread* reread);

}  // namespace sluice::operations
