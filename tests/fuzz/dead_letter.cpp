#include <boost/json/parse.hpp>
#include <optional>

#include "daemon/base/text.hpp"
#include "daemon/pipeline/dead_letters.hpp"
#include "tests/fuzz/targets.hpp"

namespace sluice::fuzz {
namespace {

namespace json = boost::json;

sluice_bytes raw(const std::optional<std::string>& bytes) {
    if (!bytes) return {nullptr, 0};
    return {reinterpret_cast<const std::uint8_t*>(bytes->data()), bytes->size()};
}

std::string base64(std::string_view bytes) {
    static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            group = group << 8 | (i + k < bytes.size() ? static_cast<std::uint8_t>(bytes[i + k]) : 0U);
        }
        for (std::size_t k = 0; k < 4; ++k) {
            const bool pads = k > bytes.size() - i;
            text += pads ? '=' : digits[group >> (18 - 6 * k) & 63];
        }
    }
    return text;
}

/// What a line says of a key or value, against what the record had.
void check_bytes(const json::object& line, const char* name, const std::optional<std::string>& bytes) {
    const std::string encoded = std::string(name) + "Base64";
    if (bytes && !is_valid_utf8(*bytes)) {
        require(line.at(encoded).as_string() == base64(*bytes), "bytes that are no text are there as base64");
    } else if (bytes) {
        require(line.at(name).as_string() == *bytes, "a text is there as it is");
    } else {
        require(line.at(name).is_null(), "Kafka's null is null");
    }
}

}  // namespace

void fuzz_dead_letter(Bytes bytes) {
    Input input(bytes);
    const auto text_or_null = [&]() -> std::optional<std::string> {
        if (input.byte() % 8 == 0) return std::nullopt;
        return input.text();
    };
    const std::string topic = "orders";
    std::vector<std::pair<std::string, std::optional<std::string>>> headers(input.byte() % 4);
    for (auto& [name, value] : headers) {
        name = input.text();
        value = text_or_null();
    }
    std::vector<sluice_header> raw_headers;
    for (const auto& [name, value] : headers) raw_headers.push_back({{name.data(), name.size()}, raw(value)});
    const std::string reason = input.text();
    const auto key = text_or_null();
    const auto value = text_or_null();
    sluice_record record{raw(key), raw(value), {topic.data(), topic.size()},
                         static_cast<std::int64_t>(input.number()), static_cast<std::int64_t>(input.number()),
                         static_cast<std::int32_t>(input.number(4)), static_cast<std::int32_t>(input.byte() % 3),
                         nullptr};

    const auto added = pipeline::connect_headers("orders", "file", record, reason);
    require(added.size() == 10, "Connect's ten headers");
    for (const auto& [name, text] : added) {
        require(name.starts_with("__connect.errors.") && name.find('\0') == std::string::npos,
                "a header of Connect's, with a name that Kafka keeps whole");
    }
    require(added[0].second == topic && added[1].second == std::to_string(record.partition) &&
                added[2].second == std::to_string(record.offset) && added[8].second == reason,
            "they say which record it was, and why");

    const std::string line = pipeline::dead_letter_line(
        "file", record, {raw_headers.data(), raw_headers.size()}, reason);
    require(line.find('\n') == line.size() - 1, "one line, and its end");
    boost::system::error_code wrong;
    const json::value parsed = json::parse(line, wrong);
    require(!wrong && parsed.is_object(), "a line is a JSON object");
    const json::object& object = parsed.get_object();
    require(object.at("topic").as_string() == topic && object.at("offset").as_int64() == record.offset &&
                object.at("partition").as_int64() == record.partition,
            "a line says which record it was");
    check_bytes(object, "key", key);
    check_bytes(object, "value", value);
    const auto* const listed = object.if_contains("headers");
    const std::size_t count = listed != nullptr && listed->is_array() ? listed->get_array().size() : 0;
    require(count == headers.size(), "every header is there");
}

}  // namespace sluice::fuzz
