#pragma once
// The next trigger, decided and not run: `sluice plan`.

#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "daemon/operations/context.hpp"
#include "daemon/pipeline/status.hpp"

namespace sluice::operations {

/// What the pipeline would do at its next trigger, by the code that does it. Nothing is read, nothing
/// is written. A plan without an outcome is what runs next, exactly as recorded; then the cluster is
/// not asked, and what depends on it is null.
///
/// `live`  the running pipeline's status, nullptr when none runs: what `auto` means depends on the
///         batches seen since the start, and after a start none was.
///
/// {"pipeline":"orders","batch":813,
///  "decision":"run|rerun|wait|nothing|data_loss",
///  "planned_at":TIME|null,           of the recorded plan
///  "first_start":false,              positions come from startingOffsets
///  "ranges":[RANGE…],"offsets":300000,
///  "backlog":300000|null,            offsets between positions and ends, before the cap
///  "left":0|null,                    of it, after this batch
///  "partitions":4,                   that the batch reads
///  "losses":[LOSS…],                 with failOnDataLoss they stop the pipeline ("data_loss")
///  "limits":{"max_offsets":1000000|null,"min_offsets":…|null,"max_records_per_partition":…|null,
///            "min_partitions":…|null}|null,
///  "advice":[{"option":"maxRecordsPerPartition","value":262144|null,"why":"…"}],   by the batches on
///       record, and while one is open by what its trigger found; null: better left out
///  "batches_seen":64,               that the advice goes by
///  "notes":["…"]}
/// Errors: `not_found`; those of the cluster, and of startingOffsets before a first start.
Result<boost::json::object> preview_trigger(const Context& context, const std::string& pipeline,
                                            const pipeline::Status* live);

}  // namespace sluice::operations
