#pragma once
// Time enters the engine through here, so that tests can hold it still.

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>

namespace sluice {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;
using SteadyTime = std::chrono::steady_clock::time_point;
using Milliseconds = std::chrono::milliseconds;

/// Safe for concurrent calls.
class Clock {
 public:
    virtual ~Clock() = default;
    /// Wall clock: what is written down and shown. May jump.
    [[nodiscard]] virtual WallTime wall() const = 0;
    /// Steady clock: what is waited for. Never jumps.
    [[nodiscard]] virtual SteadyTime steady() const = 0;
    /// Blocks the calling thread until `time` has passed; false when a stop was requested before.
    virtual bool wait(Milliseconds time, const std::stop_token& stop) const;
};

/// The machine's own clock.
const Clock& system_clock();

/// "2026-11-01T08:00:00.123Z".
std::string to_iso8601(WallTime time);

/// Milliseconds since 1970-01-01T00:00:00Z.
inline std::int64_t to_epoch_ms(WallTime time) { return time.time_since_epoch().count(); }
inline WallTime from_epoch_ms(std::int64_t ms) { return WallTime{Milliseconds{ms}}; }

}  // namespace sluice
