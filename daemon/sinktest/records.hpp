#pragma once
// What stands at an offset: a function of the seed, so that both processes know it without telling
// each other. Pure. Internal to the module.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sluice::sinktest {

/// nullopt is Kafka's null.
using Bytes = std::optional<std::string>;

struct TestRecord {
    Bytes key;
    Bytes value;
    std::vector<std::pair<std::string, Bytes>> headers;
    std::int64_t timestamp_ms = 0;
    std::int32_t timestamp_type = 0;
};

/// Which record is meant, within one run.
struct RecordId {
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    auto operator<=>(const RecordId&) const = default;
};
/// "orders/0@8123", as the tool writes it.
std::string to_string(const RecordId& id);

/// What the records of a batch are like.
enum class Flavor : std::uint8_t {
    plain,    ///< each value a JSON object that says which record it is
    odd,      ///< nulls, NUL bytes, no UTF-8, a megabyte, …
    refused,  ///< some have the value that the sink must refuse
};

/// What all records of a run have in common.
struct Recipe {
    std::uint64_t seed = 0;
    bool json_values = false;         ///< every value is a JSON object, odd ones too
    std::optional<std::string> bad;   ///< the value that the sink must refuse
};

/// nullopt where the log has a gap, as compaction and transactions leave them.
std::optional<TestRecord> record_at(const Recipe& recipe, Flavor flavor, const RecordId& id);

bool is_gap(const Recipe& recipe, const RecordId& id);
/// Whether the record has the value that the sink must refuse.
bool is_bad(const Recipe& recipe, Flavor flavor, const RecordId& id);

}  // namespace sluice::sinktest
