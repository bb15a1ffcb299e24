#pragma once
// Small things done with text, each in one place.

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"

namespace sluice {

std::string upper(std::string_view text);

/// `text` as a JSON string, quotes included. Invalid UTF-8 bytes become U+FFFD.
std::string json_quoted(std::string_view text);

/// Length of the valid UTF-8 sequence at the start of `text`; 0 when there is none.
std::size_t utf8_sequence(std::string_view text) noexcept;
bool is_valid_utf8(std::string_view text) noexcept;

/// A whole decimal integer, sign allowed, nothing around it; nullopt on overflow too.
std::optional<std::int64_t> parse_int64(std::string_view text) noexcept;

/// "250ms", "5s", "10m", "2h", "31d": a whole number and its unit. Errors name what is accepted.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// "512", "64KiB", "512MiB", "1GiB", and "kB/MB/GB" in powers of ten. Errors name what is accepted.
Result<std::uint64_t> parse_size(std::string_view text);

/// The shortest exact form: 300000 ms is "5m", 1500 ms is "1500ms".
std::string format_duration(std::chrono::milliseconds duration);
/// For people: "512 B", "64.0 KiB", "1.5 GiB".
std::string format_size(std::uint64_t bytes);
/// For people: 1234567 is "1,234,567".
std::string format_count(std::int64_t count);

/// The candidate that `word` was most likely meant to be (few edits away), or nullopt.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace sluice
