#pragma once
// Time as a cluster sees it pass, which goes on while this host sleeps: std::chrono::steady_clock (CLOCK_MONOTONIC)
// stands still meanwhile.

#include <chrono>
#include <ctime>

namespace sluice::plugins::kafka {

struct BootClock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<BootClock>;
    static constexpr bool is_steady = true;

    static time_point now() noexcept {
        std::timespec time{};
        (void)::clock_gettime(CLOCK_BOOTTIME, &time);
        return time_point(std::chrono::seconds(time.tv_sec) + duration(time.tv_nsec));
    }
};

}  // namespace sluice::plugins::kafka
