#pragma once
// The daemon's door: HTTP/1.1 on a TCP address and on a Unix socket, both answered by one Router.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/control/router.hpp"

namespace sluice::control {

/// What one client can take from the daemon at most.
struct Limits {
    std::uint32_t header_bytes_max = 16U << 10;  ///< request line and headers; more is a 431
    std::uint64_t body_bytes_max = 1U << 20;     ///< more is a 413
    std::size_t connections_max = 64;            ///< per listener; further ones get a 503
    Milliseconds read_timeout{10'000};   ///< for a whole request, from its first byte; from connecting
    Milliseconds idle_timeout{60'000};   ///< between two requests of one connection
    Milliseconds write_timeout{30'000};  ///< for a whole response
};

/// Runs on a strand of the executor it is given; handlers run there too. The methods are called from
/// one thread at a time, listen_…() before stop(). The io_context, and what handlers refer to, must outlive the server's run.
class Server {
 public:
    Server(const boost::asio::any_io_executor& executor, Router router, Limits limits = {});
    /// Without stop() before it: only when the io_context does not run any more.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// `address`     numeric, with port: "127.0.0.1:8083", "[::1]:8083"; port 0 takes a free one.
    /// `host_names`  names this machine may be called by beside loopback, its host name and `address`
    ///               (see HostGuard).
    /// Errors: `configuration` for a malformed address or a privileged port, `unavailable` (retriable)
    ///         when the port is taken or no interface has the address. Each says what to do.
    Result<void> listen_tcp(std::string_view address, std::vector<std::string> host_names = {});

    /// A socket at `path` with mode 0660, given to `group` where that exists. A file left over by a
    /// killed daemon is replaced; the file is removed at stop.
    /// Errors: `locked` when somebody answers there, `configuration` for a path that is too long or
    ///         not a socket, `storage` when the directory is missing or not writable.
    Result<void> listen_unix(const std::filesystem::path& path, const std::string& group = "sluice");

    /// The port of the last TCP listener; 0 without one.
    [[nodiscard]] std::uint16_t tcp_port() const noexcept;

    /// Accepts nobody any more, removes the socket file, closes idle connections at once and the
    /// others after their response; what is still open after `grace` is cut. Handlers are never
    /// cancelled: one that runs longer ends later, its response unsent. Calling it twice is harmless.
    boost::asio::awaitable<void> stop(Milliseconds grace);

 private:
    struct State;
    std::shared_ptr<State> state_;  ///< with the connections, which may end after the server
};

}  // namespace sluice::control
