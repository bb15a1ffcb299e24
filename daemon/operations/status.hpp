#pragma once
// How every pipeline stands: `sluice status`.

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "daemon/operations/context.hpp"
#include "daemon/pipeline/status.hpp"

namespace sluice::operations {

/// {"daemon":"running|not running","pipelines":[STATUS…],
///  "orphans":["old"]|null,      pipelines with checkpoints and no configuration; null unless `all`
///  "memory":{"max","consumers_max","consumers","in_flight","sinks"}|null}   bytes; null when no daemon runs
/// STATUS is
/// {"pipeline":"orders","state":"RUNNING","run_state":"running|paused|stopped","reason":""|"…",
///  "error":"data_loss"|null,"since":TIME|null,"attempt":0,"retry_at":TIME|null,"restarts":0,
///  "next_trigger":TIME|null,
///  "batch":{"id":812,"offsets":100000|null,"polled":5000|null}|null,   in flight, or to be run again
///  "last_committed":811|null,"last_commit_at":TIME|null,
///  "records_committed":…|null,"records_dead_lettered":…|null,"bytes_committed":…|null,"batches_committed":…|null,  since the start
///  "backlog":…|null,              offsets, as of the last trigger
///  "records_lost":…,"unaccepted_losses":0,                                 of the whole ledger
///  "plugin":"file","guarantee":"exactly-once"|null,   of the sink with its options, while a daemon runs it
///  "cluster_id":"…"|null,
///  "retention_headroom":[{"topic","partition","seconds":10800}],   until retention may delete what is
///       unread, the shortest first; absent where unknown, [] for a pipeline that keeps up
///  "partitions":[{"topic","partition","position":8123,"latest":8200|null}]}
/// A pipeline that no daemon runs has the state "DOWN" and its positions as checkpointed.
Result<boost::json::object> status(const Context& context,
                                   const std::optional<std::vector<pipeline::Status>>& live, bool all,
                                   const std::optional<pipeline::MemoryUse>& memory = {});

/// STATUS of one pipeline. `live` is nullptr when nothing runs it. Errors: `not_found`.
Result<boost::json::object> status_of(const Context& context, const std::string& pipeline,
                                      const pipeline::Status* live);

}  // namespace sluice::operations
