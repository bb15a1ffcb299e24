#include "daemon/base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/text.hpp"

#ifdef SLUICE_HAVE_SYSTEMD
#include <systemd/sd-journal.h>
#endif

namespace sluice::log {
namespace {

std::atomic<Format> g_format{Format::text};
std::atomic<Level> g_level{Level::info};

spdlog::logger& logger() {
    // Line by line to stderr; the pattern is ours, because each format has its own fields.
    static const std::shared_ptr<spdlog::logger> instance = [] {
        auto made = std::make_shared<spdlog::logger>(
            "sluice", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_pattern("%v");
        made->set_level(spdlog::level::trace);
        made->flush_on(spdlog::level::trace);
        return made;
    }();
    return *instance;
}

std::string_view name_of(Level level) {
    switch (level) {
        case Level::debug: return "debug";
        case Level::info: return "info";
        case Level::warning: return "warning";
        case Level::error: return "error";
        case Level::off: return "off";
    }
    return "info";
}

int syslog_priority(Level level) {
    switch (level) {
        case Level::debug: return 7;
        case Level::info: return 6;
        case Level::warning: return 4;
        case Level::error:
        case Level::off: return 3;
    }
    return 6;
}

bool needs_quotes(std::string_view value) {
    if (value.empty()) return true;
    for (const char c : value) {
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return true;
    }
    return false;
}

std::string as_text(std::string_view event, Fields fields) {
    std::string line(event);
    for (const Field& field : fields) {
        line += ' ';
        line += field.key;
        line += '=';
        line += needs_quotes(field.value) ? json_quoted(field.value) : field.value;
    }
    return line;
}

std::string as_json(Level level, std::string_view event, Fields fields) {
    std::string line = "{\"time\":\"" + to_iso8601(system_clock().wall()) + "\",\"level\":\"";
    line += name_of(level);
    line += "\",\"event\":" + json_quoted(event);
    for (const Field& field : fields) {
        line += ',' + json_quoted(field.key) + ':' + json_quoted(field.value);
    }
    return line + '}';
}

void to_journal(Level level, std::string_view event, Fields fields) {
#ifdef SLUICE_HAVE_SYSTEMD
    std::vector<std::string> entries{"MESSAGE=" + as_text(event, fields),
                                     "PRIORITY=" + std::to_string(syslog_priority(level)),
                                     "SYSLOG_IDENTIFIER=sluiced"};
    for (const Field& field : fields) entries.push_back(upper(field.key) + '=' + field.value);
    std::vector<iovec> parts;
    for (std::string& entry : entries) parts.push_back({entry.data(), entry.size()});
    if (sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) == 0) return;
#endif
    logger().info("<{}>{}", syslog_priority(level), as_text(event, fields));
}

}  // namespace

void configure(Format format, Level level) {
    g_format = format;
    g_level = level;
    (void)logger();
}

void set_level(Level level) { g_level = level; }
Level level() { return g_level; }

bool parse_level(std::string_view name, Level& level) {
    for (const Level candidate :
         {Level::debug, Level::info, Level::warning, Level::error, Level::off}) {
        if (name == name_of(candidate)) {
            level = candidate;
            return true;
        }
    }
    return false;
}

void write(Level level, std::string_view event, Fields fields) {
    if (level < g_level.load(std::memory_order_relaxed)) return;
    switch (g_format.load(std::memory_order_relaxed)) {
        case Format::text:
            logger().info("{} {:<7} {}", to_iso8601(system_clock().wall()), name_of(level),
                          as_text(event, fields));
            break;
        case Format::json: logger().info("{}", as_json(level, event, fields)); break;
        case Format::journal: to_journal(level, event, fields); break;
    }
}

}  // namespace sluice::log
