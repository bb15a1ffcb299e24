#include "daemon/sinktest/visible.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <string>

#include "daemon/base/text.hpp"

namespace sluice::sinktest {
namespace {

namespace json = boost::json;

/// RFC 4648, with or without padding; line breaks inside are passed over (PostgreSQL makes some).
std::optional<std::string> from_base64(std::string_view text) {
    static constexpr std::string_view letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        if (c == '\n' || c == '=') continue;
        const auto digit = letters.find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        bits = bits << 6 | static_cast<std::uint32_t>(digit);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        bytes += static_cast<char>(bits >> count & 0xFF);
    }
    return bytes;
}

std::optional<Bytes> bytes_of(const json::object& object, std::string_view name) {
    const json::value* const text = object.if_contains(name);
    if (text != nullptr && text->is_null()) return Bytes(std::nullopt);
    if (text != nullptr && text->is_string()) return Bytes(std::string(text->get_string()));
    const json::value* const coded = object.if_contains(std::string(name) + "Base64");
    if (coded != nullptr && coded->is_null()) return Bytes(std::nullopt);
    if (coded == nullptr || !coded->is_string()) return std::nullopt;
    const json::string& letters = coded->get_string();
    auto bytes = from_base64({letters.data(), letters.size()});
    if (!bytes) return std::nullopt;
    return Bytes(*std::move(bytes));
}

/// A text, null, or {"base64": …}.
std::optional<Bytes> nested_bytes(const json::value& value) {
    if (value.is_null()) return Bytes(std::nullopt);
    if (value.is_string()) return Bytes(std::string(value.get_string()));
    const json::value* const coded = value.is_object() ? value.get_object().if_contains("base64") : nullptr;
    if (coded == nullptr || !coded->is_string()) return std::nullopt;
    const json::string& letters = coded->get_string();
    auto bytes = from_base64({letters.data(), letters.size()});
    if (!bytes) return std::nullopt;
    return Bytes(*std::move(bytes));
}

std::optional<std::vector<std::pair<std::string, Bytes>>> headers_of(const json::object& object) {
    const json::value* const list = object.if_contains("headers");
    if (list == nullptr || !list->is_array()) return std::nullopt;
    std::vector<std::pair<std::string, Bytes>> headers;
    for (const json::value& item : list->get_array()) {
        if (!item.is_array() || item.get_array().size() != 2) return std::nullopt;
        auto name = nested_bytes(item.get_array()[0]);
        auto value = nested_bytes(item.get_array()[1]);
        if (!name || !*name || !value) return std::nullopt;
        headers.emplace_back(**std::move(name), *std::move(value));
    }
    return headers;
}

std::optional<std::optional<std::int64_t>> timestamp_of(const json::object& object) {
    const json::value* const time = object.if_contains("timestamp");
    if (time == nullptr) return std::nullopt;
    if (time->is_null()) return std::optional<std::int64_t>();
    boost::system::error_code wrong;
    const auto number = time->to_number<std::int64_t>(wrong);
    if (wrong) return std::nullopt;
    return std::optional<std::int64_t>(number);
}

std::optional<VisibleRecord> from_json(std::string_view line) {
    boost::system::error_code wrong;
    const json::value value = json::parse({line.data(), line.size()}, wrong);
    if (wrong || !value.is_object()) return std::nullopt;
    const json::object& object = value.get_object();
    const json::value* const topic = object.if_contains("topic");
    const json::value* const partition = object.if_contains("partition");
    const json::value* const offset = object.if_contains("offset");
    if (topic == nullptr || !topic->is_string() || partition == nullptr || offset == nullptr) {
        return std::nullopt;
    }
    VisibleRecord record;
    record.id.topic = std::string(topic->get_string());
    record.id.partition = partition->to_number<std::int32_t>(wrong);
    if (wrong) return std::nullopt;
    record.id.offset = offset->to_number<std::int64_t>(wrong);
    if (wrong) return std::nullopt;
    record.key = bytes_of(object, "key");
    record.value = bytes_of(object, "value");
    record.headers = headers_of(object);
    record.timestamp_ms = timestamp_of(object);
    return record;
}

std::optional<VisibleRecord> from_words(std::string_view line) {
    const auto first = line.find_first_of(" \t");
    const auto last = line.find_last_of(" \t");
    if (first == std::string_view::npos || first == last) return std::nullopt;
    const auto partition = parse_int64(line.substr(first + 1, last - first - 1));
    const auto offset = parse_int64(line.substr(last + 1));
    if (!partition || !offset) return std::nullopt;
    return VisibleRecord{
        {std::string(line.substr(0, first)), static_cast<std::int32_t>(*partition), *offset}, {}, {}};
}

}  // namespace

Visible parse_visible(std::string_view text) {
    Visible visible;
    while (!text.empty()) {
        const auto end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        auto record = line.front() == '{' ? from_json(line) : from_words(line);
        if (record) {
            visible.records.push_back(*std::move(record));
        } else if (visible.other_lines++ == 0) {
            visible.first_other_line = line.substr(0, 200);
        }
    }
    return visible;
}

}  // namespace sluice::sinktest
