#pragma once
// How the columns of the table are filled: what the option `columns` says, as values.

#include <string>
#include <string_view>
#include <vector>

namespace sluice::plugins::postgres {

/// What a column is filled with.
enum class Source { topic, partition, offset, timestamp, timestamp_type, headers, key, value };

/// What the plugin knows about a type. `other` is any type that the server can read from a text.
enum class Type {
    text,
    bytea,
    boolean,
    smallint,
    integer,
    bigint,
    floating,  ///< real, double precision
    numeric,
    json,
    timestamp,  ///< with or without time zone
    other
};

struct Column {
    std::string name;
    Source source = Source::value;
    std::vector<std::string> path;  ///< names inside a JSON key or value; empty: all of it
    Type type = Type::text;
    std::string sql_type;  ///< as `createTable` writes it
};

/// Reads the option: {"name": "value.a.b"} or {"name": {"from": "value.a.b", "type": "bigint"}},
/// where "from" is also a list, ["value", "a.b"], for names with a dot. Throws
/// std::invalid_argument.
std::vector<Column> read_columns(std::string_view json);

/// Those of a pipeline that names none: topic, partition, offset, timestamp, key, value.
std::vector<Column> default_columns();

/// "value.a.b", for messages.
std::string origin_of(const Column& column);

}  // namespace sluice::plugins::postgres
