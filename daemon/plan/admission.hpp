#pragma once
// Whether a trigger runs, and when the next one is due.

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

#include "daemon/base/clock.hpp"
#include "daemon/plan/cap.hpp"

namespace sluice::plan {

/// True when the trigger should wait for more: fewer than `min_offsets` new offsets, and less than
/// `max_trigger_delay` since the last trigger that ran (`elapsed` is very large before the first).
/// Inverted ranges count negatively, as in Spark; the sum is 128-bit.
bool should_wait(std::span<const Backlog> available, std::int64_t min_offsets, Milliseconds elapsed,
                 Milliseconds max_trigger_delay) noexcept;

/// When the trigger after one that started at `started` is due, with a processing time of `interval`:
/// at multiples of it since the epoch. A batch that ran past that instant is followed at once (the
/// answer is <= now), and missed instants are not made up for. An interval of 0 is due at once.
/// A wall clock that was set back never delays a trigger by more than one interval.
WallTime next_trigger(WallTime started, WallTime now, Milliseconds interval) noexcept;

}  // namespace sluice::plan
