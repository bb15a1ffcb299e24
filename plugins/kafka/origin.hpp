#pragma once
// Where a record comes from, through librdkafka and back: the opaque pointer of its message. Pure.

#include <cstdint>

namespace sluice::plugins::kafka {

/// The record `distance` offsets after the start of range `range_index` of the batch.
struct Origin {
    std::uint32_t range_index = 0;
    std::uint64_t distance = 0;
    bool operator==(const Origin&) const = default;
};

inline constexpr unsigned distance_bits = 40;
inline constexpr std::uint64_t distance_max = (std::uint64_t{1} << distance_bits) - 1;
inline constexpr std::uint32_t range_index_max = (1U << (64 - distance_bits)) - 1;

inline void* pack(const Origin& origin) {
    return reinterpret_cast<void*>(std::uintptr_t{origin.range_index} << distance_bits |
                                   origin.distance);
}
inline Origin unpack(const void* opaque) {
    const auto bits = reinterpret_cast<std::uintptr_t>(opaque);
    return {static_cast<std::uint32_t>(bits >> distance_bits), bits & distance_max};
}
static_assert(sizeof(void*) == 8, "an opaque pointer has room for both numbers");

}  // namespace sluice::plugins::kafka
