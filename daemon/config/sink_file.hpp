#pragma once
// A file that holds one sink section and nothing else: `plugin: file`, `path: …`.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/config/config.hpp"

namespace sluice::config {

struct LoadedSink {
    std::optional<Sink> sink;  ///< set when no finding is an error
    std::vector<Finding> findings;
};

/// Reads and checks it like the sink of the pipeline `name`: references, the plugin's options, its own
/// check, no path inside `data_dir` (empty: there is none). Relative paths are relative to the file. Never throws; blocks on
/// files only.
LoadedSink load_sink(const std::filesystem::path& path, const std::string& name,
                     const std::filesystem::path& data_dir,
                     const std::map<std::string, std::shared_ptr<const sink::Plugin>>& plugins);

/// All errors in one message, code `configuration`.
Error to_error(const LoadedSink& loaded);

}  // namespace sluice::config
