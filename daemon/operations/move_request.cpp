// From a JSON body to a MoveRequest: what is wrong is named, nothing is guessed.

#include <algorithm>
#include <cstdint>

#include "daemon/base/text.hpp"
#include "daemon/config/rfc3339.hpp"
#include "daemon/operations/json.hpp"
#include "daemon/operations/offsets.hpp"

namespace sluice::operations {
namespace {

Result<std::int64_t> integer(const json::value& value, const std::string& key) {
    boost::system::error_code not_a_number;
    const auto number = value.to_number<std::int64_t>(not_a_number);
    if (not_a_number || value.is_double()) return wrong("\"" + key + "\" must be an integer");
    return number;
}

Result<std::int64_t> required_integer(const json::object& body, const char* key) {
    const json::value* value = body.if_contains(key);
    if (value == nullptr) return wrong(std::string("\"") + key + "\" is missing");
    return integer(*value, key);
}

Result<std::int32_t> partition_number(std::int64_t number) {
    if (number < 0 || number > INT32_MAX) return wrong("a partition must be between 0 and 2147483647");
    return static_cast<std::int32_t>(number);
}

Result<std::string> text(const json::value& value, const std::string& key) {
    if (!value.is_string()) return wrong("\"" + key + "\" must be a text");
    return std::string(value.get_string());
}

Result<void> only_keys(const json::object& body, std::vector<std::string> keys) {
    keys.insert(keys.end(), {"action", "execute"});
    for (const auto& [key, value] : body) {
        const std::string name(key);
        if (std::find(keys.begin(), keys.end(), name) != keys.end()) continue;
        const auto meant = nearest(name, keys);
        return wrong("unknown key \"" + name + "\"" + (meant ? "; did you mean \"" + *meant + "\"?" : ""));
    }
    return {};
}

Result<void> read_set(const json::object& body, MoveRequest& request) {
    SLUICE_CHECK(only_keys(body, {"offsets"}));
    const json::value* offsets = body.if_contains("offsets");
    if (offsets == nullptr || !offsets->is_object() || offsets->get_object().empty()) {
        return wrong("\"offsets\" must be an object such as {\"orders\":{\"0\":8123}}");
    }
    for (const auto& [topic, partitions] : offsets->get_object()) {
        if (!partitions.is_object()) {
            return wrong("\"offsets." + std::string(topic) + "\" must map partitions to offsets");
        }
        for (const auto& [name, value] : partitions.get_object()) {
            const auto number = parse_int64(std::string_view(name.data(), name.size()));
            if (!number) return wrong("'" + std::string(name) + "' is no partition number");
            SLUICE_TRY(const auto partition, partition_number(*number));
            SLUICE_TRY(const auto offset,
                       integer(value, "offsets." + std::string(topic) + "." + std::string(name)));
            if (offset < 0) {
                return wrong("an offset is at least 0; for the beginning or the end use \"reset\" with "
                             "\"to\":\"earliest\" or \"latest\"");
            }
            request.offsets[{std::string(topic), partition}] = offset;
        }
    }
    if (request.offsets.empty()) return wrong("\"offsets\" names no partition");
    return {};
}

Result<void> read_reset(const json::object& body, MoveRequest& request) {
    SLUICE_CHECK(only_keys(body, {"to", "shift_by", "only"}));
    const json::value* to = body.if_contains("to");
    const json::value* shift = body.if_contains("shift_by");
    if ((to == nullptr) == (shift == nullptr)) {
        return wrong("reset takes either \"to\" (earliest, latest, starting-offsets or a time such as "
                     "2026-11-01T08:00:00Z) or \"shift_by\" (a number of offsets)");
    }
    if (shift != nullptr) {
        SLUICE_TRY(request.shift, integer(*shift, "shift_by"));
        request.target = MoveRequest::Target::shift;
    } else {
        SLUICE_TRY(const auto target, text(*to, "to"));
        if (target == "earliest") {
            request.target = MoveRequest::Target::earliest;
        } else if (target == "latest") {
            request.target = MoveRequest::Target::latest;
        } else if (target == "starting-offsets") {
            request.target = MoveRequest::Target::starting_offsets;
        } else if (const auto time = config::parse_rfc3339(target)) {
            request.target = MoveRequest::Target::time;
            request.time = *time;
        } else {
            return wrong("'" + target +
                         "' is neither earliest, latest, starting-offsets nor a time with its zone, such "
                         "as 2026-11-01T08:00:00Z");
        }
    }
    if (const json::value* only = body.if_contains("only")) {
        if (!only->is_array()) return wrong("\"only\" must be an array such as [\"orders\",\"payments/0\"]");
        for (const auto& item : only->get_array()) {
            SLUICE_TRY(const auto scope_text, text(item, "only"));
            SLUICE_TRY(auto scope, parse_scope(scope_text));
            request.only.push_back(std::move(scope));
        }
    }
    return {};
}

Result<void> read_skip(const json::object& body, MoveRequest& request) {
    SLUICE_CHECK(only_keys(body, {"topic", "partition", "offset"}));
    const json::value* topic = body.if_contains("topic");
    if (topic == nullptr) return wrong("\"topic\" is missing");
    SLUICE_TRY(request.record.topic_partition.topic, text(*topic, "topic"));
    SLUICE_TRY(const auto number, required_integer(body, "partition"));
    SLUICE_TRY(request.record.topic_partition.partition, partition_number(number));
    SLUICE_TRY(request.record.offset, required_integer(body, "offset"));
    if (request.record.offset < 0) return wrong("\"offset\" must not be negative");
    return {};
}

}  // namespace

Result<MoveRequest> parse_move(const json::object& body) {
    MoveRequest request;
    if (const json::value* execute = body.if_contains("execute")) {
        if (!execute->is_bool()) return wrong("\"execute\" must be true or false");
        request.execute = execute->get_bool();
    }
    const json::value* action = body.if_contains("action");
    const std::string name = action != nullptr && action->is_string() ? std::string(action->get_string()) : "";
    if (name == "set") {
        request.action = MoveRequest::Action::set;
        SLUICE_CHECK(read_set(body, request));
    } else if (name == "reset") {
        request.action = MoveRequest::Action::reset;
        SLUICE_CHECK(read_reset(body, request));
    } else if (name == "skip") {
        request.action = MoveRequest::Action::skip;
        SLUICE_CHECK(read_skip(body, request));
    } else {
        return wrong("\"action\" must be set, reset or skip");
    }
    return request;
}

}  // namespace sluice::operations
