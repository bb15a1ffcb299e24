#pragma once
// What the service manager is told: sd_notify(3)'s protocol, datagrams to $NOTIFY_SOCKET. Spoken here
// rather than through libsystemd, so that it is there and tested in every build.

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"

namespace sluice::service {

/// Safe for concurrent calls. Without a service manager every call does nothing. A message that can't
/// be delivered within a second is dropped, and the first such is logged: the daemon goes on.
class Notifier {
 public:
    /// From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, which it takes out of the environment: child
    /// processes must not speak for the daemon. Call it once, before the first thread starts.
    static Notifier from_environment();

    /// `socket`           "" (nobody listens), "/path" or "@abstract".
    /// `watchdog_timeout` how long the manager waits for a sign of life; nullopt = no watchdog.
    explicit Notifier(std::string socket,
                      std::optional<std::chrono::microseconds> watchdog_timeout = std::nullopt);

    [[nodiscard]] bool enabled() const noexcept { return !socket_.empty(); }

    /// READY=1: configuration, plugins, checkpoints and ports are good; or a reload has ended.
    void ready(std::string_view status = {}) const;
    /// RELOADING=1 with the time, as Type=notify-reload wants it; ready() follows.
    void reloading() const;
    void stopping(std::string_view status = {}) const;
    /// One line for `systemctl status`; line breaks become spaces.
    void status(std::string_view text) const;
    /// A sign of life; due every watchdog_interval().
    void watchdog() const;
    /// Asks for this much more time from now on: while starting, stopping or reloading takes long.
    void extend_timeout(std::chrono::microseconds more) const;
    void main_pid(pid_t pid) const;

    /// Half of the watchdog's timeout; nullopt when none is set, or it is meant for another process.
    [[nodiscard]] std::optional<std::chrono::microseconds> watchdog_interval() const noexcept;

    /// Sends these lines as they are. Errors: `failed`, with the socket and the reason.
    [[nodiscard]] Result<void> send(std::string_view lines) const;

 private:
    void tell(std::string_view lines) const;

    std::string socket_;
    std::optional<std::chrono::microseconds> watchdog_timeout_;
};

}  // namespace sluice::service
