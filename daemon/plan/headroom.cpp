#include "daemon/plan/headroom.hpp"

#include <algorithm>
#include <charconv>

namespace sluice::plan {

std::optional<Milliseconds> time_retention(std::string_view cleanup_policy,
                                           std::string_view retention_ms) {
    if (cleanup_policy.find("delete") == std::string_view::npos) return std::nullopt;
    std::int64_t value = -1;
    const char* const end = retention_ms.data() + retention_ms.size();
    const auto [stopped, error] = std::from_chars(retention_ms.data(), end, value);
    if (error != std::errc{} || stopped != end || value < 0) return std::nullopt;
    // Longer than since 1970 is for ever, and would not fit the arithmetic.
    constexpr std::int64_t for_ever = 1'000'000LL * 24 * 3600 * 1000;
    if (value > for_ever) return std::nullopt;
    return Milliseconds{value};
}

WrittenAt unknown_age(WallTime now, Milliseconds retention) {
    const std::int64_t now_ms = to_epoch_ms(now);
    return {std::max<std::int64_t>(0, now_ms - retention.count()) - 1, now_ms};
}

std::optional<std::int64_t> next_question(const WrittenAt& known, Milliseconds retention) {
    const std::int64_t width = known.until_ms - known.from_ms;
    if (width <= std::max<std::int64_t>(1000, retention.count() / 256)) return std::nullopt;
    return known.from_ms + width / 2;
}

WrittenAt narrowed(const WrittenAt& known, std::int64_t asked_ms, std::optional<std::int64_t> answer,
                   std::int64_t position) {
    WrittenAt next = known;
    if (answer && *answer <= position) {
        next.from_ms = std::max(known.from_ms, asked_ms);
    } else {
        next.until_ms = std::min(known.until_ms, asked_ms);
    }
    return next;
}

Milliseconds headroom(const WrittenAt& known, Milliseconds retention, WallTime now) {
    const std::int64_t left = known.from_ms + retention.count() - to_epoch_ms(now);
    return Milliseconds{std::max<std::int64_t>(0, left)};
}

}  // namespace sluice::plan
