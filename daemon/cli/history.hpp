#pragma once
// The recorded batches of a pipeline, fetched page by page. Internal to the module.

#include <optional>
#include <string>

#include "daemon/cli/session.hpp"
#include "daemon/operations/history.hpp"

namespace sluice::cli {

/// Which batches to fetch; what is not set does not limit.
struct HistoryWanted {
    std::optional<WallTime> since;       ///< planned at or after
    std::optional<std::uint64_t> first;  ///< ids
    std::optional<std::uint64_t> last;
};
Result<operations::History> fetch_history(Session& session, const std::string& pipeline,
                                          const HistoryWanted& wanted);

/// The value of an option that is a moment. Errors: `invalid_argument`, asking for a zone.
Result<std::optional<WallTime>> moment_option(const Session& session, const char* option);

}  // namespace sluice::cli
