#include "daemon/cli/history.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "daemon/config/rfc3339.hpp"

namespace sluice::cli {

Result<operations::History> fetch_history(Session& session, const std::string& pipeline,
                                          const HistoryWanted& wanted) {
    std::optional<operations::History> history;
    std::optional<std::uint64_t> before;
    if (wanted.last) before = *wanted.last + 1;
    while (true) {
        const std::string query = before ? "?before=" + std::to_string(*before) : std::string();
        SLUICE_TRY(const auto answer, session.get(pipeline_target(pipeline, "/history" + query)));
        SLUICE_TRY(auto page, operations::parse_history(answer));
        auto& batches = page.history.batches;
        const auto too_old = [&](const checkpoints::BatchSummary& batch) {
            return (wanted.since && batch.plan.planned_at < *wanted.since) ||
                   (wanted.first && batch.plan.batch_id < *wanted.first);
        };
        const bool reached = !batches.empty() && too_old(batches.front());
        std::erase_if(batches, too_old);
        if (!history) {
            history = std::move(page.history);
        } else {
            history->batches.insert(history->batches.begin(), std::make_move_iterator(batches.begin()),
                                    std::make_move_iterator(batches.end()));
        }
        if (reached || !page.next) return *std::move(history);
        before = page.next;
    }
}

Result<std::optional<WallTime>> moment_option(const Session& session, const char* option) {
    const auto text = session.invocation().value(option);
    if (!text) return std::optional<WallTime>{};
    if (const auto time = config::parse_rfc3339(*text)) return std::optional<WallTime>{*time};
    return Error{ErrorCode::invalid_argument,
                 std::string(option) + ": '" + *text +
                     "' is no moment with its zone, such as 2026-11-01T08:00:00+01:00"};
}

}  // namespace sluice::cli
