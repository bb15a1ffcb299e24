#pragma once
// From a plugin's table, as it lies in foreign memory, to a checked copy of our own.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/sink/plugin.hpp"
#include "sluice/sink.h"

namespace sluice::sink {

/// A plugin's table, copied and checked: nothing in it points into the plugin but functions.
struct Descriptor {
    std::string name;
    std::string version;
    std::string sentence;
    Guarantee guarantee = Guarantee::at_least_once;
    bool ordered = false;
    std::vector<Option> options;
    sluice_sink_api api{};  ///< functions that the plugin's build did not know are NULL
};

/// Reads no field that struct_size (or option_size) does not cover. What is longer than our own
/// headers' tables is newer, and its tail is ignored; flags we do not know are ignored as well.
///
/// `expected_name`  what the file's name promises.
/// Errors: `configuration`: what is wrong and what to do, without the file, which the caller knows.
Result<Descriptor> read_table(const sluice_sink_plugin* table, std::string_view expected_name);

/// A plugin that did not come from a file of its own: for tests, and for plugins linked in.
/// `file` is what Plugin::file() answers.
Result<std::shared_ptr<const Plugin>> plugin_from_table(const sluice_sink_plugin* table,
                                                        std::string_view expected_name,
                                                        const std::filesystem::path& file);

}  // namespace sluice::sink
