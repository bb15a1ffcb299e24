#pragma once
// Random numbers that are the same on every machine: the distributions of <random> are not.
// Internal to the module.

#include <cstdint>
#include <string_view>

namespace sluice::sinktest {

/// splitmix64's finalizer: as good as random for numbers that follow each other.
constexpr std::uint64_t mixed(std::uint64_t value) noexcept {
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
    return value ^ (value >> 31);
}

/// FNV-1a.
constexpr std::uint64_t hashed(std::string_view text) noexcept {
    std::uint64_t hash = 0xCBF29CE484222325ULL;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    return hash;
}

class Random {
 public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() { return mixed(state_ += 0x9E3779B97F4A7C15ULL); }
    /// Of [0, bound); 0 when the bound is 0.
    std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
    /// Both included.
    std::int64_t between(std::int64_t low, std::int64_t high) {
        return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low + 1)));
    }
    bool coin() { return (next() & 1) != 0; }

 private:
    std::uint64_t state_;
};

}  // namespace sluice::sinktest
