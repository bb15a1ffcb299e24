#include "daemon/kafka/topic_lookup.hpp"

#include <algorithm>
#include <array>

#include "daemon/kafka/offset_lookup.hpp"

namespace sluice::kafka {
namespace {

using Collection =
    std::unique_ptr<rd_kafka_TopicCollection_t, Deleter<rd_kafka_TopicCollection_destroy>>;
using Metadata = std::unique_ptr<const rd_kafka_metadata_t, Deleter<rd_kafka_metadata_destroy>>;

std::string id_of(const rd_kafka_TopicDescription_t* topic) {
    const rd_kafka_Uuid_t* const id = rd_kafka_TopicDescription_topic_id(topic);
    if (id == nullptr) return {};
    // Brokers older than 2.8 have no ids and answer zero.
    if (rd_kafka_Uuid_most_significant_bits(id) == 0 &&
        rd_kafka_Uuid_least_significant_bits(id) == 0) {
        return {};
    }
    return rd_kafka_Uuid_base64str(id);
}

TopicInfo info_of(const rd_kafka_TopicDescription_t* topic) {
    TopicInfo info;
    if (const rd_kafka_error_t* const error = rd_kafka_TopicDescription_error(topic)) {
        info.error = rd_kafka_error_code(error);
    }
    info.topic_id = id_of(topic);
    std::size_t count = 0;
    const auto* const partitions = rd_kafka_TopicDescription_partitions(topic, &count);
    for (std::size_t i = 0; i < count; ++i) {
        info.partitions.push_back(rd_kafka_TopicPartitionInfo_partition(partitions[i]));
    }
    std::sort(info.partitions.begin(), info.partitions.end());
    return info;
}

TopicInfo info_of(const rd_kafka_metadata_topic_t& topic) {
    TopicInfo info;
    info.error = topic.err;
    for (int i = 0; i < topic.partition_cnt; ++i)
        info.partitions.push_back(topic.partitions[i].id);
    std::sort(info.partitions.begin(), info.partitions.end());
    return info;
}

/// A topic with partitions exists, whatever else the broker says of it: one of them without a
/// leader is found out when its offsets are asked for.
void add(Topics& topics, std::string name, TopicInfo info) {
    if (!info.partitions.empty()) info.error = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (is_missing(info.error)) return;
    topics.emplace(std::move(name), std::move(info));
}

}  // namespace

TopicsAnswer describe_topics(rd_kafka_t* client, const std::set<std::string>& names,
                             Milliseconds timeout) {
    std::vector<const char*> pointers;
    pointers.reserve(names.size());
    for (const std::string& name : names)
        pointers.push_back(name.c_str());
    const Collection collection{
        rd_kafka_TopicCollection_of_topic_names(pointers.data(), pointers.size())};

    const int timeout_ms = static_cast<int>(timeout.count());
    const AdminOptions options{rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS)};
    std::array<char, 256> text{};
    const auto set = rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms,
                                                               text.data(), text.size());
    if (set != RD_KAFKA_RESP_ERR_NO_ERROR) return {set, {}};

    const Queue queue{rd_kafka_queue_new(client)};
    rd_kafka_DescribeTopics(client, collection.get(), options.get(), queue.get());
    // The request's own timeout ends it; the allowance is for its event to travel.
    const Event event{rd_kafka_queue_poll(queue.get(), timeout_ms + 100)};
    if (!event) return {RD_KAFKA_RESP_ERR__TIMED_OUT, {}};
    if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return {code, {}};
    }
    const auto* const result = rd_kafka_event_DescribeTopics_result(event.get());
    if (result == nullptr) return {RD_KAFKA_RESP_ERR__FAIL, {}};

    TopicsAnswer answer;
    std::size_t count = 0;
    const auto* const described = rd_kafka_DescribeTopics_result_topics(result, &count);
    for (std::size_t i = 0; i < count; ++i) {
        add(answer.topics, rd_kafka_TopicDescription_name(described[i]), info_of(described[i]));
    }
    return answer;
}

ConfigsAnswer describe_configs(rd_kafka_t* client, const std::set<std::string>& topics,
                               Milliseconds timeout) {
    using Resource =
        std::unique_ptr<rd_kafka_ConfigResource_t, Deleter<rd_kafka_ConfigResource_destroy>>;
    std::vector<Resource> resources;
    std::vector<rd_kafka_ConfigResource_t*> pointers;
    for (const std::string& topic : topics) {
        resources.emplace_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
        pointers.push_back(resources.back().get());
    }
    const int timeout_ms = static_cast<int>(timeout.count());
    const AdminOptions options{
        rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS)};
    std::array<char, 256> text{};
    const auto set = rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms,
                                                               text.data(), text.size());
    if (set != RD_KAFKA_RESP_ERR_NO_ERROR) return {set, {}};
    const Queue queue{rd_kafka_queue_new(client)};
    rd_kafka_DescribeConfigs(client, pointers.data(), pointers.size(), options.get(), queue.get());
    const Event event{rd_kafka_queue_poll(queue.get(), timeout_ms + 100)};
    if (!event) return {RD_KAFKA_RESP_ERR__TIMED_OUT, {}};
    if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return {code, {}};
    }
    const auto* const result = rd_kafka_event_DescribeConfigs_result(event.get());
    if (result == nullptr) return {RD_KAFKA_RESP_ERR__FAIL, {}};
    ConfigsAnswer answer;
    std::size_t count = 0;
    const auto* const described = rd_kafka_DescribeConfigs_result_resources(result, &count);
    for (std::size_t i = 0; i < count; ++i) {
        if (rd_kafka_ConfigResource_error(described[i]) != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
        auto& values = answer.topics[rd_kafka_ConfigResource_name(described[i])];
        std::size_t entries = 0;
        const auto* const list = rd_kafka_ConfigResource_configs(described[i], &entries);
        for (std::size_t e = 0; e < entries; ++e) {
            const char* const value = rd_kafka_ConfigEntry_value(list[e]);
            if (value != nullptr) values[rd_kafka_ConfigEntry_name(list[e])] = value;
        }
    }
    return answer;
}

TopicsAnswer all_topics(rd_kafka_t* client, Milliseconds timeout) {
    const rd_kafka_metadata_t* raw = nullptr;
    const auto code =
        rd_kafka_metadata(client, 1, nullptr, &raw, static_cast<int>(timeout.count()));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return {code, {}};
    const Metadata metadata{raw};
    TopicsAnswer answer;
    for (int i = 0; i < metadata->topic_cnt; ++i) {
        const rd_kafka_metadata_topic_t& topic = metadata->topics[i];
        add(answer.topics, topic.topic, info_of(topic));
    }
    return answer;
}

int refresh_brokers(rd_kafka_t* client, Milliseconds timeout) {
    const rd_kafka_metadata_t* raw = nullptr;
    const auto code = rd_kafka_metadata(client, 0, nullptr, &raw, static_cast<int>(timeout.count()));
    const Metadata metadata{raw};
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? metadata->broker_cnt : 0;
}

}  // namespace sluice::kafka
