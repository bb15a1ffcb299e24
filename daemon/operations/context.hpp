#pragma once
// What an operation may look at and change. Operations are what people and tools ask of sluice: each
// is a function over the store (and, where it must, the configuration and the cluster) that answers
// JSON; the same for the running daemon's API and for the offline tool.
//
// Every call blocks (store, and where said the brokers); callers serialise calls that change something.

#include <functional>
#include <memory>
#include <string>

#include "checkpoints/store.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"
#include "daemon/pipeline/source.hpp"
#include "daemon/sink/plugin.hpp"

namespace sluice::operations {

/// The plugin that a pipeline of this configuration writes through.
using PluginFinder = std::function<Result<std::shared_ptr<const sink::Plugin>>(const config::Config&,
                                                                               const config::Pipeline&)>;

struct Context {
    checkpoints::Store& store;
    const config::Config& config;
    const pipeline::SourceFactory& make_source;  ///< look-ups only: nothing is ever read
    const PluginFinder& find_plugin;  ///< for sinks that are asked about a batch, and never written to
    const Clock& clock;
};

/// What was asked for makes no sense: what, and what would.
inline Error wrong(std::string message) { return Error{ErrorCode::invalid_argument, std::move(message)}; }

/// Sources over Kafka whose consumers are never used. The factory keeps what they share alive.
pipeline::SourceFactory look_up_sources();

/// From the configuration's plugin directory.
PluginFinder plugin_files();

/// The configured pipeline. `not_found`, with the nearest name.
Result<const config::Pipeline*> configured(const Context& context, const std::string& pipeline);

/// Ok when the pipeline is configured, or has entries in the store. `not_found` otherwise.
Result<void> known(const Context& context, const std::string& pipeline);

}  // namespace sluice::operations
