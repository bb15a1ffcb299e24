#pragma once
// Many objects whose destructors wait, destroyed at once.

#include <algorithm>
#include <cstddef>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace sluice::kafka {

/// Destroys them on up to `close_threads_max` threads, and returns when all are gone: a client is closed when its
/// own threads have ended, and to wait for many of them takes no longer than for one.
constexpr std::size_t close_threads_max = 16;

template <class T>
void close_together(std::list<std::unique_ptr<T>> objects) {
    const std::size_t thread_count = std::min(objects.size(), close_threads_max);
    std::mutex mutex;
    const auto close_next = [&] {
        std::unique_ptr<T> next;
        const std::lock_guard lock(mutex);
        if (!objects.empty()) {
            next = std::move(objects.front());
            objects.pop_front();
        }
        return next;  // destroyed by who asked, outside the lock
    };
    const auto close_all = [&] {
        while (close_next()) {
        }
    };
    std::vector<std::jthread> helpers;
    try {
        helpers.reserve(thread_count);
        while (helpers.size() + 1 < thread_count) helpers.emplace_back(close_all);
    } catch (const std::exception&) {
        // No more threads to be had: those that there are close the rest.
    }
    close_all();
}

}  // namespace sluice::kafka
