#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "daemon/config/reference.hpp"

using namespace sluice;

TEST_CASE("the table of options in each plugin's README is what the plugin says") {
    const auto found = sink::load_plugins(std::string(SLUICE_TEST_BINARY_DIR) + "/lib/sluice");
    REQUIRE(found);
    CHECK(found->broken.empty());
    CHECK(found->plugins.size() >= 5);
    for (const auto& [name, plugin] : found->plugins) {
        CAPTURE(name);
        std::ifstream in(std::filesystem::path(SLUICE_TEST_SOURCE_DIR) / "plugins" / name / "README.md",
                         std::ios::binary);
        std::ostringstream text;
        text << in.rdbuf();
        const auto page = config::with_option_table(text.str(), plugin->options());
        if (plugin->options().empty()) continue;
        REQUIRE_MESSAGE(page, "the README has no place for the table: <!-- options -->, <!-- end of options -->");
        const bool is_current = *page == text.str();
        CHECK_MESSAGE(is_current, "plugins/" << name << "/README.md is stale: cmake --build --preset dev "
                                                        "--target plugin_option_tables");
    }
}
