#include "plugins/common/json_lines.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "plugins/common/json_scanner.hpp"
#include "plugins/common/utf8.hpp"

namespace sluice::plugins {
namespace {

enum ByteClass : std::uint8_t { plain, escaped, lead };

/// What a byte means inside a JSON string.
constexpr std::array<std::uint8_t, 256> byte_classes = [] {
    std::array<std::uint8_t, 256> classes{};
    for (std::size_t c = 0; c < classes.size(); ++c) {
        classes[c] = c < 0x20 || c == '"' || c == '\\' ? escaped : c < 0x80 ? plain : lead;
    }
    return classes;
}();

/// Eight bytes at once: whether all of them are `plain`.
bool eight_plain(const std::uint8_t* at) noexcept {
    constexpr std::uint64_t ones = 0x0101010101010101;
    constexpr std::uint64_t highs = 0x8080808080808080;
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    const auto has_zero = [](std::uint64_t w) { return (w - ones) & ~w & highs; };
    const std::uint64_t below_space = (word - ones * 0x20) & ~word & highs;
    return ((word & highs) | below_space | has_zero(word ^ (ones * '"')) |
            has_zero(word ^ (ones * '\\'))) == 0;
}

void append_escape(std::string& out, std::uint8_t c) {
    static constexpr char hex[] = "0123456789abcdef";
    out += '\\';
    switch (c) {
        case '"':
            out += '"';
            break;
        case '\\':
            out += '\\';
            break;
        case '\b':
            out += 'b';
            break;
        case '\f':
            out += 'f';
            break;
        case '\n':
            out += 'n';
            break;
        case '\r':
            out += 'r';
            break;
        case '\t':
            out += 't';
            break;
        default:
            out += "u00";
            out += hex[c >> 4];
            out += hex[c & 15];
    }
}

void append_run(std::string& out, const std::uint8_t* first, const std::uint8_t* last) {
    out.append(reinterpret_cast<const char*>(first), static_cast<std::size_t>(last - first));
}

void append_integer(std::string& out, std::int64_t number) {
    std::array<char, 20> digits;  // "-9223372036854775808"
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

sluice_bytes bytes_of(sluice_string text) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(text.data), text.size};
}

/// A text where no field name can say that it is base64: a header's name or value.
void append_nested(std::string& out, sluice_bytes bytes) {
    if (bytes.data == nullptr) {
        out += "null";
    } else if (!append_json_string(out, bytes)) {
        out += "{\"base64\":\"";
        append_base64(out, bytes);
        out += "\"}";
    }
}

/// `,"name":…`, or `,"nameBase64":"…"` when the bytes are no UTF-8.
void append_field(std::string& out, std::string_view name, sluice_bytes bytes) {
    const std::size_t start = out.size();
    out += ",\"";
    out += name;
    out += "\":";
    if (bytes.data == nullptr) {
        out += "null";
    } else if (!append_json_string(out, bytes)) {
        out.resize(start);
        out += ",\"";
        out += name;
        out += "Base64\":\"";
        append_base64(out, bytes);
        out += '"';
    }
}

/// Valid JSON without its line breaks: they can only be white space, strings hold none.
void append_without_line_breaks(std::string& out, sluice_bytes json) {
    const std::uint8_t* const end = json.data + json.size;
    const std::uint8_t* run = json.data;
    for (const std::uint8_t* at = run; at != end; ++at) {
        if (*at != '\n' && *at != '\r') continue;
        append_run(out, run, at);
        run = at + 1;
    }
    append_run(out, run, end);
}

std::string_view timestamp_type_name(std::int32_t type) noexcept {
    // Kafka's own names, as kafka-console-consumer prints them.
    switch (type) {
        case SLUICE_TIMESTAMP_CREATE:
            return "CreateTime";
        case SLUICE_TIMESTAMP_LOG_APPEND:
            return "LogAppendTime";
        default:
            return "NoTimestampType";
    }
}

}  // namespace

bool append_json_string(std::string& out, sluice_bytes text) {
    const std::size_t start = out.size();
    const std::uint8_t* at = text.data;
    const std::uint8_t* const end = at + text.size;
    const std::uint8_t* run = at;  // not copied yet; multi-byte sequences do not end a run
    out += '"';
    while (true) {
        while (end - at >= 8 && eight_plain(at))
            at += 8;
        if (at == end) break;
        switch (byte_classes[*at]) {
            case plain:
                ++at;
                break;
            case escaped:
                append_run(out, run, at);
                append_escape(out, *at);
                run = ++at;
                break;
            default: {
                const std::size_t length = utf8_sequence(at, end);
                if (length == 0) {
                    out.resize(start);
                    return false;
                }
                at += length;
            }
        }
    }
    append_run(out, run, end);
    out += '"';
    return true;
}

void append_base64(std::string& out, sluice_bytes bytes) {
    static constexpr char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::uint8_t* at = bytes.data;
    std::size_t left = bytes.size;
    for (; left >= 3; left -= 3, at += 3) {
        const unsigned group = (unsigned{at[0]} << 16) | (unsigned{at[1]} << 8) | at[2];
        const char letters[] = {alphabet[group >> 18], alphabet[(group >> 12) & 63],
                                alphabet[(group >> 6) & 63], alphabet[group & 63]};
        out.append(letters, sizeof letters);
    }
    if (left == 0) return;
    const unsigned group = (unsigned{at[0]} << 16) | (left == 2 ? unsigned{at[1]} << 8 : 0U);
    out += alphabet[group >> 18];
    out += alphabet[(group >> 12) & 63];
    out += left == 2 ? alphabet[(group >> 6) & 63] : '=';
    out += '=';
}

void append_json_line(std::string& out, const sluice_record& record, sluice_headers headers,
                      ValueMode value_mode) {
    out += "{\"topic\":";
    append_nested(out, bytes_of(record.topic));
    out += ",\"partition\":";
    append_integer(out, record.partition);
    out += ",\"offset\":";
    append_integer(out, record.offset);
    out += ",\"timestamp\":";
    if (record.timestamp_type == SLUICE_TIMESTAMP_NONE) {
        out += "null";
    } else {
        append_integer(out, record.timestamp_ms);
    }
    out += ",\"timestampType\":\"";
    out += timestamp_type_name(record.timestamp_type);
    out += '"';
    append_field(out, "key", record.key);
    out += ",\"headers\":[";
    for (std::size_t i = 0; i < headers.count; ++i) {
        out += i == 0 ? "[" : ",[";
        append_nested(out, bytes_of(headers.items[i].name));
        out += ',';
        append_nested(out, headers.items[i].value);
        out += ']';
    }
    out += ']';
    if (value_mode == ValueMode::json && is_json(record.value)) {
        out += ",\"value\":";
        append_without_line_breaks(out, record.value);
    } else {
        append_field(out, "value", record.value);
    }
    out += "}\n";
}

}  // namespace sluice::plugins
