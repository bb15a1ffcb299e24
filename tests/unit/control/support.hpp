#pragma once
// A running server, and a client that speaks bytes rather than HTTP.

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "daemon/control/server.hpp"

namespace sluice::control::test {

/// Waits for a condition, with a deadline.
inline bool eventually(const std::function<bool()>& holds,
                       std::chrono::milliseconds deadline = std::chrono::seconds{5}) {
    const auto until = std::chrono::steady_clock::now() + deadline;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    return true;
}

class TempDir {
 public:
    TempDir() {
        char name[] = "/tmp/sluice-control-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        path_ = name;
    }
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::filesystem::path file(const char* name) const { return path_ / name; }

 private:
    std::filesystem::path path_;
};

/// One connection; every wait has a deadline.
class Connection {
 public:
    static Connection tcp(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return Connection(AF_INET, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    }
    static Connection unix_socket(const std::filesystem::path& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
        return Connection(AF_UNIX, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    }
    Connection(Connection&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    ~Connection() {
        if (fd_ >= 0) ::close(fd_);
    }

    [[nodiscard]] bool connected() const { return fd_ >= 0; }

    /// False when the server closed meanwhile; what it said can still be read.
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    void shutdown_send() { ::shutdown(fd_, SHUT_WR); }

    /// Everything until `count` responses are complete, the server closes, or the deadline passes.
    std::string read_responses(int count) {
        while (responses_in(received_) < count && read_some()) {
        }
        return received_;
    }
    /// Everything until the server closes; "TIMEOUT" at the end when it does not.
    std::string read_all(std::chrono::milliseconds deadline = std::chrono::seconds{5}) {
        const auto until = std::chrono::steady_clock::now() + deadline;
        while (read_some()) {
        }
        if (std::chrono::steady_clock::now() > until) received_ += "TIMEOUT";
        return received_;
    }

    /// Responses with their bodies (Content-Length only), as far as they are complete.
    static int responses_in(std::string_view text) {
        int count = 0;
        while (true) {
            const std::size_t end = text.find("\r\n\r\n");
            if (end == std::string_view::npos) return count;
            const std::size_t at = text.find("Content-Length: ");
            std::size_t length = 0;
            if (at < end) length = std::stoul(std::string(text.substr(at + 16, 12)));
            if (text.size() < end + 4 + length) return count;
            text.remove_prefix(end + 4 + length);
            ++count;
        }
    }

 private:
    Connection(int family, const sockaddr* address, socklen_t size)
        : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        if (::connect(fd_, address, size) != 0) {
            ::close(fd_);
            fd_ = -1;
        }
    }

    bool read_some() {
        pollfd waiting{fd_, POLLIN, 0};
        if (::poll(&waiting, 1, 5000) <= 0) return false;
        char buffer[4096];
        const ssize_t count = ::recv(fd_, buffer, sizeof(buffer), 0);
        if (count <= 0) return false;
        received_.append(buffer, static_cast<std::size_t>(count));
        return true;
    }

    int fd_ = -1;
    std::string received_;
};

/// A server on loopback and on a Unix socket, its io_context run by two threads.
class Daemon {
 public:
    explicit Daemon(Router router, Limits limits = {})
        : server(io.get_executor(), std::move(router), limits), work_(io.get_executor()) {
        const auto tcp = server.listen_tcp("127.0.0.1:0", {"scrape.example"});
        REQUIRE_MESSAGE(tcp, tcp.error().message);
        const auto local = server.listen_unix(socket_path());
        REQUIRE_MESSAGE(local, local.error().message);
        for (auto& thread : threads_) {
            thread = std::thread([this] { io.run(); });
        }
    }
    ~Daemon() {
        stop();
        work_.reset();
        io.stop();
        for (auto& thread : threads_) thread.join();
    }

    void stop(Milliseconds grace = Milliseconds{2000}) {
        boost::asio::co_spawn(io, server.stop(grace), boost::asio::use_future).get();
    }
    [[nodiscard]] std::filesystem::path socket_path() const { return directory_.file("c.sock"); }
    [[nodiscard]] Connection tcp() const { return Connection::tcp(server.tcp_port()); }
    [[nodiscard]] Connection control() const { return Connection::unix_socket(socket_path()); }

    /// One request on a connection of its own: all that comes back.
    [[nodiscard]] std::string ask(std::string_view bytes) const {
        Connection connection = tcp();
        connection.send(bytes);
        return connection.read_responses(1);
    }

 private:
    TempDir directory_;

 public:
    boost::asio::io_context io;
    Server server;

 private:
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
    std::thread threads_[2];
};

inline std::string get(std::string_view target, std::string_view more_headers = {}) {
    return "GET " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" +
           std::string(more_headers) + "\r\n";
}

inline int status_of(std::string_view response) {
    return response.starts_with("HTTP/1.1 ") || response.starts_with("HTTP/1.0 ")
               ? std::stoi(std::string(response.substr(9, 3)))
               : 0;
}

inline std::string body_of(std::string_view response) {
    const std::size_t end = response.find("\r\n\r\n");
    return end == std::string_view::npos ? "" : std::string(response.substr(end + 4));
}

inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

}  // namespace sluice::control::test
