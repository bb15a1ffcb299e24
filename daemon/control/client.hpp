#pragma once
// How the `sluice` tool asks the daemon: one blocking HTTP request through the control socket.

#include <filesystem>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/control/message.hpp"

namespace sluice::control {

/// Sends one request and waits for the whole answer; any status is an answer, not an error.
///
/// `target`   path and query, encoded (url_encoded() for names): "/api/pipelines/orders/pause".
/// `body`     JSON; empty for none.
/// `timeout`  for the whole call.
///
/// Errors: `unavailable` when nobody answers at `socket`, the answer is late (retriable), malformed
///         or above 64 MiB, or this user may not use the socket; each with what to do about it.
///         `invalid_argument` for a path that no socket can have.
Result<Response> call(const std::filesystem::path& socket, std::string_view method,
                      std::string_view target, std::string_view body = {},
                      Milliseconds timeout = Milliseconds{30'000});

}  // namespace sluice::control
