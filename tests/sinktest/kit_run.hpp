#pragma once
// `sluice sink-test` as an author runs it.

#include <filesystem>
#include <string>
#include <vector>

namespace sluice::test {

/// A folder of its own, removed at the end: in memory where there is such a file system, since what is
/// tested is the order of calls, and a disk shared with other tests would take minutes for the fsyncs.
class KitFolder {
 public:
    KitFolder();
    ~KitFolder();
    KitFolder(const KitFolder&) = delete;
    KitFolder& operator=(const KitFolder&) = delete;
    [[nodiscard]] std::string path(const std::string& name) const { return (path_ / name).string(); }
    void write(const std::string& name, const std::string& text) const;

 private:
    std::filesystem::path path_;
};

/// A file of the build.
std::string plugin_file(const std::string& path);

struct KitRun {
    int code = -1;
    std::string text;  ///< both outputs
    [[nodiscard]] bool says(const std::string& part) const { return text.find(part) != std::string::npos; }
};

/// Runs the tool to its end.
KitRun run_kit(const std::string& plugin, const std::string& config, std::vector<std::string> more);

}  // namespace sluice::test
