// option_tables PLUGIN_DIR README_DIR: writes the table of options of each plugin that is built into
// README_DIR/<plugin>/README.md.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "daemon/config/reference.hpp"

namespace {

/// False when the file could not be written. One without a place for a table stays as it is.
bool rewrite(const std::filesystem::path& readme, const sluice::sink::Plugin& plugin) {
    std::ifstream in(readme, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    const auto page = sluice::config::with_option_table(text.str(), plugin.options());
    if (!page) return true;
    std::ofstream out(readme, std::ios::binary);
    out << *page;
    out.close();
    return static_cast<bool>(out);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fputs("usage: option_tables PLUGIN_DIR README_DIR\n", stderr);
        return 64;
    }
    const auto found = sluice::sink::load_plugins(argv[1]);
    if (!found) {
        std::fprintf(stderr, "option_tables: %s\n", found.error().message.c_str());
        return 78;
    }
    for (const auto& [name, plugin] : found->plugins) {
        const std::filesystem::path readme = std::filesystem::path(argv[2]) / name / "README.md";
        if (rewrite(readme, *plugin)) continue;
        std::fprintf(stderr, "option_tables: cannot write %s\n", readme.c_str());
        return 74;
    }
    return 0;
}
