#include "tests/simulation/schedule.hpp"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sluice::simulation {

/// Over a timer that never ends by itself: only ended by being cancelled.
class SimulatedAlarm final : public pipeline::Alarm {
 public:
    SimulatedAlarm(World& world, Deadlines& deadlines, const asio::any_io_executor& executor)
        : world_(world), deadlines_(deadlines), timer_(executor) {}
    ~SimulatedAlarm() override { deadlines_.remove(this); }

    asio::awaitable<void> wait(Milliseconds time) override {
        world_.still_alive();
        timer_.expires_at(asio::steady_timer::time_point::max());
        deadlines_.add(this, time == never ? never : world_.clock.now() + std::max(time, Milliseconds{0}));
        boost::system::error_code cancelled;
        co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
        deadlines_.remove(this);
        world_.still_alive();
    }
    void wake() override { timer_.cancel(); }

 private:
    World& world_;
    Deadlines& deadlines_;
    asio::steady_timer timer_;
};

void Deadlines::add(SimulatedAlarm* alarm, Milliseconds at) { waiting_.emplace_back(at, alarm); }

void Deadlines::remove(SimulatedAlarm* alarm) {
    std::erase_if(waiting_, [alarm](const auto& entry) { return entry.second == alarm; });
}

std::optional<Milliseconds> Deadlines::next() const {
    std::optional<Milliseconds> next;
    for (const auto& [at, alarm] : waiting_) {
        if (at != pipeline::Alarm::never && (!next || at < *next)) next = at;
    }
    return next;
}

bool Deadlines::fire(Milliseconds now) {
    bool fired = false;
    for (const auto& [at, alarm] : waiting_) {
        if (at > now) continue;
        alarm->wake();
        fired = true;
    }
    return fired;
}

void Deadlines::fire_all() {
    for (const auto& [at, alarm] : waiting_) alarm->wake();
}

std::unique_ptr<pipeline::Alarm> make_alarm(World& world, Deadlines& deadlines,
                                            const asio::any_io_executor& executor) {
    return std::make_unique<SimulatedAlarm>(world, deadlines, executor);
}

}  // namespace sluice::simulation
