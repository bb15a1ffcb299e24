#pragma once
// The options of the postgres sink: their table (what `sluice plugins` prints and YAML is checked
// against) and their values.

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "plugins/postgres/columns.hpp"
#include "sluice/sink.hpp"

namespace sluice::plugins::postgres {

enum class Mode { append, upsert };

inline constexpr sluice_option option_table[] = {
    option(
        "connection", SLUICE_OPTION_STRING,
        "A URI (`postgresql://user@host/database?sslmode=verify-full`) or libpq's `key=value` words; "
        "its password may come from `${credential:…}` or libpq's own files.")
        .required()
        .secret(),
    option("table", SLUICE_OPTION_STRING,
           "`table` or `schema.table`; taken as written, so `Orders` is not `orders`.")
        .required(),
    option("mode", SLUICE_OPTION_CHOICE,
           "`append`: a row per record; `upsert`: a row per key, which a null value deletes.")
        .choices("append|upsert")
        .by_default("append"),
    option("key", SLUICE_OPTION_JSON,
           "With `mode: upsert`: the columns of a unique index or primary key, such as `[id]`."),
    option(
        "columns", SLUICE_OPTION_JSON,
        "How columns are filled, a map of names to `{from, type}`; others keep their own defaults. "
        "Without it: topic, partition, offset, timestamp, key, value."),
    option("createTable", SLUICE_OPTION_BOOL,
           "Create the table when it is missing, with the types of `columns`; with `mode: upsert`, the key "
           "as primary key.")
        .by_default("false"),
    option("connections", SLUICE_OPTION_INT,
           "Connections that write at once; more than 1 go through unlogged staging tables.")
        .by_default("1")
        .between(1, 32),
    option("connectTimeout", SLUICE_OPTION_DURATION, "Longest wait for a connection.")
        .by_default("10s")
        .between(1000, 600'000),
    option("lockTimeout", SLUICE_OPTION_DURATION,
           "Longest wait for a lock in the database; then the batch is run again.")
        .by_default("30s")
        .between(100, 3'600'000),
    option("timeout", SLUICE_OPTION_DURATION,
           "Longest wait for the server's answer to one statement, or until it takes more rows; once the "
           "daemon is being stopped, 10 s.")
        .by_default("10m")
        .between(1000, 86'400'000),
};

struct Options {
    std::string connection;
    std::string schema;  ///< empty: the first of the search path that has the table
    std::string table;
    Mode mode = Mode::append;
    std::vector<Column> columns;
    std::vector<std::size_t> key;  ///< places in `columns`
    bool create_table = false;
    std::size_t connections = 1;
    std::chrono::milliseconds connect_timeout{};
    std::chrono::milliseconds lock_timeout{};
    std::chrono::milliseconds timeout{};
    // From Config::memory_max, by fit_buffers().
    std::size_t copy_piece_max = 1 << 20;  ///< bytes that libpq gets at once: it holds up to twice as many
    std::size_t late_max = 64 << 20;       ///< bytes of refused rows that wait for a second try
};

/// Throws std::invalid_argument when the options do not fit together. Touches no network; whether
/// `connection` can be read is Connection's to say.
Options read_options(const Settings& settings);

/// Makes buffers smaller where the pipeline's part of memoryMax is: half of it for libpq, of all
/// connections together, but never less than 128 KiB for each.
void fit_buffers(Options& options, const Config& config);

}  // namespace sluice::plugins::postgres
