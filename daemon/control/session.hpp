#pragma once
// One connection, from its first request to its last. Internal to the module.

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>

#include "daemon/control/guard.hpp"
#include "daemon/control/listener.hpp"
#include "daemon/control/server.hpp"

namespace sluice::control {

using Stream = boost::beast::basic_stream<Protocol>;

/// Confined to the server's strand.
struct Session {
    Stream stream;
    const Router& router;
    const Limits& limits;
    const HostGuard* guard;        ///< nullptr for the control socket
    const bool& server_stopping;
    bool is_idle = false;          ///< waiting for a request: may be closed without harm
};

/// Reads requests one after the other (pipelined ones wait in the buffer) and answers each, until the
/// client leaves, breaks a limit, or the server stops. Never throws what a handler threw.
boost::asio::awaitable<void> serve(Session& session);

/// Tells one connection too many to come back later.
boost::asio::awaitable<void> refuse(Stream stream);

}  // namespace sluice::control
