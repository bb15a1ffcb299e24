#pragma once
// Random numbers that are the same on every machine: the distributions of <random> are not.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice::simulation {

/// splitmix64.
class Random {
 public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }
    /// Of [0, bound); 0 when the bound is 0.
    std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
    std::int64_t between(std::int64_t low, std::int64_t high) {
        return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low + 1)));
    }
    /// True `per_myriad` times of 10,000.
    bool chance(int per_myriad) {
        return per_myriad > 0 && below(10'000) < static_cast<std::uint64_t>(per_myriad);
    }
    bool coin() { return (next() & 1) != 0; }
    template <class T>
    const T& pick(const std::vector<T>& choices) {
        return choices[below(choices.size())];
    }

 private:
    std::uint64_t state_;
};

}  // namespace sluice::simulation
