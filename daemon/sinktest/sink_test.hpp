#pragma once
// The kit for authors of sinks: drives a plugin as the daemon does, kills it, looks at the target, and
// says which guarantee that leaves possible.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/sink/plugin.hpp"
#include "daemon/sinktest/report.hpp"

namespace sluice::sinktest {

struct Options {
    std::shared_ptr<const sink::Plugin> plugin;
    sink::Settings settings;
    /// A shell command that prints every visible record, one a line (visible.hpp), and ends with 0.
    std::optional<std::string> reader;
    /// Every value a JSON object: for targets that keep nothing else, or take a null as a deletion.
    bool json_values = false;
    std::optional<std::string> bad_value;  ///< that the sink must refuse
    std::optional<std::string> down;       ///< shell commands that take the target away
    std::optional<std::string> up;         ///< … and bring it back
    std::uint64_t seed = 0;
    int rounds = 10;                          ///< of the scenarios that are random
    Milliseconds call_timeout{60'000};        ///< a call that takes longer hangs
    std::optional<std::filesystem::path> out;  ///< what the plugin prints is appended there
    std::optional<std::string> scenario;      ///< this one alone
    std::function<void(std::size_t done, std::size_t total)> progress = [](auto, auto) {};
};

/// The names of the scenarios, in order.
std::vector<std::string> scenario_names();

/// The pipeline and topics that a run with this seed uses: "sink-test-SEED".
std::string pipeline_of(std::uint64_t seed);

/// Forks: the process must have no other thread, and should have opened nothing of the plugin's.
/// Errors: `failed` when the reader or another command of the author fails, or the target already has
/// records of this seed. What the sink does wrong is in the report.
Result<Report> run(const Options& options);

}  // namespace sluice::sinktest
