#include "tests/support/topic_reader.hpp"

#include <librdkafka/rdkafka.h>

#include <array>
#include <iostream>
#include <set>
#include <stdexcept>

#include "daemon/kafka/handles.hpp"
#include "daemon/plan/types.hpp"

namespace sluice::test {
namespace {

using kafka::Client;
using kafka::Conf;
using kafka::Deleter;
using kafka::Message;
using kafka::PartitionList;
using plan::TopicPartition;

Client connect(const std::string& bootstrap, const std::string& isolation) {
    std::array<char, 512> error{};
    Conf conf{rd_kafka_conf_new()};
    for (const auto& [name, value] :
         std::vector<std::pair<std::string, std::string>>{{"bootstrap.servers", bootstrap},
                                                          {"group.id", "sluice-test-reader"},
                                                          {"enable.auto.commit", "false"},
                                                          {"enable.partition.eof", "true"},
                                                          {"auto.offset.reset", "earliest"},
                                                          {"fetch.wait.max.ms", "50"},
                                                          {"isolation.level", isolation}}) {
        rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), error.data(), error.size());
    }
    Client consumer{rd_kafka_new(RD_KAFKA_CONSUMER, conf.get(), error.data(), error.size())};
    if (!consumer) throw std::runtime_error(error.data());
    (void)conf.release();
    rd_kafka_poll_set_consumer(consumer.get());
    return consumer;
}

int partitions_of(rd_kafka_t* client, const std::string& topic) {
    const std::unique_ptr<rd_kafka_topic_t, Deleter<rd_kafka_topic_destroy>> handle{
        rd_kafka_topic_new(client, topic.c_str(), nullptr)};
    const rd_kafka_metadata_t* metadata = nullptr;
    if (rd_kafka_metadata(client, 0, handle.get(), &metadata, 20'000) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        throw std::runtime_error("no metadata of " + topic);
    }
    const int count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    return count;
}

/// Where the client is stuck; empty when it has read everything.
std::string read_once(const std::string& bootstrap, const std::vector<std::string>& topics, const std::string& isolation,
                      const std::function<void(const rd_kafka_message_t&)>& take) {
    constexpr int patience_ms = 15'000;
    const Client consumer = connect(bootstrap, isolation);
    const PartitionList list{rd_kafka_topic_partition_list_new(8)};
    std::set<TopicPartition> open;  // their ends may be told more than once
    for (const std::string& topic : topics) {
        const int count = partitions_of(consumer.get(), topic);
        for (int p = 0; p < count; ++p) {
            rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), p)->offset = RD_KAFKA_OFFSET_BEGINNING;
            open.insert({topic, p});
        }
    }
    rd_kafka_assign(consumer.get(), list.get());
    std::int64_t taken = 0;
    while (!open.empty()) {
        const Message message{rd_kafka_consumer_poll(consumer.get(), patience_ms)};
        if (!message) {
            std::string stuck = "Kafka shows no end of";
            for (const auto& partition : open) (stuck += ' ') += plan::to_string(partition);
            return stuck + ", after " + std::to_string(taken) + " records";
        }
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            open.erase({rd_kafka_topic_name(message->rkt), message->partition});
        } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            ++taken;
            take(*message);
        }
    }
    rd_kafka_consumer_close(consumer.get());
    return "";
}

}  // namespace

void read_topics(const std::string& bootstrap, const std::vector<std::string>& topics, const std::string& isolation,
                 const std::function<void()>& begin, const std::function<void(const rd_kafka_message_t&)>& take) {
    std::string stuck;
    for (int client = 0; client < 3; ++client) {
        begin();
        stuck = read_once(bootstrap, topics, isolation, take);
        if (stuck.empty()) return;
        std::cerr << "a client is stuck: " << stuck << std::endl;  // what is in the log is the question
    }
    throw std::runtime_error(stuck);
}

}  // namespace sluice::test
