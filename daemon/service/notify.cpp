#include "daemon/service/notify.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "daemon/base/log.hpp"
#include "daemon/base/text.hpp"

namespace sluice::service {
namespace {

using std::chrono::microseconds;

std::string take_from_environment(const char* name) {
    const char* const value = std::getenv(name);
    std::string taken = value == nullptr ? "" : value;
    ::unsetenv(name);
    return taken;
}

Error notify_error(const std::string& socket, const std::string& why) {
    return {ErrorCode::failed, "can't tell the service manager at " + socket + ": " + why};
}

std::string one_line(std::string_view text) {
    std::string line(text);
    for (char& c : line) {
        if (c == '\n' || c == '\r') c = ' ';
    }
    return line;
}

std::string with_status(std::string lines, std::string_view status) {
    if (!status.empty()) lines += "\nSTATUS=" + one_line(status);
    return lines;
}

struct Descriptor {
    int fd = -1;
    explicit Descriptor(int the_fd) : fd(the_fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

}  // namespace

Notifier Notifier::from_environment() {
    const std::string socket = take_from_environment("NOTIFY_SOCKET");
    const auto timeout = parse_int64(take_from_environment("WATCHDOG_USEC"));
    const std::string pid = take_from_environment("WATCHDOG_PID");
    const bool is_meant = pid.empty() || parse_int64(pid) == ::getpid();
    if (!timeout || *timeout <= 0 || !is_meant) return Notifier(socket);
    return Notifier(socket, microseconds{*timeout});
}

Notifier::Notifier(std::string socket, std::optional<microseconds> watchdog_timeout)
    : socket_(std::move(socket)), watchdog_timeout_(watchdog_timeout) {}

void Notifier::ready(std::string_view status) const { tell(with_status("READY=1", status)); }

void Notifier::reloading() const {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const auto usec = static_cast<long long>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
    tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(usec));
}

void Notifier::stopping(std::string_view status) const { tell(with_status("STOPPING=1", status)); }
void Notifier::status(std::string_view text) const { tell("STATUS=" + one_line(text)); }
void Notifier::watchdog() const { tell("WATCHDOG=1"); }

void Notifier::extend_timeout(microseconds more) const {
    tell("EXTEND_TIMEOUT_USEC=" + std::to_string(more.count()));
}

void Notifier::main_pid(pid_t pid) const { tell("MAINPID=" + std::to_string(pid)); }

std::optional<microseconds> Notifier::watchdog_interval() const noexcept {
    if (!watchdog_timeout_) return std::nullopt;
    return *watchdog_timeout_ / 2;
}

Result<void> Notifier::send(std::string_view lines) const {
    if (!enabled()) return {};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const bool is_abstract = socket_.front() == '@';
    // A path needs its terminating NUL; an abstract name has a NUL in front instead.
    if ((!is_abstract && socket_.front() != '/') || socket_.size() < 2 ||
        socket_.size() + (is_abstract ? 0 : 1) > sizeof(address.sun_path)) {
        return notify_error(socket_, "NOTIFY_SOCKET is neither /path nor @name, or too long");
    }
    std::memcpy(address.sun_path, socket_.data(), socket_.size());
    if (is_abstract) address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size() +
                                               (is_abstract ? 0 : 1));

    const Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (socket.fd < 0) return notify_error(socket_, std::strerror(errno));
    // A manager that does not read must not hold the event loop.
    const timeval patience{1, 0};
    ::setsockopt(socket.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    ssize_t sent = -1;
    do {
        sent = ::sendto(socket.fd, lines.data(), lines.size(), MSG_NOSIGNAL,
                        reinterpret_cast<const sockaddr*>(&address), length);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) return notify_error(socket_, std::strerror(errno));
    return {};
}

void Notifier::tell(std::string_view lines) const {
    static std::atomic<bool> was_logged{false};
    const auto sent = send(lines);
    if (!sent && !was_logged.exchange(true)) {
        log::warning("service manager not notified", {{"error", sent.error().message}});
    }
}

}  // namespace sluice::service
