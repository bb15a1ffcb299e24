// load() alone: the one function that needs the plugin loader, so that whoever brings plugins of
// their own (tests) links without it.

#include "daemon/config/config.hpp"

namespace sluice::config {
namespace {

/// "../lib/sluice" beside the program (a build tree, a private prefix), else where plugins install to.
std::filesystem::path default_plugin_dir() {
    std::error_code code;
    const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", code);
    if (!code) {
        const auto beside = program.parent_path().parent_path() / "lib" / "sluice";
        if (std::filesystem::is_directory(beside, code)) return beside;
    }
    return SLUICE_INSTALLED_PLUGIN_DIR;
}

}  // namespace

Loaded load(const std::filesystem::path& path, const LoadOptions& options) {
    Loaded loaded = load_with_plugins(path, options, [](const std::filesystem::path& directory) {
        return sink::load_plugins(directory.empty() ? default_plugin_dir() : directory);
    });
    // The configuration says where its plugins came from, also when that was the default.
    if (loaded.config && loaded.config->plugin_dir.empty()) {
        loaded.config->plugin_dir = default_plugin_dir();
    }
    return loaded;
}

}  // namespace sluice::config
