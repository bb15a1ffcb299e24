#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "daemon/base/result.hpp"

namespace sluice::checkpoints {

/// What is wrong with one write-ahead log.
struct LogFault {
    std::uint64_t at = 0;        ///< the first byte that makes no sense
    bool cut = false;            ///< the file ends inside a record: a write that never returned
    bool entries_follow = false;  ///< whole entries come after it in the same file
};

/// The first fault of a log of RocksDB (blocks of 32 KiB, records with CRC-32C), nullopt when whole.
std::optional<LogFault> find_fault(std::string_view log);

/// Looks for holes in the write-ahead logs (*.log) of `directory`.
///
/// RocksDB recovers up to the first fault and drops what follows without a word. That is right for a
/// torn tail, which was never acknowledged, and wrong for everything else: an entry is only written
/// after the one before it was synced, so a fault with entries behind it took synced entries with it.
///
/// Errors: `storage`, naming file and byte.
Result<void> check_logs(const std::filesystem::path& directory);

}  // namespace sluice::checkpoints
