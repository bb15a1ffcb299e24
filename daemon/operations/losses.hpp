#pragma once
// What could not be read any more, and going on regardless: `sluice losses`.

#include <boost/json/object.hpp>
#include <string>

#include "checkpoints/ledger.hpp"
#include "daemon/operations/context.hpp"

namespace sluice::operations {

using checkpoints::records_lost;

/// The ledger, oldest first: {"pipeline":"orders","unaccepted":1,"records_lost":88,
/// "losses":[{…LOSS (json.hpp)…,"batch":812|null,"detected_at":TIME,"accepted":false}]}
Result<boost::json::object> list_losses(const Context& context, const std::string& pipeline);

/// Records that the pipeline goes on without what is lost. Asks the cluster what is there now, so that
/// what expired since the pipeline stopped is counted too; moves the positions of lossy partitions, and
/// of no others, to where reading can go on; forgets those of partitions that are gone; marks the
/// ledger's entries accepted; abandons the unfinished plan when it reads a partition concerned.
/// Partitions whose position can still be read keep it: their ranges are planned again.
///
/// {"pipeline","executed":bool,"losses":[{…LOSS…}],   the unaccepted entries and what was found now
///  "changes":[{"topic","partition","before":812,"after":900|null}],   null: forgotten
///  "abandons":812|null,"records_lost":88,"notes":["…"]}
/// Nothing to accept is not an error: "losses" is empty.
/// Errors: `not_found`, `unavailable` (cluster), `storage`.
Result<boost::json::object> accept_losses(const Context& context, const std::string& pipeline,
                                          bool execute);

}  // namespace sluice::operations
