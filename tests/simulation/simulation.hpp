#pragma once
// One seed, from its first start to the end: a pipeline over a simulated world, process after process,
// until the faults stop and it has caught up.

#include <cstdint>
#include <optional>
#include <string>

namespace sluice::simulation {

struct Outcome {
    std::optional<std::string> violation;
    std::string trace;
    std::uint64_t effects = 0;
    std::uint64_t crashes = 0;
    std::uint64_t processes = 0;
    std::uint64_t batches = 0;
    std::uint64_t recovered = 0;
    std::uint64_t records = 0;
    std::uint64_t lost = 0;
    std::uint64_t moves = 0;
    std::uint64_t refused = 0;
};

/// Never throws; depends on nothing but `seed`. `print` shows the trace as it grows.
Outcome simulate(std::uint64_t seed, bool print = false);

}  // namespace sluice::simulation
