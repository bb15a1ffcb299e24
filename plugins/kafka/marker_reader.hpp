#pragma once
// Asks the target cluster for the marker.

#include <optional>

#include "plugins/kafka/marker.hpp"
#include "plugins/kafka/options.hpp"
#include "sluice/sink.hpp"

namespace sluice::plugins::kafka {

/// The newest marker of the group, on whatever topic; nullopt: it has none. `stable`: waits for
/// transactions that are being ended. Costs a connection. Throws ClusterError.
///
/// Over a consumer that never joins: librdkafka (2.8) crashes where a producer asks and the
/// coordinator has just moved.
std::optional<Marker> read_newest_marker(const Options& options, Host host, bool stable);

}  // namespace sluice::plugins::kafka
