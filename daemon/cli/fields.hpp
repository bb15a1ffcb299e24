#pragma once
// Reading fields of an answer for printing: what is missing, null or of another type is "-" or 0, so
// that an older or newer daemon never makes the tool fail.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "daemon/base/clock.hpp"
#include "daemon/base/text.hpp"
#include "daemon/config/rfc3339.hpp"

namespace sluice::cli {

namespace json = boost::json;

inline const json::value* field(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && !value->is_null() ? value : nullptr;
}

inline std::string text_of(const json::object& object, const char* key, const char* otherwise = "-") {
    const json::value* value = field(object, key);
    if (value == nullptr || !value->is_string()) return otherwise;
    return std::string(value->get_string());
}

inline std::optional<std::int64_t> number_of(const json::object& object, const char* key) {
    const json::value* value = field(object, key);
    if (value == nullptr) return std::nullopt;
    boost::system::error_code wrong;
    const auto number = value->to_number<std::int64_t>(wrong);
    if (wrong) return std::nullopt;
    return number;
}

/// A count, with separators: "1,234,567".
inline std::string count_of(const json::object& object, const char* key) {
    const auto number = number_of(object, key);
    return number ? format_count(*number) : "-";
}

/// An offset or an id, as it is typed: "1234567".
inline std::string id_of(const json::object& object, const char* key) {
    const auto number = number_of(object, key);
    return number ? std::to_string(*number) : "-";
}

inline bool flag_of(const json::object& object, const char* key) {
    const json::value* value = field(object, key);
    return value != nullptr && value->is_bool() && value->get_bool();
}

inline const json::object& object_of(const json::object& object, const char* key) {
    static const json::object none;
    const json::value* value = field(object, key);
    return value != nullptr && value->is_object() ? value->get_object() : none;
}

inline const json::array& array_of(const json::object& object, const char* key) {
    static const json::array none;
    const json::value* value = field(object, key);
    return value != nullptr && value->is_array() ? value->get_array() : none;
}

inline std::optional<WallTime> time_of(const json::object& object, const char* key) {
    return config::parse_rfc3339(text_of(object, key, ""));
}

/// To the second, as people compare it with their logs: "2026-11-01 08:00:00Z".
inline std::string moment_of(const json::object& object, const char* key) {
    const auto time = time_of(object, key);
    if (!time) return "-";
    std::string text = to_iso8601(*time);
    text[10] = ' ';
    return text.substr(0, 19) + "Z";
}

/// "orders/0".
inline std::string partition_of(const json::object& object) {
    return text_of(object, "topic") + "/" + id_of(object, "partition");
}

}  // namespace sluice::cli
