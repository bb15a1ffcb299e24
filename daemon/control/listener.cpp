#include "daemon/control/listener.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/socket_base.hpp>
#include <cerrno>

#include "daemon/base/log.hpp"
#include "daemon/base/text.hpp"

namespace sluice::control {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

Error bind_error(const asio::ip::tcp::endpoint& endpoint, const error_code& why) {
    const std::string what = "can't listen on " + to_string(endpoint) + ": " + why.message();
    if (why == asio::error::address_in_use) {
        return {ErrorCode::unavailable,
                what + ". Another process has this port (ss -ltnp shows which): stop it, or set "
                       "http.listen to another port",
                true};
    }
    if (why == asio::error::access_denied) {
        return {ErrorCode::configuration,
                what + ". Ports below 1024 need privileges that sluiced does not want: set "
                       "http.listen to a higher port"};
    }
    if (why == error_code(EADDRNOTAVAIL, boost::system::system_category())) {
        return {ErrorCode::unavailable,
                what + ". No interface has this address now: set http.listen to one that "
                       "'ip address' shows, or to 127.0.0.1",
                true};
    }
    return {ErrorCode::failed, what + ". Check http.listen"};
}

Error socket_error(const std::filesystem::path& path, const error_code& why) {
    const std::string what =
        "can't open the control socket " + path.string() + ": " + why.message();
    return {ErrorCode::storage,
            what + ". Its directory must exist and be writable for sluiced (under systemd: "
                   "RuntimeDirectory=sluice)"};
}

/// Removes the socket file of a daemon that is gone; an error when it is not that.
Result<void> remove_stale(const asio::any_io_executor& executor, const std::filesystem::path& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return {};
    if (!S_ISSOCK(status.st_mode)) {
        return Error{ErrorCode::configuration,
                     "can't open the control socket " + path.string() +
                         ": there is a file that is not a socket. Move it away, or set another path"};
    }
    asio::local::stream_protocol::socket probe(executor);
    error_code failed;
    probe.open(asio::local::stream_protocol(), failed);
    // A full backlog must not block the start: whoever fills it is alive.
    if (!failed) probe.non_blocking(true, failed);
    if (!failed) probe.connect(asio::local::stream_protocol::endpoint(path.string()), failed);
    if (failed == asio::error::connection_refused) {
        if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
            return socket_error(path, error_code(errno, boost::system::system_category()));
        }
        log::info("stale control socket replaced", {{"path", path.string()}});
        return {};
    }
    if (failed && failed != asio::error::would_block && failed != asio::error::try_again) {
        return socket_error(path, failed);
    }
    return Error{ErrorCode::locked, "a daemon already answers at the control socket " +
                                        path.string() +
                                        ": stop it first, or set another path for this one"};
}

/// Lets the members of `group` use the socket. Not being able to is no reason not to start: the owner
/// and root still can, and under systemd the file has the right group from birth.
void give_to_group(const std::filesystem::path& path, const std::string& group) {
    std::array<char, 4096> buffer{};
    struct ::group entry {};
    struct ::group* found = nullptr;
    if (::getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0) return;
    if (found == nullptr) return;
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && status.st_gid == found->gr_gid) return;
    if (::chown(path.c_str(), static_cast<uid_t>(-1), found->gr_gid) != 0) {
        log::warning("control socket not given to its group",
                     {{"path", path.string()}, {"group", group}, {"uid", ::geteuid()}});
    }
}

}  // namespace

std::string to_string(const asio::ip::tcp::endpoint& endpoint) {
    std::string text = endpoint.address().to_string();
    if (endpoint.address().is_v6()) text = '[' + text + ']';
    return text + ':' + std::to_string(endpoint.port());
}

Result<asio::ip::tcp::endpoint> parse_tcp_address(std::string_view address) {
    const auto refused = [&] {
        return Error{ErrorCode::configuration,
                     "http.listen: '" + std::string(address) +
                         "' is not a numeric address and a port: write 127.0.0.1:8083, [::1]:8083 "
                         "or 0.0.0.0:8083 (names are not resolved)"};
    };
    const std::size_t colon = address.rfind(':');
    if (colon == std::string_view::npos) return refused();
    std::string_view host = address.substr(0, colon);
    const auto port = parse_int64(address.substr(colon + 1));
    if (!port || *port < 0 || *port > 65535) return refused();

    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    error_code failed;
    const auto parsed = asio::ip::make_address(std::string(host), failed);
    if (failed || parsed.is_v6() != bracketed) return refused();
    return asio::ip::tcp::endpoint(parsed, static_cast<std::uint16_t>(*port));
}

Result<Acceptor> open_tcp(const asio::any_io_executor& executor,
                          const asio::ip::tcp::endpoint& endpoint) {
    Acceptor acceptor(executor);
    error_code failed;
    acceptor.open(Protocol(endpoint.protocol()), failed);
    // A restart must not wait for the connections of the last run to leave TIME_WAIT.
    if (!failed) acceptor.set_option(asio::socket_base::reuse_address(true), failed);
    if (!failed) acceptor.bind(Protocol::endpoint(endpoint), failed);
    if (!failed) acceptor.listen(asio::socket_base::max_listen_connections, failed);
    if (failed) return bind_error(endpoint, failed);
    return acceptor;
}

Result<Acceptor> open_unix(const asio::any_io_executor& executor, const std::filesystem::path& path,
                           const std::string& group) {
    constexpr std::size_t length_max = sizeof(sockaddr_un::sun_path) - 1;
    if (path.string().size() > length_max) {
        return Error{ErrorCode::configuration,
                     "the control socket's path has more than " + std::to_string(length_max) +
                         " bytes, which Unix sockets can't have: " + path.string()};
    }
    SLUICE_CHECK(remove_stale(executor, path));

    Acceptor acceptor(executor);
    error_code failed;
    acceptor.open(Protocol(asio::local::stream_protocol()), failed);
    if (!failed) {
        acceptor.bind(Protocol::endpoint(asio::local::stream_protocol::endpoint(path.string())),
                      failed);
    }
    if (failed) return socket_error(path, failed);
    // Nobody can connect before listen(), so there is no moment with other permissions.
    if (::chmod(path.c_str(), 0660) != 0) {
        return socket_error(path, error_code(errno, boost::system::system_category()));
    }
    give_to_group(path, group);
    acceptor.listen(asio::socket_base::max_listen_connections, failed);
    if (failed) return socket_error(path, failed);
    return acceptor;
}

FileIdentity identity_of(const std::filesystem::path& path) noexcept {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return {};
    return {status.st_dev, status.st_ino};
}

}  // namespace sluice::control
