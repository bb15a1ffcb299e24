#pragma once
// What a handler is given and what it answers: plain values, no HTTP library in sight.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/error.hpp"
#include "daemon/control/url.hpp"

namespace sluice::control {

struct Request {
    std::string method;  ///< "GET", "PUT" …; a HEAD request is seen by its handler as "GET"
    std::string target;  ///< as received: path and query, still encoded
    std::string body;
    bool is_control = false;  ///< came through the Unix socket: its sender is in the group `sluice`

    /// Filled in by the router, decoded: `{name}` of the route's pattern, and the query.
    std::map<std::string, std::string, std::less<>> parameters;
    Query query;

    /// The value of `{name}`; the route's pattern must have it (asserted).
    [[nodiscard]] const std::string& parameter(std::string_view name) const;
    /// The first value of `key`, or `otherwise` when the query does not have it.
    [[nodiscard]] std::string_view query_value(std::string_view key,
                                               std::string_view otherwise = {}) const;
    /// True for "?key", "?key=true" and "?key=1".
    [[nodiscard]] bool query_flag(std::string_view key) const;
    /// True when the query has this very pair: `query_has("expand", "status")`.
    [[nodiscard]] bool query_has(std::string_view key, std::string_view value) const;
};

struct Response {
    int status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;  ///< more of them, such as Location
};

/// 200 unless said otherwise; `body` is JSON already.
Response json_response(std::string body, int status = 200);
Response text_response(std::string body, int status = 200);
/// 202 and 204 answers, as Kafka Connect gives them for pause, resume, delete.
Response empty_response(int status);
/// {"error_code":404,"message":"…"}: the shape of every error.
Response error_response(int status, std::string_view message);
Response error_response(const Error& error);

/// 400 for wrong words, 404, 409 for what stands in the way, 503 for what may pass, else 500.
int http_status(ErrorCode code) noexcept;

}  // namespace sluice::control
