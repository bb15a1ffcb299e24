#pragma once
// Every record by topic, partition, offset and content: what Kafka shows, what a sink has, compared.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "daemon/plan/types.hpp"

namespace sluice::test {

struct Entry {
    std::int64_t offset = 0;
    std::uint64_t content = 0;  ///< hash of the value; 0 for null
    auto operator<=>(const Entry&) const = default;
};
/// In the order found, so that a duplicate is seen as one.
using Ledger = std::map<plan::TopicPartition, std::vector<Entry>>;

/// What a read_committed consumer sees between the low watermark and the end.
Ledger visible_in_kafka(const std::string& bootstrap, const std::vector<std::string>& topics);

/// JSON Lines of the file sink below `folder`, `.gz` and `.zst` too; names that begin with '.' or '_'
/// are not output.
Ledger delivered_in(const std::filesystem::path& folder);

std::uint64_t count(const Ledger& ledger);

/// Empty when both hold the same records, each once; else the first differences, for a person.
std::string difference(const Ledger& expected, const Ledger& actual);

}  // namespace sluice::test
