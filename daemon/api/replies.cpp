#include "daemon/api/replies.hpp"

#include <boost/json/serialize.hpp>

namespace sluice::api {
namespace {

control::Response failure(int status, std::string_view code, std::string_view message) {
    return reply({{"error_code", status}, {"message", message}, {"code", code}}, status);
}

}  // namespace

control::Response error_reply(const Error& error) {
    return failure(control::http_status(error.code), name_of(error.code), error.message);
}

control::Response conflict(std::string_view message) {
    return failure(409, name_of(ErrorCode::failed), message);
}

control::Response reply(const boost::json::object& object, int status) {
    return control::json_response(boost::json::serialize(object), status);
}

control::Response reply(const Result<boost::json::object>& result) {
    return result ? reply(*result) : error_reply(result.error());
}

boost::json::object to_json(const config::Finding& finding) {
    return {{"file", finding.file},       {"line", finding.line},
            {"column", finding.column},   {"path", finding.path},
            {"message", finding.message}, {"severity", finding.is_error ? "error" : "warning"},
            {"text", config::to_string(finding)}};
}

}  // namespace sluice::api
