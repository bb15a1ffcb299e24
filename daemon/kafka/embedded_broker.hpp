#pragma once
// librdkafka's mock cluster as a broker inside the process: the demo and unit-level tests. It ignores
// isolation levels and never answers DescribeTopics: nothing about either is tested on it.

#include <memory>
#include <string>

#include "daemon/base/result.hpp"

namespace sluice::kafka {

/// Lives until destroyed. Safe for concurrent calls.
class EmbeddedBroker {
 public:
    static Result<std::unique_ptr<EmbeddedBroker>> start(int brokers = 1);
    virtual ~EmbeddedBroker() = default;
    [[nodiscard]] virtual std::string bootstrap_servers() const = 0;
    virtual Result<void> create_topic(const std::string& topic, int partitions) = 0;
};

}  // namespace sluice::kafka
