#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "checkpoints/codec.hpp"
#include "checkpoints/rocksdb_backend.hpp"

namespace sluice::checkpoints {

/// The format this build reads and writes; README.md has it byte by byte.
inline constexpr std::uint64_t current_format = 1;

/// The stamp of this build.
FormatStamp current_stamp();

/// `configuration` when a newer sluice wrote the store: names the version that reads it.
Result<void> check_not_newer(const std::filesystem::path& directory, const FormatStamp& found);

/// Brings an open store of an older format up to `current_format`, in one write, after leaving a
/// hard-linked copy `before-<this version>` beside it. Logs the way back.
Result<void> upgrade(RocksDbBackend& store, const std::filesystem::path& directory,
                     const FormatStamp& found);

}  // namespace sluice::checkpoints
