#include "daemon/sinktest/process.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "daemon/base/text.hpp"

namespace sluice::sinktest {
namespace {

bool receive_exactly(int socket, char* data, std::size_t size) {
    while (size > 0) {
        const ssize_t got = ::recv(socket, data, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        data += got;
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

/// "crashed with SIGSEGV (Segmentation fault)", "ended with exit code 3".
std::string how_it_ended(int status) {
    if (!WIFSIGNALED(status)) return "ended its process with exit code " + std::to_string(WEXITSTATUS(status));
    const char* const name = ::sigabbrev_np(WTERMSIG(status));
    return std::string("crashed with SIG") + (name != nullptr ? name : "?") + " (" +
           ::strsignal(WTERMSIG(status)) + ")";
}

}  // namespace

bool receive(int socket, std::string& text) {
    std::uint64_t size = 0;
    if (!receive_exactly(socket, reinterpret_cast<char*>(&size), sizeof size)) return false;
    text.resize(size);
    return receive_exactly(socket, text.data(), size);
}

bool send(int socket, std::string_view text) {
    const std::uint64_t size = text.size();
    std::string message(reinterpret_cast<const char*>(&size), sizeof size);
    message += text;
    std::string_view rest = message;
    while (!rest.empty()) {
        const ssize_t sent = ::send(socket, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

Result<Process> Process::start(const std::function<void(int socket)>& serve) {
    int sockets[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
        return Error{ErrorCode::failed, std::string("no socket for the sink's process: ") + std::strerror(errno)};
    }
    const pid_t pid = ::fork();
    if (pid < 0) {
        ::close(sockets[0]);
        ::close(sockets[1]);
        return Error{ErrorCode::failed, std::string("no process for the sink: ") + std::strerror(errno)};
    }
    if (pid == 0) {
        ::close(sockets[0]);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // nobody is left to kill it
        serve(sockets[1]);
        ::_exit(0);  // what the kit has not yet written is the kit's to write
    }
    ::close(sockets[1]);
    return Process(pid, sockets[0]);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), socket_(std::exchange(other.socket_, -1)) {}

Process& Process::operator=(Process&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(socket_, other.socket_);
    return *this;
}

Process::~Process() {
    kill();
    if (socket_ >= 0) ::close(socket_);
}

Result<Answer> Process::call(const Request& request, Milliseconds timeout) {
    send(request);
    pollfd ready{socket_, POLLIN, 0};
    int count = 0;
    do {
        count = ::poll(&ready, 1, static_cast<int>(timeout.count()));
    } while (count < 0 && errno == EINTR);
    if (count == 0) {
        kill();
        return Error{ErrorCode::fatal, "did not return within " + format_duration(timeout) + ", and was killed"};
    }
    std::string text;
    if (receive(socket_, text)) return decoded_answer(text);
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return Error{ErrorCode::fatal, how_it_ended(status)};
}

void Process::send(const Request& request) const {
    (void)sinktest::send(socket_, encoded(request));  // a process that died is found by the answer
}

void Process::kill() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
}

}  // namespace sluice::sinktest
