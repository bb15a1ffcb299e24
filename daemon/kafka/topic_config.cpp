#include "daemon/kafka/topic_config.hpp"

#include <array>
#include <string_view>
#include <vector>

namespace sluice::kafka {
namespace {

constexpr const char* context = "asking for the cleanup.policy of topics";

using Resource = std::unique_ptr<rd_kafka_ConfigResource_t, Deleter<rd_kafka_ConfigResource_destroy>>;

}  // namespace

Result<std::map<std::string, std::string>> cleanup_policies(rd_kafka_t* client,
                                                            const std::set<std::string>& topics,
                                                            Milliseconds timeout) {
    std::map<std::string, std::string> policies;
    if (topics.empty()) return policies;
    std::vector<Resource> resources;
    std::vector<rd_kafka_ConfigResource_t*> pointers;
    for (const std::string& topic : topics) {
        resources.emplace_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
        pointers.push_back(resources.back().get());
    }
    const int timeout_ms = static_cast<int>(timeout.count());
    const AdminOptions options{rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS)};
    std::array<char, 256> text{};
    if (const auto set = rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms,
                                                                   text.data(), text.size());
        set != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return to_error(context, set, text.data());
    }
    const Queue queue{rd_kafka_queue_new(client)};
    rd_kafka_DescribeConfigs(client, pointers.data(), pointers.size(), options.get(), queue.get());
    // The request's own timeout ends it; the allowance is for its event to travel.
    const Event event{rd_kafka_queue_poll(queue.get(), timeout_ms + 100)};
    if (!event) return to_error(context, RD_KAFKA_RESP_ERR__TIMED_OUT);
    if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return to_error(context, code, rd_kafka_event_error_string(event.get()));
    }
    const auto* const result = rd_kafka_event_DescribeConfigs_result(event.get());
    if (result == nullptr) return to_error(context, RD_KAFKA_RESP_ERR__FAIL);
    std::size_t count = 0;
    const auto* const described = rd_kafka_DescribeConfigs_result_resources(result, &count);
    for (std::size_t i = 0; i < count; ++i) {
        std::size_t entries = 0;
        const auto* const configs = rd_kafka_ConfigResource_configs(described[i], &entries);
        for (std::size_t j = 0; j < entries; ++j) {
            if (std::string_view(rd_kafka_ConfigEntry_name(configs[j])) != "cleanup.policy") continue;
            if (const char* const value = rd_kafka_ConfigEntry_value(configs[j])) {
                policies[rd_kafka_ConfigResource_name(described[i])] = value;
            }
        }
    }
    return policies;
}

}  // namespace sluice::kafka
