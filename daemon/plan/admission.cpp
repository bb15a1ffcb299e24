#include "daemon/plan/admission.hpp"

#include <algorithm>
#include <limits>

#include "daemon/plan/wide.hpp"
#include "daemon/plan/work.hpp"

namespace sluice::plan {

bool should_wait(std::span<const Backlog> available, std::int64_t min_offsets, Milliseconds elapsed,
                 Milliseconds max_trigger_delay) noexcept {
    Int128 fresh = 0;
    for (const Backlog& backlog : available) {
        fresh += static_cast<Int128>(backlog.range.until) - backlog.range.from;
    }
    return should_wait(fresh, min_offsets, elapsed, max_trigger_delay);
}

bool should_wait(Int128 fresh, std::int64_t min_offsets, Milliseconds elapsed,
                 Milliseconds max_trigger_delay) noexcept {
    return elapsed < max_trigger_delay && fresh < min_offsets;
}

WallTime next_trigger(WallTime started, WallTime now, Milliseconds interval) noexcept {
    if (interval <= Milliseconds::zero()) return now;
    // `started` lies in the future only when the clock was set back since: counting from `now` then
    // keeps the wait within one interval.
    const std::int64_t from = to_epoch_ms(std::min(started, now));
    const std::int64_t step = interval.count();
    std::int64_t past = from % step;
    if (past < 0) past += step;  // before 1970
    const std::int64_t wait = step - past;
    if (from > std::numeric_limits<std::int64_t>::max() - wait) return WallTime::max();
    return from_epoch_ms(from + wait);
}

}  // namespace sluice::plan
