#pragma once
// Opening the two kinds of listening sockets. Internal to the module.

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <filesystem>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"

namespace sluice::control {

using Protocol = boost::asio::generic::stream_protocol;
using Acceptor = boost::asio::basic_socket_acceptor<Protocol>;
using Socket = Acceptor::protocol_type::socket;

/// "127.0.0.1:8083" or "[::1]:8083". Names are refused: what a name means can change behind our back.
Result<boost::asio::ip::tcp::endpoint> parse_tcp_address(std::string_view address);

/// The way back: "127.0.0.1:8083".
std::string to_string(const boost::asio::ip::tcp::endpoint& endpoint);

Result<Acceptor> open_tcp(const boost::asio::any_io_executor& executor,
                          const boost::asio::ip::tcp::endpoint& endpoint);

/// A listening Unix socket, mode 0660, owned by `group` where that exists and we may give it. A socket
/// file that nobody answers on is left over from a killed daemon, and replaced; one that somebody
/// answers on is `locked`; anything else at `path` is left alone and refused.
Result<Acceptor> open_unix(const boost::asio::any_io_executor& executor,
                           const std::filesystem::path& path, const std::string& group);

/// The file behind a path, so that only our own is removed.
struct FileIdentity {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const FileIdentity&) const = default;
};
FileIdentity identity_of(const std::filesystem::path& path) noexcept;

}  // namespace sluice::control
