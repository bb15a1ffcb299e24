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

/// Dead letters are checked but not written yet: a configuration that counts on them is refused rather
/// than half obeyed.
void refuse_dead_letters(const std::filesystem::path& path, Loaded& loaded) {
    if (!loaded.config) return;
    bool refused = false;
    for (const Pipeline& pipeline : loaded.config->pipelines) {
        if (pipeline.errors.tolerance == Errors::Tolerance::none) continue;
        refused = true;
        loaded.findings.push_back(
            {path.string(), 0, 0, "pipeline '" + pipeline.name + "': errors.tolerance",
             "this version writes no dead letters: leave errors out; a refused record then stops the "
             "pipeline, and `sluice offsets skip` steps over it",
             true});
    }
    if (refused) loaded.config.reset();
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
    refuse_dead_letters(path, loaded);
    return loaded;
}

}  // namespace sluice::config
