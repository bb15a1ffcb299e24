#include "daemon/config/machine.hpp"

#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>

#include "daemon/base/text.hpp"

namespace sluice::config {
namespace {

/// The directory of our cgroup for version 2 ("0::/path") or a version-1 controller.
std::optional<std::filesystem::path> own_cgroup(const std::filesystem::path& process,
                                                const std::string& controller) {
    std::ifstream stream(process);
    for (std::string line; std::getline(stream, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        const bool is_ours = controller.empty() ? controllers == ",,"
                                                : controllers.find("," + controller + ",") !=
                                                      std::string::npos;
        if (is_ours) return std::filesystem::path(line.substr(second + 1)).relative_path();
    }
    return std::nullopt;
}

/// Calls `visit` with the first line of `name` in our cgroup and in each one above it.
void for_each_level(std::filesystem::path cgroup, const std::filesystem::path& mount,
                    const std::string& name, const std::function<void(const std::string&)>& visit) {
    cgroup = cgroup.lexically_normal();
    while (true) {
        std::ifstream stream(mount / cgroup / name);
        std::string line;
        if (stream && std::getline(stream, line)) visit(line);
        if (cgroup.empty() || cgroup == ".") return;
        cgroup = cgroup.parent_path();
    }
}

}  // namespace

std::optional<std::uint64_t> cgroup_memory_limit(const std::filesystem::path& process,
                                                 const std::filesystem::path& mount) {
    std::optional<std::uint64_t> lowest;
    const auto take = [&lowest](const std::string& line) {
        const auto bytes = parse_int64(line);
        // "max" is no number; version 1 says "no limit" with one close to 2^63.
        if (!bytes || *bytes <= 0 || *bytes >= (1LL << 60)) return;
        const auto limit = static_cast<std::uint64_t>(*bytes);
        lowest = std::min(lowest.value_or(limit), limit);
    };
    if (const auto cgroup = own_cgroup(process, "")) {
        for_each_level(*cgroup, mount, "memory.max", take);
    }
    if (const auto cgroup = own_cgroup(process, "memory")) {
        for_each_level(*cgroup, mount / "memory", "memory.limit_in_bytes", take);
    }
    return lowest;
}

std::uint64_t auto_memory_max(std::optional<std::uint64_t> limit) {
    constexpr std::uint64_t mib = 1U << 20;
    if (!limit) return 512 * mib;
    const std::uint64_t rest = *limit > 96 * mib ? *limit - 96 * mib : 0;
    return std::max(32 * mib, std::min(*limit / 4 * 3, rest));
}

int auto_workers(const std::filesystem::path& process, const std::filesystem::path& mount) {
    std::int64_t workers = std::max(1U, std::thread::hardware_concurrency());
    const auto take = [&workers](const std::string& line) {
        std::istringstream words(line);
        std::string quota;
        std::string period;
        words >> quota >> period;
        const auto quota_us = parse_int64(quota);
        const auto period_us = parse_int64(period);
        if (!quota_us || !period_us || *quota_us <= 0 || *period_us <= 0) return;
        const std::int64_t whole = *quota_us / *period_us + (*quota_us % *period_us != 0 ? 1 : 0);
        workers = std::clamp<std::int64_t>(whole, 1, workers);
    };
    if (const auto cgroup = own_cgroup(process, "")) for_each_level(*cgroup, mount, "cpu.max", take);
    return static_cast<int>(workers);
}

}  // namespace sluice::config
