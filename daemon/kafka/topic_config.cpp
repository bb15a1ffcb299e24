#include "daemon/kafka/topic_config.hpp"

#include "daemon/kafka/topic_lookup.hpp"

namespace sluice::kafka {

Result<std::map<std::string, std::string>> cleanup_policies(rd_kafka_t* client,
                                                            const std::set<std::string>& topics,
                                                            Milliseconds timeout) {
    std::map<std::string, std::string> policies;
    if (topics.empty()) return policies;
    const ConfigsAnswer answer = describe_configs(client, topics, timeout);
    if (answer.code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return to_error("asking for the cleanup.policy of topics", answer.code);
    }
    for (const auto& [topic, values] : answer.topics) {
        if (const auto found = values.find("cleanup.policy"); found != values.end()) {
            policies[topic] = found->second;
        }
    }
    return policies;
}

}  // namespace sluice::kafka
