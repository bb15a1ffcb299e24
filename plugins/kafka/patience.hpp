#pragma once
// A wait that ends, and ends earlier once the daemon is being stopped.

#include <algorithm>
#include <chrono>

#include "sluice/sink.hpp"

namespace sluice::plugins::kafka {

class Patience {
 public:
    /// `slice` bounds one call of librdkafka, after which to ask is_over().
    Patience(Host host, std::chrono::milliseconds limit,
             std::chrono::milliseconds slice = std::chrono::seconds(1))
        : host_(host), end_(Clock::now() + limit), slice_(slice) {}

    [[nodiscard]] bool is_over() {
        if (!is_stopping_ && host_.stopping()) {
            is_stopping_ = true;
            // The stop may be as old as the slice that has just ended.
            end_ = std::min(end_, Clock::now() + stop_limit - slice_);
        }
        return Clock::now() >= end_;
    }
    [[nodiscard]] int slice_ms() const {
        using std::chrono::milliseconds;
        const auto left = std::chrono::duration_cast<milliseconds>(end_ - Clock::now());
        return static_cast<int>(std::clamp(left, milliseconds(1), slice_).count());
    }

    /// The host leaves 10 s after it was told to; also the longest slice.
    static constexpr std::chrono::milliseconds stop_limit = std::chrono::seconds(8);

 private:
    using Clock = std::chrono::steady_clock;
    Host host_;
    Clock::time_point end_;
    std::chrono::milliseconds slice_;
    bool is_stopping_ = false;
};

}  // namespace sluice::plugins::kafka
