#include "plugins/stdout/output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <ctime>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

namespace sluice::plugins {
namespace {

constexpr int poll_timeout_ms = 100;
constexpr std::chrono::milliseconds turn_interval{1};

/// What is known about the one standard output of the process.
struct Terminal {
    std::mutex mutex;       ///< held by the sink that writes, also while it waits for the reader
    bool mid_line = false;  ///< the last byte written was not a line's end; guarded by `mutex`
    std::atomic<const Output*> owner{
        nullptr};  ///< whose line that is; nullptr: nobody will finish it
};
Terminal& terminal() {
    static Terminal instance;
    return instance;
}

/// Holds SIGPIPE off this thread: a reader that is gone is an error, not the end of the daemon.
class SigpipeBlocked {
 public:
    SigpipeBlocked() noexcept {
        sigemptyset(&sigpipe_);
        sigaddset(&sigpipe_, SIGPIPE);
        sigset_t pending;
        sigemptyset(&pending);
        sigpending(&pending);
        was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        if (!was_pending_) pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
    }
    ~SigpipeBlocked() {
        if (was_pending_) return;
        const timespec now{};
        while (sigtimedwait(&sigpipe_, nullptr, &now) < 0 && errno == EINTR) {
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    SigpipeBlocked(const SigpipeBlocked&) = delete;
    SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;

 private:
    sigset_t sigpipe_;
    sigset_t before_;
    bool was_pending_ = false;
};

[[noreturn]] void fail(int error_number) {
    const std::string text = std::generic_category().message(error_number);
    switch (error_number) {
        case EPIPE:
            throw std::runtime_error("the reader of standard output is gone (" + text +
                                     "): start it again, and the daemon with it");
        case ENOSPC:
        case EDQUOT:
            throw Retry("standard output: " + text + ": make room where it is redirected to");
        default:
            throw std::runtime_error("standard output cannot be written: " + text);
    }
}

/// How much one write(2) may take. Where a reader can keep the writer waiting, only what poll()
/// promises to go in at once, so that a stop is noticed.
std::size_t write_bytes_max() {
    struct stat status {};
    const bool is_file = fstat(STDOUT_FILENO, &status) == 0 && S_ISREG(status.st_mode);
    return is_file ? SSIZE_MAX : PIPE_BUF;
}

void wait_writable(Host host) {
    pollfd target{STDOUT_FILENO, POLLOUT, 0};
    while (true) {
        const int ready = poll(&target, 1, poll_timeout_ms);
        if (ready > 0) return;  // also on an error, which write() then tells
        if (ready < 0 && errno != EINTR) fail(errno);
        if (host.stopping())
            throw Retry("stopped while standard output was waiting for its reader");
    }
}

/// Takes its turn, unless the pipeline is stopped first.
std::unique_lock<std::mutex> wait_turn(Terminal& out, Host host) {
    std::unique_lock lock(out.mutex, std::try_to_lock);
    while (!lock.owns_lock()) {
        if (host.stopping())
            throw Retry("stopped while another pipeline was writing to standard output");
        std::this_thread::sleep_for(turn_interval);
        (void)lock.try_lock();
    }
    return lock;
}

/// Writes from the front of `text` and takes off what was written, also when it throws.
void write_all(Terminal& out, std::string_view& text, Host host) {
    const SigpipeBlocked blocked;
    const std::size_t bytes_max = write_bytes_max();
    while (!text.empty()) {
        wait_writable(host);
        const ssize_t written =
            ::write(STDOUT_FILENO, text.data(), std::min(text.size(), bytes_max));
        if (written < 0) {
            if (errno == EINTR || errno == EAGAIN) continue;
            fail(errno);
        }
        if (written == 0) continue;
        const auto taken = static_cast<std::size_t>(written);
        out.mid_line = text[taken - 1] != '\n';
        text.remove_prefix(taken);
    }
}

}  // namespace

Output::Output() {
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0) {
        throw std::runtime_error(
            "the daemon has no standard output: start it without closing it, "
            "or use the file sink");
    }
}

Output::~Output() {
    drop();
}

void Output::flush(Host host) {
    if (lines_.empty()) return;
    Terminal& out = terminal();
    const auto lock = wait_turn(out, host);
    if (out.mid_line && out.owner != this) {
        std::string_view line_end = "\n";
        write_all(out, line_end, host);
    }
    out.owner = this;
    std::string_view rest = lines_;
    try {
        write_all(out, rest, host);
    } catch (...) {
        lines_.erase(0, lines_.size() - rest.size());
        throw;
    }
    lines_.clear();
}

void Output::drop() noexcept {
    lines_.clear();
    const Output* self = this;
    terminal().owner.compare_exchange_strong(self, nullptr);
}

}  // namespace sluice::plugins
