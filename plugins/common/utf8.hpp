#pragma once
// UTF-8, one sequence at a time, for scanners that look at each byte once.

#include <cstddef>
#include <cstdint>

namespace sluice::plugins {

/// Length of the valid UTF-8 sequence at `at` (< `end`); 0 when there is none: a stray or missing
/// continuation byte, an overlong form, a surrogate, a code point above U+10FFFF.
inline std::size_t utf8_sequence(const std::uint8_t* at, const std::uint8_t* end) noexcept {
    const std::size_t left = static_cast<std::size_t>(end - at);
    const auto continues = [&](std::size_t i) { return i < left && (at[i] & 0xC0) == 0x80; };
    const std::uint8_t lead = at[0];
    if (lead < 0x80) return 1;
    if (lead < 0xC2) return 0;
    if (lead < 0xE0) return continues(1) ? 2 : 0;
    if (lead < 0xF0) {
        if (!continues(1) || !continues(2)) return 0;
        if (lead == 0xE0 && at[1] < 0xA0) return 0;  // overlong
        if (lead == 0xED && at[1] > 0x9F) return 0;  // surrogate
        return 3;
    }
    if (lead < 0xF5) {
        if (!continues(1) || !continues(2) || !continues(3)) return 0;
        if (lead == 0xF0 && at[1] < 0x90) return 0;  // overlong
        if (lead == 0xF4 && at[1] > 0x8F) return 0;  // above U+10FFFF
        return 4;
    }
    return 0;
}

}  // namespace sluice::plugins
