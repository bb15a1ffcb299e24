#pragma once
// How this plugin's clients of librdkafka are configured.

#include "plugins/kafka/handles.hpp"
#include "plugins/kafka/options.hpp"

namespace sluice::plugins::kafka {

enum class Role {
    producer,
    lone_producer,  ///< each request has one record, so that a refusal means that one
    marker_reader,  ///< asks for the offsets of the marker group
};

/// The sink's defaults, then the user's properties, then what the sink's promise needs.
/// Throws std::invalid_argument for a property that librdkafka does not know, or whose value it
/// refuses; values of secrets are never repeated.
Conf make_conf(const Options& options, Role role);

/// Connects in the background; OAuth tokens are refreshed while nobody polls. Throws as
/// make_conf().
Handle make_client(Conf conf, Role role);

}  // namespace sluice::plugins::kafka
