#pragma once
// The end of a process that a call keeps from ending: of a plugin, which nobody can interrupt.

#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace sluice::service {

/// Once armed, ends the process with 1 unless it is destroyed before. Nothing is lost by that: what was
/// written to the checkpoint is synced, and the batch under way is run again, as after a crash.
class LastResort {
 public:
    /// `who` tells for the log what is waited for; called on a thread of its own. Call once.
    void arm(std::chrono::milliseconds after, std::function<std::string()> who);

 private:
    std::jthread thread_;
};

}  // namespace sluice::service
