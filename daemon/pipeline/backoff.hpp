#pragma once

#include <algorithm>
#include <cstdint>

#include "daemon/base/clock.hpp"

namespace sluice::pipeline {

/// How long to wait before attempt `attempt` (from 1): 300 ms doubling up to `delay_max`, as Kafka
/// Connect does, less up to half of it at random so that many pipelines do not knock together.
/// `random` is uniform over all 32-bit values. Pure.
inline Milliseconds backoff(int attempt, Milliseconds delay_max, std::uint32_t random) {
    const std::int64_t full =
        std::min<std::int64_t>(300LL << std::clamp(attempt - 1, 0, 30), delay_max.count());
    const std::int64_t off = static_cast<std::int64_t>((static_cast<std::uint64_t>(full) / 2 * random) >> 32);
    return Milliseconds{full - off};
}

}  // namespace sluice::pipeline
