#pragma once
// What the machine, or the container around us, offers: the meaning of `auto`.

#include <cstdint>
#include <filesystem>
#include <optional>

namespace sluice::config {

/// The lowest memory limit of our cgroup (version 2, or 1) and those above it; nullopt without one.
/// `process` is /proc/self/cgroup, `mount` /sys/fs/cgroup, except in tests.
std::optional<std::uint64_t> cgroup_memory_limit(const std::filesystem::path& process,
                                                 const std::filesystem::path& mount);

/// `memoryMax: auto`: three quarters of the limit, leaving at least 96 MiB for what is not counted
/// (code, RocksDB, allocator), never below 32 MiB; 512 MiB without a limit.
std::uint64_t auto_memory_max(std::optional<std::uint64_t> limit);

/// `workers: auto`: processors this process may use (its affinity), or what the cgroup's quota comes
/// to, whichever is less; at least 1.
int auto_workers(const std::filesystem::path& process, const std::filesystem::path& mount);

}  // namespace sluice::config
