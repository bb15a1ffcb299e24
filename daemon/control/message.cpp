#include "daemon/control/message.hpp"

#include <algorithm>

#include "daemon/base/assert.hpp"
#include "daemon/base/text.hpp"

namespace sluice::control {

const std::string& Request::parameter(std::string_view name) const {
    const auto found = parameters.find(name);
    SLUICE_ASSERT(found != parameters.end());
    return found->second;
}

std::string_view Request::query_value(std::string_view key, std::string_view otherwise) const {
    const auto found = query.lower_bound(key);  // find() may give any of several
    return found == query.end() || found->first != key ? otherwise : std::string_view{found->second};
}

bool Request::query_flag(std::string_view key) const {
    const std::string_view value = query_value(key, "false");
    return value.empty() || value == "true" || value == "1";
}

bool Request::query_has(std::string_view key, std::string_view value) const {
    const auto [first, last] = query.equal_range(key);
    return std::any_of(first, last, [&](const auto& pair) { return pair.second == value; });
}

Response json_response(std::string body, int status) {
    return {status, "application/json", std::move(body), {}};
}

Response text_response(std::string body, int status) {
    return {status, "text/plain; charset=utf-8", std::move(body), {}};
}

Response empty_response(int status) { return {status, "", "", {}}; }

Response error_response(int status, std::string_view message) {
    return json_response("{\"error_code\":" + std::to_string(status) +
                             ",\"message\":" + json_quoted(message) + "}",
                         status);
}

Response error_response(const Error& error) {
    return error_response(http_status(error.code), error.message);
}

int http_status(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::invalid_argument:
        case ErrorCode::configuration: return 400;
        case ErrorCode::not_found: return 404;
        case ErrorCode::exists:
        case ErrorCode::locked:
        case ErrorCode::data_loss: return 409;
        case ErrorCode::unavailable:
        case ErrorCode::denied:  // by the cluster, not by us
        case ErrorCode::stopping: return 503;
        case ErrorCode::failed:
        case ErrorCode::storage:
        case ErrorCode::out_of_range:
        case ErrorCode::fatal: return 500;
    }
    return 500;
}

}  // namespace sluice::control
