#pragma once
// A wait that ends, and ends earlier once the daemon is being stopped.

#include <algorithm>
#include <chrono>

#include "sluice/sink.hpp"

namespace sluice::plugins::kafka {

class Patience {
 public:
    Patience(Host host, std::chrono::milliseconds limit)
        : host_(host), end_(Clock::now() + limit) {}

    [[nodiscard]] bool is_over() {
        if (!is_stopping_ && host_.stopping()) {
            is_stopping_ = true;
            end_ = std::min(end_, Clock::now() + stop_limit);
        }
        return Clock::now() >= end_;
    }
    /// For one call of librdkafka, after which to ask is_over() again.
    [[nodiscard]] int slice_ms(std::chrono::milliseconds most = std::chrono::seconds(1)) const {
        using std::chrono::milliseconds;
        const auto left = std::chrono::duration_cast<milliseconds>(end_ - Clock::now());
        return static_cast<int>(std::clamp(left, milliseconds(1), most).count());
    }

    /// The host leaves 10 s after it was told to.
    static constexpr std::chrono::milliseconds stop_limit = std::chrono::seconds(8);

 private:
    using Clock = std::chrono::steady_clock;
    Host host_;
    Clock::time_point end_;
    bool is_stopping_ = false;
};

}  // namespace sluice::plugins::kafka
