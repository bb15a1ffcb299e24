#pragma once
// What became of a batch that has no outcome, asked of its sink: `sluice batches replan`, and every move
// that gives such a batch up.

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

#include "daemon/operations/context.hpp"

namespace sluice::operations {

enum class Fate {
    delivered,  ///< the sink had it, whole; its COMMIT is written now, with state `recovered`
    gone        ///< the sink has nothing of it (any more): it may be given up
};

/// Opens the pipeline's sink and begins the unfinished batch once more, as recorded: a daemon that died
/// between the sink's commit and its own left it whole in the target, and records planned again under
/// another id would be delivered twice. Asked for an at-least-once sink too, which merely forgets.
/// `state` has an unfinished plan. Nothing may run the pipeline meanwhile.
/// Errors: those of opening and beginning (`unavailable` for RETRY, `fatal`); nothing has changed then.
Result<Fate> settle_unfinished(const Context& context, const config::Pipeline& pipeline,
                               const checkpoints::PipelineState& state);

/// For the notes of an answer.
std::string delivered_note(std::uint64_t batch);

/// Settles the unfinished batch and, when the sink does not have it, abandons it: what it would have read
/// is planned anew, under another id. Without `execute` the sink is not asked, since asking removes what
/// an attempt left there.
/// {"pipeline","executed":bool,"batch":812|null,"outcome":"delivered|abandoned"|null,"ranges":[RANGE…],
///  "notes":["…"]}; no unfinished batch is no error: "batch" is null.
/// Errors: `not_found`, `storage`, those of settle_unfinished.
Result<boost::json::object> replan(const Context& context, const std::string& pipeline, bool execute);

}  // namespace sluice::operations
