#include "daemon/plan/restart.hpp"

#include <algorithm>

namespace sluice::plan {
namespace {

bool can_pass(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::failed:
        case ErrorCode::not_found:
        case ErrorCode::unavailable:
        case ErrorCode::denied:
        case ErrorCode::out_of_range: return true;
        case ErrorCode::invalid_argument:
        case ErrorCode::exists:
        case ErrorCode::locked:
        case ErrorCode::storage:
        case ErrorCode::configuration:
        case ErrorCode::data_loss:
        case ErrorCode::stopping:
        case ErrorCode::fatal: return false;
    }
    return false;
}

}  // namespace

std::optional<Milliseconds> restart_after(ErrorCode code, int restarts, Milliseconds delay_max) noexcept {
    if (!can_pass(code) || delay_max <= Milliseconds{0}) return std::nullopt;
    constexpr std::int64_t n_max = 10'000;  // squares stay small; delay_max is reached long before
    const std::int64_t n = std::clamp<std::int64_t>(restarts, 0, n_max - 1) + 1;
    return std::min(Milliseconds{(n * n + n) * 60'000}, delay_max);
}

}  // namespace sluice::plan
