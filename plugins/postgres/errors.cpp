#include "plugins/postgres/errors.hpp"

#include <algorithm>
#include <charconv>

namespace sluice::plugins::postgres {

ErrorKind kind_of(std::string_view sqlstate) {
    if (sqlstate.size() != 5) return ErrorKind::retry;
    const std::string_view group = sqlstate.substr(0, 2);
    // Class 53: no space, no memory, no connection free. 58: the server's own I/O. 40: deadlock.
    for (const std::string_view again : {"08", "53", "57", "58", "40"})
        if (group == again) return ErrorKind::retry;
    // A lock not got in time; an open transaction that ended from outside; a standby, until it is
    // promoted.
    for (const std::string_view again : {"55P03", "25P03", "25006"})
        if (sqlstate == again) return ErrorKind::retry;
    // Data exception, constraint, CHECK OPTION of a view, RAISE in a trigger, a limit of the server
    // (an index row too large).
    for (const std::string_view row : {"22", "23", "44", "P0", "54"})
        if (group == row) return ErrorKind::row;
    return ErrorKind::fatal;
}

bool depends_on_others(std::string_view sqlstate) {
    // What a value is, too large for anything, NOT NULL and CHECK: the row itself says it all.
    const std::string_view group = sqlstate.substr(0, 2);
    return group != "22" && group != "54" && sqlstate != "23502" && sqlstate != "23514";
}

std::optional<std::uint64_t> line_of(std::string_view context) {
    // Translated by the server's language, but the number follows the table's name and a comma.
    const std::size_t copy = context.find("COPY ");
    if (copy == std::string_view::npos) return std::nullopt;
    std::string_view rest = context.substr(copy, context.find('\n', copy) - copy);
    const std::size_t comma = rest.find(", ");
    if (comma == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(comma);
    const std::size_t digit = rest.find_first_of("0123456789");
    if (digit == std::string_view::npos) return std::nullopt;
    std::uint64_t line = 0;
    std::from_chars(rest.data() + digit, rest.data() + rest.size(), line);
    if (line == 0) return std::nullopt;
    return line;
}

std::string sqlstate_in(std::string_view message) {
    for (std::size_t at = 0; (at = message.find(": ", at)) != std::string_view::npos; ++at) {
        std::size_t code = at + 2;
        while (code < message.size() && message[code] == ' ')
            ++code;
        if (code + 6 > message.size() || message[code + 5] != ':') continue;
        const std::string_view five = message.substr(code, 5);
        const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
        // Every code has a digit; the severity, which may be translated, has none.
        if (std::any_of(five.begin(), five.end(), is_digit) &&
            std::all_of(five.begin(), five.end(),
                        [&](char c) { return is_digit(c) || (c >= 'A' && c <= 'Z'); }))
            return std::string(five);
    }
    return {};
}

std::string_view remedy_of(std::string_view sqlstate) {
    if (sqlstate == "28P01" || sqlstate == "28000")
        return ": correct `connection`, or let the user in (pg_hba.conf)";
    if (sqlstate == "3D000") return ": create the database, or correct `connection`";
    if (sqlstate == "42501")
        return ": grant it (the README of this plugin lists the privileges it needs)";
    if (sqlstate == "42P01") return ": create the table, or set createTable: true";
    if (sqlstate == "42703") return ": add the column to the table, or correct `columns`";
    if (sqlstate == "3F000") return ": create the schema, or correct `table`";
    if (sqlstate == "42P10")
        return ": mode upsert needs a unique index or primary key over exactly the columns of "
               "`key`";
    if (sqlstate.substr(0, 2) == "42") return ": make the table and `columns` agree";
    return "";
}

}  // namespace sluice::plugins::postgres
