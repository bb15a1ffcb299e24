#include "daemon/service/last_resort.hpp"

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "daemon/base/log.hpp"

namespace sluice::service {

void LastResort::arm(std::chrono::milliseconds after, std::function<std::string()> who) {
    thread_ = std::jthread([after, who = std::move(who)](const std::stop_token& disarmed) {
        std::mutex mutex;
        std::condition_variable_any never;
        std::unique_lock lock(mutex);
        (void)never.wait_for(lock, disarmed, after, [] { return false; });
        if (disarmed.stop_requested()) return;
        log::error("leaving without what does not come back: its batch is run again at the next start",
                   {{"waits_for", who()}});
        std::_Exit(1);
    });
}

}  // namespace sluice::service
