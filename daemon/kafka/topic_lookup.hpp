#pragma once
// Which topics and partitions there are: librdkafka's two ways of asking, and when which one
// answers. Included by daemon/kafka/*.cpp only.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/kafka/handles.hpp"

namespace sluice::kafka {

struct TopicInfo {
    std::string topic_id;                  ///< base64 as Kafka prints it; empty = unknown
    std::vector<std::int32_t> partitions;  ///< ids, ascending
    /// Set when the topic exists and can't be described.
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
};
using Topics = std::map<std::string, TopicInfo>;

/// An answer, or the code why there is none.
struct TopicsAnswer {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    Topics
        topics;  ///< those that exist; Kafka's own (__consumer_offsets, …) only when asked by name
};

/// DescribeTopics of exactly these names (not empty): the only request that tells topic ids. Never
/// creates a topic. The mock cluster does not answer it at all.
TopicsAnswer describe_topics(rd_kafka_t* client, const std::set<std::string>& names,
                             Milliseconds timeout);

/// All topics of the cluster this principal may see, without ids. Asking for all never creates one,
/// whereas librdkafka's request for some may, where the broker is set up to.
TopicsAnswer all_topics(rd_kafka_t* client, Milliseconds timeout);

/// Has librdkafka learn anew which brokers there are, and which of them it takes for the controller.
/// Answers how many there are; 0 when nobody tells within `timeout`.
int refresh_brokers(rd_kafka_t* client, Milliseconds timeout);

struct ConfigsAnswer {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    std::map<std::string, std::map<std::string, std::string>> topics;  ///< topic → key → value
};

/// Configurations of topics, not empty; those that can't be described are left out.
ConfigsAnswer describe_configs(rd_kafka_t* client, const std::set<std::string>& topics,
                               Milliseconds timeout);

}  // namespace sluice::kafka
