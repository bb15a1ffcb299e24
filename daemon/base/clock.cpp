#include "daemon/base/clock.hpp"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>

namespace sluice {
namespace {

class SystemClock final : public Clock {
 public:
    WallTime wall() const override {
        return std::chrono::floor<Milliseconds>(std::chrono::system_clock::now());
    }
    SteadyTime steady() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace

bool Clock::wait(Milliseconds time, const std::stop_token& stop) const {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any never;
    (void)never.wait_for(lock, stop, time, [] { return false; });
    return !stop.stop_requested();
}

const Clock& system_clock() {
    static const SystemClock clock;
    return clock;
}

std::string to_iso8601(WallTime time) {
    const auto days = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{days};
    const std::chrono::hh_mm_ss of_day{time - days};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       of_day.hours().count(), of_day.minutes().count(), of_day.seconds().count(),
                       of_day.subseconds().count());
}

}  // namespace sluice
