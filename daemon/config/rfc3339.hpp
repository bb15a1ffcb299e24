#pragma once
// Points in time as people write them.

#include <optional>
#include <string_view>

#include "daemon/base/clock.hpp"

namespace sluice::config {

/// "2026-11-01T08:00:00Z", "2026-11-01T09:00:00.250+01:00": RFC 3339, the zone required, digits below
/// a millisecond dropped. nullopt for anything else, also for days that do not exist.
std::optional<WallTime> parse_rfc3339(std::string_view text);

}  // namespace sluice::config
