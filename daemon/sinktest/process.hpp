#pragma once
// A process of its own for the sink, so that its crash and a kill -9 are real. Internal to the module.

#include <sys/types.h>

#include <functional>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/sinktest/wire.hpp"

namespace sluice::sinktest {

/// Forked from this one, which must have no other thread then. Asked one thing at a time. Killed (and
/// waited for) when destroyed. Confined to one thread.
class Process {
 public:
    /// `serve` runs in the new process with its end of the socket; the process ends when it returns.
    static Result<Process> start(const std::function<void(int socket)>& serve);
    Process(Process&& other) noexcept;
    Process& operator=(Process&& other) noexcept;
    ~Process();

    /// Errors: `fatal` when the process died or did not answer in time (then it is killed), with what
    /// it was doing.
    Result<Answer> call(const Request& request, Milliseconds timeout);
    /// Asks, and does not wait for the answer.
    void send(const Request& request) const;
    void kill();

 private:
    Process(pid_t pid, int socket) : pid_(pid), socket_(socket) {}

    pid_t pid_ = -1;
    int socket_ = -1;
};

/// The other end. False, nothing, once the kit is gone.
bool receive(int socket, std::string& text);
bool send(int socket, std::string_view text);

}  // namespace sluice::sinktest
