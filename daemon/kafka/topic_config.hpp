#pragma once
// DescribeConfigs: what the brokers do to records that lie there.
// Included by daemon/kafka/*.cpp only.

#include <map>
#include <set>
#include <string>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/kafka/handles.hpp"

namespace sluice::kafka {

/// cleanup.policy of each topic: "delete", "compact", "compact,delete". Topics whose configuration
/// may not be read (ACL DESCRIBE_CONFIGS), or that are gone, are left out. One request.
/// Errors: `unavailable` (retriable) when no broker answers.
Result<std::map<std::string, std::string>> cleanup_policies(rd_kafka_t* client,
                                                            const std::set<std::string>& topics,
                                                            Milliseconds timeout);

}  // namespace sluice::kafka
