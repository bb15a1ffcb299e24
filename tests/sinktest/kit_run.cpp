#include "tests/sinktest/kit_run.hpp"

#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "tests/support/daemon_process.hpp"

namespace sluice::test {

KitFolder::KitFolder() {
    const std::filesystem::path memory = "/dev/shm";
    const auto parent = ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
    std::string name = (parent / "sluice-kit-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder " + name);
    path_ = name;
}

KitFolder::~KitFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

void KitFolder::write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
}

std::string plugin_file(const std::string& path) { return std::string(SLUICE_TEST_BINARY_DIR) + "/" + path; }

KitRun run_kit(const std::string& plugin, const std::string& config, std::vector<std::string> more) {
    std::vector<std::string> arguments{"sink-test", plugin, config};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CommandResult result = run_command("sluice", arguments);
    return {result.code, result.out + result.err};
}

}  // namespace sluice::test
