#pragma once
// Whether a pipeline that FAILED starts again by itself, and when.

#include <optional>

#include "daemon/base/clock.hpp"
#include "daemon/base/error.hpp"

namespace sluice::plan {

/// How long a pipeline that failed with `error` rests before it starts again; nullopt = until a person
/// restarts it. `restarts` counts those since its last commit, from 0.
///
/// Only faults that can pass are worth it: a step that gave up, a broker or a sink that was down, an
/// answer nobody expected. Never data loss, a configuration, a sink's FATAL, another owner of data
/// directory or output, or a damaged store: starting again would change nothing, or do harm.
/// Pauses are n² + n minutes (2, 6, 12, 20, …), at most `delay_max`; 0 = never. Pure.
std::optional<Milliseconds> restart_after(ErrorCode code, int restarts, Milliseconds delay_max) noexcept;

}  // namespace sluice::plan
