#include "plugins/postgres/columns.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <stdexcept>
#include <utility>

namespace sluice::plugins::postgres {
namespace {

struct Origin {
    std::string_view word;
    Source source;
    std::string_view type;  ///< by default
};
constexpr std::array<Origin, 8> origins{{
    {"topic", Source::topic, "text"},
    {"partition", Source::partition, "integer"},
    {"offset", Source::offset, "bigint"},
    {"timestamp", Source::timestamp, "timestamptz"},
    {"timestampType", Source::timestamp_type, "text"},
    {"headers", Source::headers, "jsonb"},
    {"key", Source::key, "text"},
    {"value", Source::value, "text"},
}};

constexpr std::array<std::pair<std::string_view, Type>, 24> types{{
    {"text", Type::text},
    {"varchar", Type::text},
    {"character varying", Type::text},
    {"bytea", Type::bytea},
    {"boolean", Type::boolean},
    {"bool", Type::boolean},
    {"smallint", Type::smallint},
    {"int2", Type::smallint},
    {"integer", Type::integer},
    {"int", Type::integer},
    {"int4", Type::integer},
    {"bigint", Type::bigint},
    {"int8", Type::bigint},
    {"real", Type::floating},
    {"float4", Type::floating},
    {"float8", Type::floating},
    {"double precision", Type::floating},
    {"numeric", Type::numeric},
    {"decimal", Type::numeric},
    {"json", Type::json},
    {"jsonb", Type::json},
    {"timestamptz", Type::timestamp},
    {"timestamp", Type::timestamp},
    {"timestamp with time zone", Type::timestamp},
}};

[[noreturn]] void wrong(const std::string& column, const std::string& what) {
    throw std::invalid_argument("columns: '" + column + "' " + what);
}

Type type_of(std::string_view sql_type) {
    // numeric(10,2) is a numeric.
    std::string_view bare = sql_type.substr(0, sql_type.find('('));
    while (!bare.empty() && bare.back() == ' ')
        bare.remove_suffix(1);
    if (sql_type.find('[') != std::string_view::npos) return Type::other;
    for (const auto& [word, type] : types)
        if (word == bare) return type;
    return Type::other;
}

void take_type(Column& column, std::string_view text) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == ' ' ||
               c == '(' || c == ')' || c == ',' || c == '[' || c == ']' || c == '.';
    };
    if (text.empty() || !std::all_of(text.begin(), text.end(), allowed))
        wrong(column.name, "has the type '" + std::string(text) +
                               "', which is no name of a type in lower case, such as bigint or "
                               "numeric(10,2)");
    column.sql_type = text;
    column.type = type_of(text);
}

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> parts;
    while (true) {
        const std::size_t dot = text.find('.');
        parts.emplace_back(text.substr(0, dot));
        if (dot == std::string_view::npos) return parts;
        text.remove_prefix(dot + 1);
    }
}

std::vector<std::string> read_from(const std::string& column, const boost::json::value& from) {
    std::vector<std::string> parts;
    if (from.is_string()) {
        parts = split(std::string_view(from.get_string().data(), from.get_string().size()));
    } else if (from.is_array() && !from.get_array().empty()) {
        for (const auto& item : from.get_array()) {
            if (!item.is_string()) wrong(column, "has a 'from' with something that is no text");
            parts.emplace_back(item.get_string().data(), item.get_string().size());
        }
    } else {
        wrong(column, "needs 'from': a text such as value.id, or a list such as [value, id]");
    }
    if (std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part.empty(); }))
        wrong(column, "has an empty name in 'from'");
    return parts;
}

/// What cannot work whatever the data is.
void check(const Column& column) {
    const bool is_raw =
        column.path.empty() && (column.source == Source::key || column.source == Source::value);
    if (column.type == Type::bytea && !is_raw)
        wrong(column.name, "is bytea, which only a whole key or value fills");
    const auto one_of = [&](std::initializer_list<Type> allowed, const char* names) {
        if (std::find(allowed.begin(), allowed.end(), column.type) == allowed.end())
            wrong(column.name, "comes from " + origin_of(column) + ", which fills " + names +
                                   ", not " + column.sql_type);
    };
    switch (column.source) {
        case Source::topic:
        case Source::timestamp_type:
            one_of({Type::text, Type::other}, "text");
            break;
        case Source::partition:
            one_of({Type::integer, Type::bigint, Type::numeric, Type::text}, "integer or bigint");
            break;
        case Source::offset:
            one_of({Type::bigint, Type::numeric, Type::text}, "bigint");
            break;
        case Source::timestamp:
            one_of({Type::timestamp, Type::bigint}, "timestamptz, or bigint for milliseconds");
            break;
        case Source::headers:
            one_of({Type::json, Type::text}, "jsonb, json or text");
            break;
        case Source::key:
        case Source::value:
            break;
    }
}

}  // namespace

std::string origin_of(const Column& column) {
    std::string text;
    for (const Origin& origin : origins)
        if (origin.source == column.source) text = origin.word;
    for (const std::string& part : column.path)
        text += '.' + part;
    return text;
}

std::vector<Column> read_columns(std::string_view json) {
    boost::json::error_code error;
    const boost::json::value document =
        boost::json::parse(boost::json::string_view(json.data(), json.size()), error);
    if (error || !document.is_object())
        throw std::invalid_argument(
            "columns is no map of column names, such as {id: {from: key, type: bigint}}");
    std::vector<Column> columns;
    for (const auto& [name, spec] : document.get_object()) {
        Column column;
        column.name.assign(name.data(), name.size());
        if (column.name.empty() || column.name.size() > 63)
            wrong(column.name, "is no name of a column: 1 to 63 bytes");
        if (column.name.rfind("_sluice_", 0) == 0)
            wrong(column.name, "begins with _sluice_, as columns of the sink's own do");
        const boost::json::value* from = &spec;
        std::string_view type;
        if (spec.is_object()) {
            from = nullptr;
            for (const auto& [key, item] : spec.get_object()) {
                if (key == "from") {
                    from = &item;
                } else if (key == "type" && item.is_string()) {
                    type = std::string_view(item.get_string().data(), item.get_string().size());
                } else {
                    wrong(column.name, "has '" + std::string(key.data(), key.size()) +
                                           "', and only 'from' and 'type' (texts) are known");
                }
            }
            if (from == nullptr) wrong(column.name, "has no 'from'");
        }
        std::vector<std::string> parts = read_from(column.name, *from);
        const auto origin = std::find_if(origins.begin(), origins.end(), [&](const Origin& each) {
            return each.word == parts.front();
        });
        if (origin == origins.end())
            wrong(column.name,
                  "comes from '" + parts.front() +
                      "'; there are topic, partition, offset, timestamp, timestampType, "
                      "headers, key, value and fields such as value.id");
        column.source = origin->source;
        column.path.assign(parts.begin() + 1, parts.end());
        if (!column.path.empty() && column.source != Source::key && column.source != Source::value)
            wrong(column.name,
                  "asks for a field of '" + parts.front() + "'; only key and value have fields");
        take_type(column, type.empty() ? origin->type : type);
        check(column);
        columns.push_back(std::move(column));
    }
    if (columns.empty())
        throw std::invalid_argument("columns names no column: leave it out, or name one");
    return columns;
}

std::vector<Column> default_columns() {
    return read_columns(
        R"({"topic":"topic","partition":"partition","offset":"offset","timestamp":"timestamp","key":"key","value":"value"})");
}

}  // namespace sluice::plugins::postgres
