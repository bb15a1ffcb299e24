#include "daemon/base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>

namespace sluice {
namespace {

struct Unit {
    std::string_view name;
    std::int64_t factor;
};

constexpr Unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
constexpr Unit size_units[] = {{"KiB", 1LL << 10}, {"MiB", 1LL << 20},   {"GiB", 1LL << 30},
                               {"TiB", 1LL << 40}, {"kB", 1000},         {"MB", 1'000'000},
                               {"GB", 1'000'000'000}, {"B", 1},          {"", 1}};

/// Number and unit of "64MiB" multiplied; nullopt when the form, the unit or the product is wrong.
std::optional<std::int64_t> scaled(std::string_view text, std::span<const Unit> units) {
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = parse_int64(text.substr(0, digits));
    if (!number) return std::nullopt;
    for (const Unit& unit : units) {
        if (text.substr(digits) != unit.name) continue;
        if (*number > std::numeric_limits<std::int64_t>::max() / unit.factor) return std::nullopt;
        return *number * unit.factor;
    }
    return std::nullopt;
}

}  // namespace

std::size_t utf8_sequence(std::string_view text) noexcept {
    if (text.empty()) return 0;
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
    if (byte(0) < 0x80) return 1;
    if (byte(0) >= 0xC2 && byte(0) <= 0xDF) return continues(1) ? 2 : 0;
    if (byte(0) >= 0xE0 && byte(0) <= 0xEF) {
        if (!continues(1) || !continues(2)) return 0;
        if (byte(0) == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
        if (byte(0) == 0xED && byte(1) > 0x9F) return 0;  // surrogate
        return 3;
    }
    if (byte(0) >= 0xF0 && byte(0) <= 0xF4) {
        if (!continues(1) || !continues(2) || !continues(3)) return 0;
        if (byte(0) == 0xF0 && byte(1) < 0x90) return 0;  // overlong
        if (byte(0) == 0xF4 && byte(1) > 0x8F) return 0;  // above U+10FFFF
        return 4;
    }
    return 0;
}

std::string upper(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return result;
}

std::string json_quoted(std::string_view text) {
    std::string out = "\"";
    while (!text.empty()) {
        const char c = text.front();
        const std::size_t length = utf8_sequence(text);
        if (length == 0) {
            out += "\xEF\xBF\xBD";
        } else if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
            out += text.substr(0, length);
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out + '"';
}

bool is_valid_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const std::size_t length = utf8_sequence(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

std::optional<std::int64_t> parse_int64(std::string_view text) noexcept {
    std::int64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end) return std::nullopt;
    return value;
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
    if (const auto ms = scaled(text, duration_units)) return std::chrono::milliseconds{*ms};
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' is not a duration: write a whole number and its unit, "
                             "such as 250ms, 5s, 10m, 2h or 31d",
                             text)};
}

Result<std::uint64_t> parse_size(std::string_view text) {
    if (const auto bytes = scaled(text, size_units)) return static_cast<std::uint64_t>(*bytes);
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' is not a size: write a whole number and its unit, "
                             "such as 64KiB, 512MiB or 1GiB",
                             text)};
}

std::string format_duration(std::chrono::milliseconds duration) {
    const std::int64_t ms = duration.count();
    for (auto unit = std::rbegin(duration_units); unit != std::rend(duration_units); ++unit) {
        if (ms % unit->factor == 0 && (ms != 0 || unit->name == "s")) {
            return fmt::format("{}{}", ms / unit->factor, unit->name);
        }
    }
    return fmt::format("{}ms", ms);
}

std::string format_size(std::uint64_t bytes) {
    if (bytes < 1024) return fmt::format("{} B", bytes);
    double value = static_cast<double>(bytes);
    std::string_view unit;
    for (const std::string_view next : {"KiB", "MiB", "GiB", "TiB"}) {
        if (value < 1024) break;
        value /= 1024;
        unit = next;
    }
    return fmt::format("{:.1f} {}", value, unit);
}

std::string format_count(std::int64_t count) {
    std::string digits = std::to_string(count);
    const std::size_t first = count < 0 ? 1 : 0;
    for (std::size_t at = digits.size(); at > first + 3; at -= 3) digits.insert(at - 3, 1, ',');
    return digits;
}

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates) {
    const auto distance = [](std::string_view a, std::string_view b) {
        std::vector<std::size_t> row(b.size() + 1);
        std::iota(row.begin(), row.end(), std::size_t{0});
        for (std::size_t i = 0; i < a.size(); ++i) {
            std::size_t diagonal = row[0];
            row[0] = i + 1;
            for (std::size_t j = 0; j < b.size(); ++j) {
                const std::size_t above = row[j + 1];
                row[j + 1] = std::min({row[j] + 1, above + 1, diagonal + (a[i] == b[j] ? 0U : 1U)});
                diagonal = above;
            }
        }
        return row.back();
    };
    const std::string wanted = upper(word);
    std::optional<std::string> best;
    std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const std::string& candidate : candidates) {
        const std::size_t d = distance(wanted, upper(candidate));
        if (d < best_distance) {
            best_distance = d;
            best = candidate;
        }
    }
    return best;
}

}  // namespace sluice
