#pragma once
// How things are called below `path`. Pure.

#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/sink.hpp"

namespace sluice::plugins::file {

inline constexpr const char* owner_file = "_sluice.json";
inline constexpr const char* manifests_directory = "_batches";
/// The file that grows in append mode, without its extension.
inline constexpr const char* current_stem = "current";

/// 20 digits: an int64 or uint64 so that names sort as numbers do.
std::string padded(std::uint64_t number);
/// "<from>-<until>", both padded: of offsets or of batch ids.
std::string padded_pair(std::uint64_t from, std::uint64_t until);

/// The directory of a topic: its name, with what would be mistaken for something else as %XX ('%' is
/// in no topic name): a leading '.', which means unfinished, the first letter of a name of ours, and
/// every character that Kafka allows in no topic. Fatal for "", "." and "..".
std::string topic_directory(std::string_view topic);
std::string partition_directory(std::int32_t partition);

/// "_812.json" in `_batches`.
std::string manifest_name(std::uint64_t batch);
/// ".batch-812": the directory of what is unfinished.
std::string staging_name(std::uint64_t batch);
/// The batch of a staging directory's name; false when it is none.
bool parse_staging_name(std::string_view name, std::uint64_t& batch);

/// 16 hex digits that two plans share only when they have the same ranges (FNV-1a, 64 bits).
std::string plan_fingerprint(const Ranges& ranges);

}  // namespace sluice::plugins::file
