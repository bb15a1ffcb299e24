#pragma once
// Logging: one line is one event with fields, about one per trigger and never one per record.
//   log::info("batch committed", {{"pipeline", name}, {"batch", id}});
// Safe for concurrent calls. Secrets never reach this module: config/ keeps them from being printed.

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace sluice::log {

enum class Level { debug, info, warning, error, off };
enum class Format {
    text,     ///< logfmt, for a terminal
    json,     ///< one JSON object per line
    journal,  ///< journald fields (PIPELINE=, TOPIC=, …); "<n>" prefixes where libsystemd is missing
};

struct Field {
    std::string_view key;
    std::string value;

    Field(std::string_view k, std::string_view v) : key(k), value(v) {}
    Field(std::string_view k, const char* v) : key(k), value(v) {}
    Field(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
    Field(std::string_view k, std::integral auto v) : key(k), value(std::to_string(v)) {}
};
using Fields = std::initializer_list<Field>;

/// Called once, before the first thread starts; text to stderr at `info` until then.
void configure(Format format, Level level);
void set_level(Level level);
Level level();
/// "debug", "info", "warning", "error", "off"; false when `name` is none of them.
bool parse_level(std::string_view name, Level& level);

void write(Level level, std::string_view event, Fields fields);

inline void debug(std::string_view event, Fields fields = {}) { write(Level::debug, event, fields); }
inline void info(std::string_view event, Fields fields = {}) { write(Level::info, event, fields); }
inline void warning(std::string_view event, Fields fields = {}) {
    write(Level::warning, event, fields);
}
inline void error(std::string_view event, Fields fields = {}) { write(Level::error, event, fields); }

}  // namespace sluice::log
