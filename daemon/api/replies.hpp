#pragma once
// From what operations answer to HTTP responses. Internal to the module.

#include <boost/json/object.hpp>
#include <string_view>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"
#include "daemon/control/message.hpp"

namespace sluice::api {

/// {"error_code":404,"message":"…","code":"not_found"}
control::Response error_reply(const Error& error);
/// 409: something else has to happen first, which `message` says.
control::Response conflict(std::string_view message);
control::Response reply(const boost::json::object& object, int status = 200);
control::Response reply(const Result<boost::json::object>& result);

/// {"file","line","column","path","message","severity":"error|warning","text":"sluice.yaml:12:7: …"}
boost::json::object to_json(const config::Finding& finding);

}  // namespace sluice::api
