#pragma once
// How a pipeline waits: for a time to pass, or for somebody to want something. Simulated time in tests.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>

#include "daemon/base/clock.hpp"

namespace sluice::pipeline {

/// Confined to the executor it was made for.
class Alarm {
 public:
    static constexpr Milliseconds never = Milliseconds::max();

    virtual ~Alarm() = default;
    /// Ends after `time`, or at wake(); one wait at a time.
    virtual boost::asio::awaitable<void> wait(Milliseconds time) = 0;
    /// Ends the wait that is running; one that begins later does not notice.
    virtual void wake() = 0;
};

using AlarmFactory = std::function<std::unique_ptr<Alarm>(const boost::asio::any_io_executor&)>;

/// Over the steady clock.
std::unique_ptr<Alarm> make_steady_alarm(const boost::asio::any_io_executor& executor);

}  // namespace sluice::pipeline
