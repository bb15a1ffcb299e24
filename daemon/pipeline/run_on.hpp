#pragma once
// Coroutine glue: blocking work goes to a pool, the coroutine waits on its strand.
// Included by .cpp files only.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace sluice::pipeline {

namespace asio = boost::asio;

/// Runs `work` (which blocks, and answers a Result) on `pool`; resumes where it was called.
template <class Work>
asio::awaitable<std::invoke_result_t<Work>> run_on(asio::any_io_executor pool, Work work) {
    std::optional<std::invoke_result_t<Work>> value;  // Result<T> has no default constructor
    co_await asio::co_spawn(
        pool,
        [&]() -> asio::awaitable<void> {
            value.emplace(work());
            co_return;
        },
        asio::use_awaitable);
    co_return std::move(*value);
}

/// Runs the tasks side by side on the caller's executor, and returns when all have ended. Tasks report
/// through what they refer to; an exception in one (bad_alloc) is thrown again here.
inline asio::awaitable<void> run_all(std::vector<asio::awaitable<void>> tasks) {
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer all_done(executor, asio::steady_timer::time_point::max());
    std::size_t left = tasks.size();
    std::exception_ptr failure;
    for (auto& task : tasks) {
        asio::co_spawn(executor, std::move(task), [&](std::exception_ptr thrown) {
            if (thrown && !failure) failure = thrown;
            if (--left == 0) all_done.cancel();
        });
    }
    while (left > 0) {
        boost::system::error_code cancelled;
        co_await all_done.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace sluice::pipeline
