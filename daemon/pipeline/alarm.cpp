#include "daemon/pipeline/alarm.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sluice::pipeline {
namespace {

namespace asio = boost::asio;

class SteadyAlarm final : public Alarm {
 public:
    explicit SteadyAlarm(const asio::any_io_executor& executor) : timer_(executor) {}

    asio::awaitable<void> wait(Milliseconds time) override {
        if (time == never) {
            timer_.expires_at(asio::steady_timer::time_point::max());
        } else {
            timer_.expires_after(time);
        }
        boost::system::error_code cancelled;
        co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }

    void wake() override { timer_.cancel(); }

 private:
    asio::steady_timer timer_;
};

}  // namespace

std::unique_ptr<Alarm> make_steady_alarm(const asio::any_io_executor& executor) {
    return std::make_unique<SteadyAlarm>(executor);
}

}  // namespace sluice::pipeline
