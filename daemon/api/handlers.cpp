#include "daemon/api/handlers.hpp"

#include "daemon/base/text.hpp"
#include "daemon/operations/notation.hpp"

namespace sluice::api {

using pipeline::State;

std::string must_rest(const Api& api, const std::string& name) {
    const auto status = api.status_of(name);
    const std::string state(status ? pipeline::name_of(status->state) : "starting");
    return "pipeline '" + name + "' is " + state +
           ": its positions are moved only while it rests. First `sluice pause " + name +
           "`, and when its batch has committed (`sluice status`) this again, then `sluice resume " +
           name + "`";
}

void reread(const Api& api, const std::string& name, boost::json::object& answer) {
    const bool runs = api.context.live && !api.context.live->has_ended(name);
    answer["restarted"] = runs && api.context.live->restart(name);
}

Result<std::int64_t> query_integer(const control::Request& request, const char* key) {
    const auto value = parse_int64(request.query_value(key));
    if (value && *value >= 0) return *value;
    return Error{ErrorCode::invalid_argument,
                 std::string("?") + key + "= must be a whole number, at least 0"};
}

Result<bool> wants_execute(const control::Request& request) {
    SLUICE_TRY(const auto body, operations::parse_body(request.body));
    const boost::json::value* execute = body.if_contains("execute");
    if (execute == nullptr) return false;
    if (!execute->is_bool()) {
        return Error{ErrorCode::invalid_argument, "\"execute\" must be true or false"};
    }
    return execute->get_bool();
}

}  // namespace sluice::api
