#pragma once
// What a pipeline's sink is opened with.

#include <string>

#include "checkpoints/store.hpp"
#include "daemon/config/config.hpp"
#include "daemon/sink/plugin.hpp"

namespace sluice::pipeline {

/// With the name that the sink has known the pipeline by from the first. An unfinished plan is asked for again under its own id; the last receipt goes to the plugin and target
/// that gave it, and to no other.
sink::SinkContext sink_context(const config::Pipeline& pipeline, const std::string& cluster_id,
                               const checkpoints::PipelineState& state);

}  // namespace sluice::pipeline
