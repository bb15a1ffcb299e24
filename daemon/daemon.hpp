#pragma once
// The process: configuration, lock, store, engine, doors, signals; from start to exit code.

#include <filesystem>
#include <optional>
#include <string>

namespace sluice {

struct DaemonOptions {
    std::filesystem::path config;
    std::optional<std::filesystem::path> data_dir;
    std::optional<std::filesystem::path> plugin_dir;
    bool check_only = false;           ///< `--check`: validate, print what is wrong, and end
};

/// Runs until SIGTERM, or until every pipeline is done. Answers the exit code (design: 0, 1, 69, 70,
/// 74, 75, 78); what was wrong has been logged, or printed when only checking.
int run_daemon(const DaemonOptions& options);

}  // namespace sluice
