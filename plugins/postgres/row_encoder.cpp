#include "plugins/postgres/row_encoder.hpp"

#include <charconv>
#include <limits>

#include "plugins/common/json_lines.hpp"
#include "plugins/common/json_scanner.hpp"
#include "plugins/common/utf8.hpp"

namespace sluice::plugins::postgres {
namespace {

constexpr std::string_view null_field = "\\N";

template <class Number>
void append_number(std::string& out, Number number) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    out.append(digits, end);
}

void append_padded(std::string& out, std::int64_t number, int width) {
    char digits[8];
    for (int i = width; i-- > 0; number /= 10)
        digits[i] = static_cast<char>('0' + number % 10);
    out.append(digits, static_cast<std::size_t>(width));
}

sluice_bytes bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// bytea's hex form; the backslash is COPY's escape too.
void append_hex(std::string& out, std::string_view bytes) {
    static constexpr char digits[] = "0123456789abcdef";
    out += "\\\\x";
    const std::size_t at = out.size();
    out.resize(at + bytes.size() * 2);
    char* to = out.data() + at;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        *to++ = digits[byte >> 4];
        *to++ = digits[byte & 15];
    }
}

/// {"base64": …} where they are no text, or have a NUL, which jsonb cannot hold.
void append_bytes(std::string& out, std::string_view bytes) {
    if (bytes.find('\0') == std::string_view::npos && append_json_string(out, bytes_of(bytes))) return;
    out += "{\"base64\":\"";
    append_base64(out, bytes_of(bytes));
    out += "\"}";
}

/// [["name", "value"], …]
void append_headers(std::string& out, Headers headers) {
    out += '[';
    for (const Header header : headers) {
        out += out.back() == '[' ? "[" : ",[";
        append_bytes(out, header.name);
        out += ',';
        if (header.value) {
            append_bytes(out, *header.value);
        } else {
            out += "null";
        }
        out += ']';
    }
    out += ']';
}

struct Bounds {
    std::int64_t low;
    std::int64_t high;
};

Bounds bounds_of(Type type) {
    if (type == Type::smallint) return {-32768, 32767};
    if (type == Type::integer)
        return {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()};
    return {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
}

bool is_whole(Type type, std::string_view text) {
    const Bounds bounds = bounds_of(type);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() && number >= bounds.low &&
           number <= bounds.high;
}

const char* kind_of(std::string_view json) {
    switch (json.front()) {
        case '"':
            return "a string";
        case '{':
            return "an object";
        case '[':
            return "an array";
        case 't':
        case 'f':
            return "a boolean";
        default:
            return "a number";
    }
}

/// Set out of line: only refused records get here.
bool refuse(std::string& reason, const Column& column, const std::string& what) {
    reason = "column '" + column.name + "' (" + column.sql_type + ", from " + origin_of(column) +
             "): " + what;
    return false;
}

}  // namespace

bool append_copy_text(std::string& out, std::string_view text) {
    const auto* at = reinterpret_cast<const std::uint8_t*>(text.data());
    const auto* const end = at + text.size();
    const auto* run = at;
    const auto flush = [&] {
        out.append(reinterpret_cast<const char*>(run), static_cast<std::size_t>(at - run));
    };
    while (at != end) {
        const std::uint8_t c = *at;
        if (c >= 0x20 && c < 0x80 && c != '\\') {
            ++at;
            continue;
        }
        if (c >= 0x80) {
            const std::size_t size = utf8_sequence(at, end);
            if (size == 0) return false;
            at += size;
            continue;
        }
        char escape = 0;
        switch (c) {
            case 0:
                return false;
            case '\\':
                escape = '\\';
                break;
            case '\n':
                escape = 'n';
                break;
            case '\r':
                escape = 'r';
                break;
            case '\t':
                escape = 't';
                break;
            default:
                ++at;
                continue;
        }
        flush();
        out += '\\';
        out += escape;
        run = ++at;
    }
    flush();
    return true;
}

bool append_timestamp(std::string& out, std::int64_t ms) {
    constexpr std::int64_t first = -62135596800000;  // 0001-01-01
    constexpr std::int64_t last = 253402300799999;   // the end of 9999
    if (ms < first || ms > last) return false;
    constexpr std::int64_t day_ms = 86'400'000;
    std::int64_t days = ms / day_ms;
    std::int64_t rest = ms % day_ms;
    if (rest < 0) rest += day_ms, --days;
    // Howard Hinnant's civil_from_days, for the proleptic Gregorian calendar.
    days += 719468;
    const std::int64_t era = days / 146097;
    const std::int64_t doe = days - era * 146097;
    const std::int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const std::int64_t mp = (5 * doy + 2) / 153;
    const std::int64_t month = mp < 10 ? mp + 3 : mp - 9;
    append_padded(out, yoe + era * 400 + (month <= 2 ? 1 : 0), 4);
    out += '-';
    append_padded(out, month, 2);
    out += '-';
    append_padded(out, doy - (153 * mp + 2) / 5 + 1, 2);
    out += ' ';
    append_padded(out, rest / 3'600'000, 2);
    out += ':';
    append_padded(out, rest / 60'000 % 60, 2);
    out += ':';
    append_padded(out, rest / 1000 % 60, 2);
    out += '.';
    append_padded(out, rest % 1000, 3);
    out += "+00";
    return true;
}

RowPlan::RowPlan(const Options& options)
    : columns(options.columns), is_key(options.columns.size()), mode(options.mode) {
    for (const std::size_t place : options.key) {
        is_key[place] = true;
        if (columns[place].source == Source::value) key_in_value = true;
    }
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (columns[i].source == Source::headers) needs_headers = true;
        if (columns[i].path.empty()) continue;
        (columns[i].source == Source::key ? key_fields : value_fields).add(columns[i].path, i);
    }
}

RowEncoder::RowEncoder(const RowPlan& plan, std::uint32_t range)
    : plan_(plan), range_(range), found_(plan.columns.size()) {}

bool RowEncoder::append(std::string& out, Record record, Headers headers, std::string& reason) {
    const std::size_t before = out.size();
    const auto failed = [&] {
        out.resize(before);
        return false;
    };
    const auto value = record.value();
    const bool deletes = plan_.mode == Mode::upsert && !value;
    if (deletes && plan_.key_in_value) {
        reason =
            "a null value deletes a row, and the columns of `key` come from the value: take them "
            "from the Kafka key (from: key, or key.id)";
        return false;
    }
    if (!plan_.key_fields.empty() || !plan_.value_fields.empty())
        found_.assign(found_.size(), std::string_view());
    const auto look = [&](const FieldTree& tree, std::optional<std::string_view> text,
                          const char* what) {
        if (tree.empty() || !text) return true;
        if (tree.find(*text, found_, scratch_)) return true;
        reason = std::string(what) + " is no JSON object, and columns are filled from its fields";
        return false;
    };
    if (!look(plan_.key_fields, record.key(), "the key") ||
        !look(plan_.value_fields, value, "the value"))
        return failed();

    for (std::size_t i = 0; i < plan_.columns.size(); ++i) {
        if (i != 0) out += '\t';
        const std::size_t start = out.size();
        if (!append_column(out, plan_.columns[i], i, record, headers, reason)) return failed();
        if (plan_.is_key[i] && std::string_view(out).substr(start) == null_field) {
            refuse(reason, plan_.columns[i],
                   "null, and the columns of `key` make the row's identity");
            return failed();
        }
    }
    if (plan_.mode == Mode::upsert) {
        out += '\t';
        append_number(out, record.offset());
        out += '\t';
        append_number(out, range_);
        out += deletes ? "\tt" : "\tf";
        deletes_ += deletes ? 1 : 0;
    }
    out += '\n';
    return true;
}

bool RowEncoder::append_column(std::string& out, const Column& column, std::size_t index,
                               Record record, Headers headers, std::string& reason) {
    switch (column.source) {
        case Source::topic:
            return append_copy_text(out, record.topic()) ||
                   refuse(reason, column, "is no valid text");
        case Source::partition:
            append_number(out, record.partition());
            return true;
        case Source::offset:
            append_number(out, record.offset());
            return true;
        case Source::timestamp:
            if (record.timestamp_type() == SLUICE_TIMESTAMP_NONE || record.timestamp_ms() == -1) {
                out += null_field;
            } else if (column.type == Type::bigint) {
                append_number(out, record.timestamp_ms());
            } else if (!append_timestamp(out, record.timestamp_ms())) {
                return refuse(reason, column,
                              std::to_string(record.timestamp_ms()) +
                                  " ms is outside of the years 1 to 9999");
            }
            return true;
        case Source::timestamp_type:
            out += record.timestamp_type() == SLUICE_TIMESTAMP_CREATE       ? "CreateTime"
                   : record.timestamp_type() == SLUICE_TIMESTAMP_LOG_APPEND ? "LogAppendTime"
                                                                            : null_field;
            return true;
        case Source::headers:
            scratch_.clear();
            append_headers(scratch_, headers);
            return append_copy_text(out, scratch_) || refuse(reason, column, "is no valid text");
        case Source::key:
        case Source::value:
            break;
    }
    if (!column.path.empty()) return append_json(out, column, found_[index], reason);
    const auto bytes = column.source == Source::key ? record.key() : record.value();
    if (!bytes) {
        out += null_field;
        return true;
    }
    return append_bytes(out, column, *bytes, reason);
}

bool RowEncoder::append_bytes(std::string& out, const Column& column, std::string_view bytes,
                              std::string& reason) {
    switch (column.type) {
        case Type::bytea:
            append_hex(out, bytes);
            return true;
        case Type::smallint:
        case Type::integer:
        case Type::bigint:
            if (!is_whole(column.type, bytes))
                return refuse(reason, column, "the bytes are no whole number of this type");
            break;
        case Type::json:
            if (!is_json(bytes_of(bytes))) return refuse(reason, column, "the bytes are no JSON");
            break;
        default:
            break;
    }
    return append_copy_text(out, bytes) ||
           refuse(reason, column,
                  "the bytes are no UTF-8 text without NUL: a bytea column takes any bytes");
}

bool RowEncoder::append_json(std::string& out, const Column& column, std::string_view json,
                             std::string& reason) {
    if (json.data() == nullptr || json == "null") {  // a field that is not there is NULL
        out += null_field;
        return true;
    }
    const char kind = json.front();
    const bool is_number = kind == '-' || (kind >= '0' && kind <= '9');
    const auto mismatch = [&] {
        return refuse(reason, column, "the field is " + std::string(kind_of(json)));
    };
    switch (column.type) {
        case Type::json:
            break;
        case Type::boolean:
            if (kind != 't' && kind != 'f') return mismatch();
            break;
        case Type::smallint:
        case Type::integer:
        case Type::bigint:
            if (!is_number) return mismatch();
            if (!is_whole(column.type, json))
                return refuse(reason, column, "the number is no whole number of this type");
            break;
        case Type::floating:
        case Type::numeric:
            if (!is_number) return mismatch();
            break;
        case Type::timestamp:
            if (is_number) {
                std::int64_t ms = 0;
                const auto [end, error] =
                    std::from_chars(json.data(), json.data() + json.size(), ms);
                if (error != std::errc() || end != json.data() + json.size() ||
                    !append_timestamp(out, ms))
                    return refuse(reason, column,
                                  "the number is no time in milliseconds of the years 1 to 9999");
                return true;
            }
            if (kind != '"') return mismatch();
            break;
        default:
            break;
    }
    if (kind == '"' && column.type != Type::json) {
        scratch_.clear();
        append_unescaped(scratch_, json);
        return append_copy_text(out, scratch_) ||
               refuse(reason, column, "the string has a NUL (\\u0000), which no text can hold");
    }
    return append_copy_text(out, json) || refuse(reason, column, "is no valid text");
}

}  // namespace sluice::plugins::postgres
