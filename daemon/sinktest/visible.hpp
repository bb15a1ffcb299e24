#pragma once
// What the target shows, as the author's reader prints it. Pure. Internal to the module.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/sinktest/records.hpp"

namespace sluice::sinktest {

struct VisibleRecord {
    RecordId id;
    std::optional<Bytes> key;    ///< nullopt: the reader doesn't show it
    std::optional<Bytes> value;
    std::optional<std::vector<std::pair<std::string, Bytes>>> headers{};
    std::optional<std::optional<std::int64_t>> timestamp_ms{};  ///< nullopt within: it has none
};

struct Visible {
    std::vector<VisibleRecord> records;
    std::uint64_t other_lines = 0;  ///< that say no record: cut short, or another format
    std::string first_other_line;
};

/// One record a line, either
///   orders 0 8123
/// or a JSON object with these names, those of `format: json` of our own sinks:
///   {"topic":"orders","partition":0,"offset":8123,"key":"k","valueBase64":"/w=="}
/// where `key`, `value` (a text or null) or `keyBase64`, `valueBase64` are compared with what was
/// written, and so are `headers` ([["name", "value"], …], bytes as {"base64": …}) and `timestamp`
/// (milliseconds, or null). What has another type is not. Empty lines are passed over, other fields too.
Visible parse_visible(std::string_view text);

}  // namespace sluice::sinktest
