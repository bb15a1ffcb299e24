#pragma once
// A memory cgroup for one program, where the machine lets us make one (root; version 1 or 2).

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sluice::test {

/// Removed when destroyed; whatever runs in it has ended by then.
class MemoryCgroup {
 public:
    /// nullopt where none can be made.
    static std::optional<MemoryCgroup> make(std::uint64_t bytes);
    MemoryCgroup(MemoryCgroup&& other) noexcept;
    MemoryCgroup& operator=(MemoryCgroup&&) = delete;
    ~MemoryCgroup();

    /// A command that goes on as its arguments, inside. What needs more than there is is killed by the kernel.
    [[nodiscard]] std::vector<std::string> wrapper() const;

 private:
    explicit MemoryCgroup(std::filesystem::path folder) : folder_(std::move(folder)) {}

    std::filesystem::path folder_;
};

}  // namespace sluice::test
