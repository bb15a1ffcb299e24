#include "daemon/config/rfc3339.hpp"

#include <chrono>

namespace sluice::config {
namespace {

/// Takes exactly `digits` digits off the front of `text`; -1 when they are not there.
int take_number(std::string_view& text, std::size_t digits) {
    if (text.size() < digits) return -1;
    int number = 0;
    for (const char c : text.substr(0, digits)) {
        if (c < '0' || c > '9') return -1;
        number = number * 10 + (c - '0');
    }
    text.remove_prefix(digits);
    return number;
}

bool take(std::string_view& text, std::string_view one_of) {
    if (text.empty() || one_of.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

/// Takes ".123…" off the front, as milliseconds; -1 when a point has no digit behind it.
int take_fraction(std::string_view& text) {
    if (!take(text, ".")) return 0;
    int milliseconds = 0;
    int weight = 100;
    bool any = false;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
        milliseconds += (text.front() - '0') * weight;
        weight /= 10;
        any = true;
        text.remove_prefix(1);
    }
    return any ? milliseconds : -1;
}

/// Takes the zone off the front, as minutes east of UTC.
std::optional<int> take_zone(std::string_view& text) {
    if (take(text, "Zz")) return 0;
    const bool is_west = text.starts_with('-');
    if (!take(text, "+-")) return std::nullopt;
    const int hours = take_number(text, 2);
    if (hours < 0 || hours > 23 || !take(text, ":")) return std::nullopt;
    const int minutes = take_number(text, 2);
    if (minutes < 0 || minutes > 59) return std::nullopt;
    return (hours * 60 + minutes) * (is_west ? -1 : 1);
}

}  // namespace

std::optional<WallTime> parse_rfc3339(std::string_view text) {
    using namespace std::chrono;
    const int year_number = take_number(text, 4);
    if (year_number < 0 || !take(text, "-")) return std::nullopt;
    const int month_number = take_number(text, 2);
    if (month_number < 0 || !take(text, "-")) return std::nullopt;
    const int day_number = take_number(text, 2);
    if (day_number < 0 || !take(text, "Tt ")) return std::nullopt;
    const int hour_number = take_number(text, 2);
    if (hour_number < 0 || hour_number > 23 || !take(text, ":")) return std::nullopt;
    const int minute_number = take_number(text, 2);
    if (minute_number < 0 || minute_number > 59 || !take(text, ":")) return std::nullopt;
    const int second_number = take_number(text, 2);
    if (second_number < 0 || second_number > 60) return std::nullopt;  // 60: a leap second
    const int fraction = take_fraction(text);
    if (fraction < 0) return std::nullopt;
    const auto zone = take_zone(text);
    if (!zone || !text.empty()) return std::nullopt;

    const year_month_day date{year{year_number}, month{static_cast<unsigned>(month_number)},
                              day{static_cast<unsigned>(day_number)}};
    if (!date.ok()) return std::nullopt;
    return WallTime{sys_days{date}} + hours{hour_number} + minutes{minute_number - *zone} +
           seconds{second_number} + Milliseconds{fraction};
}

}  // namespace sluice::config
