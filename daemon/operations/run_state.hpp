#pragma once
// States that outlive the process, and leaving a pipeline behind.

#include <boost/json/object.hpp>
#include <string>

#include "daemon/operations/context.hpp"

namespace sluice::operations {

/// Writes the state down with an audit entry: paused keeps the sink open, stopped closes it. A running
/// daemon must be told after this has returned.
/// {"pipeline":"orders","was":"running","run_state":"paused"}
/// Errors: `not_found` for a pipeline that is not configured, `storage`.
Result<boost::json::object> set_run_state(const Context& context, const std::string& pipeline,
                                          checkpoints::RunState state);

/// Removes every entry of a pipeline that is no longer configured: positions, history, losses, audit.
/// Without `execute` it only says what there is.
/// {"pipeline":"old","executed":bool,"positions":4,"next_batch":813,"losses":2}
/// Errors: `not_found` when it has no entries, `exists` while it is configured.
Result<boost::json::object> forget(const Context& context, const std::string& pipeline, bool execute);

}  // namespace sluice::operations
