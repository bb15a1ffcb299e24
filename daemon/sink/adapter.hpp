#pragma once
// An open sink over the functions of a plugin. Every answer is checked where it enters: what sink.h
// does not allow becomes Status::fatal with a text that says the plugin is at fault. Internal to
// sink/.

#include <atomic>
#include <memory>
#include <string>

#include "daemon/sink/plugin.hpp"
#include "daemon/sink/table.hpp"

namespace sluice::sink {

/// Calls the plugin's check(); a plugin without one has nothing to say.
Result<void> check_settings(const Descriptor& plugin, const std::string& pipeline,
                            const Settings& settings);

/// What the table declares, or what the plugin says of these settings where that is less. An answer that
/// is none of the three counts as the least.
Guarantee guarantee_with(const Descriptor& plugin, const Settings& settings);

/// What the plugin says its target is; empty for one that says nothing, and for one without target().
Result<std::string> target_with(const Descriptor& plugin, const std::string& pipeline, const Settings& settings);

/// Calls the plugin's open(). The sink keeps what it needs of `plugin`; `stopping` outlives it.
OpenReply open_sink(const Descriptor& plugin, const SinkContext& context, const Settings& settings,
                    const std::atomic<bool>& stopping);

}  // namespace sluice::sink
