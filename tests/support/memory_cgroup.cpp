#include "tests/support/memory_cgroup.hpp"

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <system_error>
#include <utility>

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

bool write(const fs::path& file, std::uint64_t value) {
    std::ofstream out(file);
    out << value << std::flush;
    return out.good();
}

}  // namespace

std::optional<MemoryCgroup> MemoryCgroup::make(std::uint64_t bytes) {
    static std::atomic<int> count{0};
    const std::string name = "sluice-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
    for (const auto& [root, limit] : {std::pair{"/sys/fs/cgroup", "memory.max"},
                                      std::pair{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}}) {
        const fs::path folder = fs::path(root) / name;
        std::error_code error;
        if (!fs::create_directory(folder, error)) continue;
        MemoryCgroup made(folder);
        // Where memory is not under control here, there is no such file, and none can be made.
        if (fs::exists(folder / limit, error) && write(folder / limit, bytes)) return made;
    }
    return std::nullopt;
}

MemoryCgroup::MemoryCgroup(MemoryCgroup&& other) noexcept : folder_(std::exchange(other.folder_, {})) {}

MemoryCgroup::~MemoryCgroup() {
    if (!folder_.empty()) ::rmdir(folder_.c_str());
}

std::vector<std::string> MemoryCgroup::wrapper() const {
    return {"/bin/sh", "-c", R"(echo $$ > "$0" && exec "$@")", folder_ / "cgroup.procs"};
}

}  // namespace sluice::test
