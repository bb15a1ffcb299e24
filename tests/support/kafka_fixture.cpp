#include "tests/support/kafka_fixture.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <thread>

#include "daemon/kafka/handles.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using kafka::AdminOptions;
using kafka::Client;
using kafka::Conf;
using kafka::Deleter;
using kafka::ErrorHandle;
using kafka::Event;
using kafka::PartitionList;
using kafka::Queue;
using Metadata = std::unique_ptr<const rd_kafka_metadata_t, Deleter<rd_kafka_metadata_destroy>>;

constexpr int timeout_ms = 30'000;

[[noreturn]] void fail(const std::string& what, const std::string& why) {
    throw std::runtime_error(what + ": " + why);
}

void check(const std::string& what, rd_kafka_resp_err_t code) {
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) fail(what, rd_kafka_err2str(code));
}

void check(const std::string& what, rd_kafka_error_t* raw) {
    if (const ErrorHandle error{raw}) fail(what, rd_kafka_error_string(error.get()));
}

Client connect(rd_kafka_type_t type, const std::string& bootstrap, const Properties& properties) {
    Conf conf{rd_kafka_conf_new()};
    std::array<char, 512> text{};
    Properties all{{"bootstrap.servers", bootstrap},
                   {"log_level", "2"},
                   {"enable.metrics.push", "false"},
                   {"reconnect.backoff.max.ms", "500"},
                   // Tests delete topics and create them again; see client_conf.cpp.
                   {"metadata.max.age.ms", "20"}};
    for (const auto& [name, value] : properties)
        all[name] = value;
    for (const auto& [name, value] : all) {
        if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), text.data(), text.size()) !=
            RD_KAFKA_CONF_OK) {
            fail(name, text.data());
        }
    }
    if (type == RD_KAFKA_PRODUCER) {
        // The opaque of each message counts its failure.
        rd_kafka_conf_set_dr_msg_cb(
            conf.get(), [](rd_kafka_t*, const rd_kafka_message_t* message, void*) {
                if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
                    ++*static_cast<std::atomic<std::int64_t>*>(message->_private);
                }
            });
    }
    Client client{rd_kafka_new(type, conf.get(), text.data(), text.size())};
    if (!client) fail("connecting to " + bootstrap, text.data());
    (void)conf.release();
    return client;
}

void send(rd_kafka_t* producer, const std::string& topic, const Record& record,
          std::atomic<std::int64_t>& failed) {
    using Headers = std::unique_ptr<rd_kafka_headers_t, Deleter<rd_kafka_headers_destroy>>;
    Headers headers{rd_kafka_headers_new(record.headers.size())};
    for (const auto& [name, value] : record.headers) {
        check("header",
              rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()),
                                  value ? value->data() : nullptr,
                                  value ? static_cast<ssize_t>(value->size()) : 0));
    }
    const auto bytes = [](const std::optional<std::string>& text) {
        // Never NULL for a text that is there: an empty value is no tombstone.
        return std::pair(text ? const_cast<char*>(text->c_str()) : nullptr,
                         text ? text->size() : 0);
    };
    const auto [key, key_size] = bytes(record.key);
    const auto [value, value_size] = bytes(record.value);
    for (;;) {
        const auto code = rd_kafka_producev(
            producer, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(record.partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_size),
            RD_KAFKA_V_VALUE(value, value_size), RD_KAFKA_V_TIMESTAMP(record.timestamp_ms),
            RD_KAFKA_V_HEADERS(headers.get()), RD_KAFKA_V_OPAQUE(&failed), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            rd_kafka_poll(producer, 10);
            continue;
        }
        check("producing to " + topic, code);
        (void)headers.release();  // the message took them
        return;
    }
}

void send_all(rd_kafka_t* producer, const std::string& topic, std::int64_t count,
              const MakeRecord& make) {
    std::atomic<std::int64_t> failed{0};
    try {
        for (std::int64_t i = 0; i < count; ++i)
            send(producer, topic, make(i), failed);
    } catch (...) {
        // The callbacks point at `failed`.
        rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(producer, timeout_ms);
        throw;
    }
    check("producing to " + topic, rd_kafka_flush(producer, 2 * timeout_ms));
    if (failed > 0)
        fail("producing to " + topic, std::to_string(failed) + " records not delivered");
}

/// Runs one admin request and checks its topic results, where it has such.
template <class Submit>
void administer(rd_kafka_t* client, const std::string& what, rd_kafka_admin_op_t operation,
                const Submit& submit) {
    const AdminOptions options{rd_kafka_AdminOptions_new(client, operation)};
    std::array<char, 256> text{};
    // The answer means that it is done on the controller, not only begun.
    rd_kafka_AdminOptions_set_operation_timeout(options.get(), timeout_ms, text.data(),
                                                text.size());
    rd_kafka_AdminOptions_set_request_timeout(options.get(), 2 * timeout_ms, text.data(), text.size());
    const Queue queue{rd_kafka_queue_new(client)};
    submit(options.get(), queue.get());
    const Event event{rd_kafka_queue_poll(queue.get(), 2 * timeout_ms)};
    if (!event) fail(what, "no answer");
    check(what, rd_kafka_event_error(event.get()));
    std::size_t count = 0;
    const rd_kafka_topic_result_t** topics = nullptr;
    if (const auto* created = rd_kafka_event_CreateTopics_result(event.get())) {
        topics = rd_kafka_CreateTopics_result_topics(created, &count);
    } else if (const auto* deleted = rd_kafka_event_DeleteTopics_result(event.get())) {
        topics = rd_kafka_DeleteTopics_result_topics(deleted, &count);
    } else if (const auto* grown = rd_kafka_event_CreatePartitions_result(event.get())) {
        topics = rd_kafka_CreatePartitions_result_topics(grown, &count);
    } else if (const auto* cut = rd_kafka_event_DeleteRecords_result(event.get())) {
        const auto* list = rd_kafka_DeleteRecords_result_offsets(cut);
        for (int i = 0; i < list->cnt; ++i)
            check(what, list->elems[i].err);
    }
    for (std::size_t i = 0; i < count; ++i)
        check(what, rd_kafka_topic_result_error(topics[i]));
}

std::string bootstrap_of_real() {
    if (const char* const set = std::getenv("SLUICE_TEST_KAFKA"); set != nullptr && *set != '\0') {
        return set;
    }
    std::string line;
    std::ifstream file(SLUICE_TEST_BINARY_DIR "/kafka/bootstrap");
    if (!std::getline(file, line) || line.empty()) {
        fail("no Kafka",
             "run ./run test, or tests/support/kafka.sh start "
             "build/deps/kafka " SLUICE_TEST_BINARY_DIR "/kafka, or set SLUICE_TEST_KAFKA");
    }
    return line;
}

}  // namespace

bool wait_until(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= end) return false;
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

struct Kafka::Impl {
    std::string bootstrap;
    Client producer;
    std::vector<Client> transactional;  ///< idle: a new one takes half a second to be ready

    /// Partitions of `topic` that have a leader; -1 when there is no such topic.
    int partitions(const std::string& topic) const {
        const rd_kafka_metadata_t* raw = nullptr;
        // All topics, because a question for one creates it on the embedded broker.
        check("metadata", rd_kafka_metadata(producer.get(), 1, nullptr, &raw, timeout_ms));
        const Metadata metadata{raw};
        for (int i = 0; i < metadata->topic_cnt; ++i) {
            const auto& found = metadata->topics[i];
            if (found.topic != topic) continue;
            if (found.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return -1;
            int led = 0;
            for (int p = 0; p < found.partition_cnt; ++p)
                led += found.partitions[p].leader >= 0;
            return led;
        }
        return -1;
    }

    /// Where the partitions end for a reader of that isolation level; nothing when one does not answer: a leader
    /// that metadata names may not know it yet.
    std::optional<std::vector<std::int64_t>> ends(const std::string& topic, int count, rd_kafka_IsolationLevel_t level) const {
        const PartitionList list{rd_kafka_topic_partition_list_new(count)};
        for (int p = 0; p < count; ++p) {
            rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), p)->offset =
                RD_KAFKA_OFFSET_SPEC_LATEST;
        }
        const Queue queue{rd_kafka_queue_new(producer.get())};
        const AdminOptions options{rd_kafka_AdminOptions_new(producer.get(), RD_KAFKA_ADMIN_OP_LISTOFFSETS)};
        rd_kafka_error_destroy(rd_kafka_AdminOptions_set_isolation_level(options.get(), level));
        rd_kafka_ListOffsets(producer.get(), list.get(), options.get(), queue.get());
        const Event event{rd_kafka_queue_poll(queue.get(), timeout_ms)};
        if (!event || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
        std::size_t answers = 0;
        const auto* const infos = rd_kafka_ListOffsets_result_infos(
            rd_kafka_event_ListOffsets_result(event.get()), &answers);
        std::vector<std::int64_t> found(static_cast<std::size_t>(count), -1);
        for (std::size_t i = 0; i < answers; ++i) {
            const auto* const partition = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
            if (partition->err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
            found.at(static_cast<std::size_t>(partition->partition)) = partition->offset;
        }
        if (std::count(found.begin(), found.end(), -1) > 0) return std::nullopt;
        return found;
    }

    /// `brokers` as the replicas of the one partition, or where the cluster likes.
    void create(const std::string& topic, int partitions, const Properties& configs,
                std::vector<std::int32_t> brokers) const {
        using NewTopic = std::unique_ptr<rd_kafka_NewTopic_t, Deleter<rd_kafka_NewTopic_destroy>>;
        std::array<char, 256> text{};
        const NewTopic request{
            rd_kafka_NewTopic_new(topic.c_str(), partitions, -1, text.data(), text.size())};
        if (!request) fail("creating " + topic, text.data());
        if (!brokers.empty()) {
            check("replicas of " + topic,
                  rd_kafka_NewTopic_set_replica_assignment(request.get(), 0, brokers.data(),
                                                           brokers.size(), text.data(), text.size()));
        }
        for (const auto& [name, value] : configs) {
            check("config " + name,
                  rd_kafka_NewTopic_set_config(request.get(), name.c_str(), value.c_str()));
        }
        rd_kafka_NewTopic_t* requests[] = {request.get()};
        administer(producer.get(), "creating " + topic, RD_KAFKA_ADMIN_OP_CREATETOPICS,
                   [&](auto* options, auto* queue) {
                       rd_kafka_CreateTopics(producer.get(), requests, 1, options, queue);
                   });
        wait_for_partitions(topic, partitions);
    }

    void wait_for_partitions(const std::string& topic, int count) const {
        if (!wait_until([&] { return partitions(topic) == count; }, 30s)) {
            fail("topic " + topic, "has " + std::to_string(partitions(topic)) +
                                       " partitions, not " + std::to_string(count));
        }
        if (count > 0 && !wait_until([&] { return ends(topic, count, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED).has_value(); }, 30s)) {
            fail("topic " + topic, "its leaders do not answer");
        }
    }
};

Kafka::Kafka(std::string bootstrap, const Properties& properties) : impl_(std::make_unique<Impl>()) {
    impl_->bootstrap = std::move(bootstrap);
    Properties all{{"linger.ms", "2"}, {"compression.type", "lz4"}, {"enable.idempotence", "true"}};
    for (const auto& [name, value] : properties) all[name] = value;
    impl_->producer = connect(RD_KAFKA_PRODUCER, impl_->bootstrap, all);
    const auto answers = [&] {
        const rd_kafka_metadata_t* raw = nullptr;
        const auto code = rd_kafka_metadata(impl_->producer.get(), 1, nullptr, &raw, 1000);
        const Metadata metadata{raw};
        return code == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->broker_cnt > 0;
    };
    if (!wait_until(answers, 60s)) fail("no Kafka", impl_->bootstrap + " does not answer");
}

Kafka::~Kafka() = default;

Kafka& Kafka::real() {
    static Kafka kafka{bootstrap_of_real()};
    return kafka;
}

const std::string& Kafka::bootstrap() const {
    return impl_->bootstrap;
}

std::string Kafka::unique(const std::string& name) {
    static std::atomic<int> count{0};
    static const auto start = std::chrono::system_clock::now().time_since_epoch() / 1ms;
    return name + "." + std::to_string(start) + "." + std::to_string(getpid()) + "." +
           std::to_string(count++);
}

void Kafka::create_topic(const std::string& topic, int partitions, const Properties& configs) {
    impl_->create(topic, partitions, configs, {});
}

void Kafka::create_topic_on(const std::vector<std::int32_t>& brokers, const std::string& topic,
                            const Properties& configs) {
    impl_->create(topic, 1, configs, brokers);
}

void Kafka::await_decided(const std::string& topic, int partitions) {
    const bool are_decided = wait_until([&] {
        const auto all = impl_->ends(topic, partitions, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED);
        return all && all == impl_->ends(topic, partitions, RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED);
    }, 60s);
    if (!are_decided) fail("transactions in " + topic, "are not decided");
}

Leadership Kafka::leadership(const std::string& topic, std::int32_t partition) {
    const rd_kafka_metadata_t* raw = nullptr;
    // While brokers come and go, no answer is an answer.
    if (rd_kafka_metadata(impl_->producer.get(), 1, nullptr, &raw, 1000) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return {};
    }
    const Metadata metadata{raw};
    for (int i = 0; i < metadata->topic_cnt; ++i) {
        const auto& found = metadata->topics[i];
        if (found.topic != topic) continue;
        for (int p = 0; p < found.partition_cnt; ++p) {
            const auto& it = found.partitions[p];
            if (it.id == partition) return {it.leader, it.replica_cnt, it.isr_cnt};
        }
    }
    return {};
}

void Kafka::delete_topic(const std::string& topic) {
    using DeleteTopic =
        std::unique_ptr<rd_kafka_DeleteTopic_t, Deleter<rd_kafka_DeleteTopic_destroy>>;
    const DeleteTopic request{rd_kafka_DeleteTopic_new(topic.c_str())};
    rd_kafka_DeleteTopic_t* requests[] = {request.get()};
    administer(impl_->producer.get(), "deleting " + topic, RD_KAFKA_ADMIN_OP_DELETETOPICS,
               [&](auto* options, auto* queue) {
                   rd_kafka_DeleteTopics(impl_->producer.get(), requests, 1, options, queue);
               });
    impl_->wait_for_partitions(topic, -1);
}

void Kafka::create_partitions(const std::string& topic, int total) {
    using NewPartitions =
        std::unique_ptr<rd_kafka_NewPartitions_t, Deleter<rd_kafka_NewPartitions_destroy>>;
    std::array<char, 256> text{};
    const NewPartitions request{rd_kafka_NewPartitions_new(
        topic.c_str(), static_cast<std::size_t>(total), text.data(), text.size())};
    if (!request) fail("adding partitions to " + topic, text.data());
    rd_kafka_NewPartitions_t* requests[] = {request.get()};
    administer(impl_->producer.get(), "adding partitions to " + topic,
               RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, [&](auto* options, auto* queue) {
                   rd_kafka_CreatePartitions(impl_->producer.get(), requests, 1, options, queue);
               });
    impl_->wait_for_partitions(topic, total);
}

void Kafka::delete_records(const std::string& topic, std::int32_t partition, std::int64_t before) {
    using DeleteRecords =
        std::unique_ptr<rd_kafka_DeleteRecords_t, Deleter<rd_kafka_DeleteRecords_destroy>>;
    const PartitionList list{rd_kafka_topic_partition_list_new(1)};
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = before;
    const DeleteRecords request{rd_kafka_DeleteRecords_new(list.get())};
    rd_kafka_DeleteRecords_t* requests[] = {request.get()};
    administer(impl_->producer.get(), "deleting records of " + topic,
               RD_KAFKA_ADMIN_OP_DELETERECORDS, [&](auto* options, auto* queue) {
                   rd_kafka_DeleteRecords(impl_->producer.get(), requests, 1, options, queue);
               });
}

void Kafka::produce(const std::string& topic, std::int64_t count, const MakeRecord& make,
                    const Properties& properties) {
    if (properties.empty()) return send_all(impl_->producer.get(), topic, count, make);
    const Client producer = connect(RD_KAFKA_PRODUCER, impl_->bootstrap, properties);
    send_all(producer.get(), topic, count, make);
}

void Kafka::produce_numbers(const std::string& topic, std::int32_t partition, std::int64_t count) {
    produce(topic, count, [&](std::int64_t i) {
        Record record;
        record.partition = partition;
        record.value = std::to_string(i);
        return record;
    });
}

Watermarks Kafka::watermarks(const std::string& topic, std::int32_t partition) {
    Watermarks marks;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    wait_until([&] {  // a broker that was started again is not the leader of everything at once
        code = rd_kafka_query_watermark_offsets(impl_->producer.get(), topic.c_str(), partition,
                                                &marks.low, &marks.high, timeout_ms);
        return code != RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION &&
               code != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    }, 30s);
    check("watermarks of " + topic, code);
    return marks;
}

void Kafka::commit_group_offsets(const std::string& group,
                                 const std::map<plan::TopicPartition, std::int64_t>& offsets) {
    const Client client = connect(RD_KAFKA_CONSUMER, impl_->bootstrap, {{"group.id", group}});
    const PartitionList list{rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size()))};
    for (const auto& [partition, offset] : offsets) {
        rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition)
            ->offset = offset;
    }
    // The broker may have to create __consumer_offsets first.
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    wait_until([&] {
        code = rd_kafka_commit(client.get(), list.get(), 0);
        return code == RD_KAFKA_RESP_ERR_NO_ERROR;
    });
    check("committing offsets of group " + group, code);
}

std::int64_t Kafka::committed(const std::string& group, const plan::TopicPartition& partition) {
    const Client client = connect(RD_KAFKA_CONSUMER, impl_->bootstrap, {{"group.id", group}});
    const PartitionList list{rd_kafka_topic_partition_list_new(1)};
    const auto* const at =
        rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition);
    if (rd_kafka_committed(client.get(), list.get(), 5000) != RD_KAFKA_RESP_ERR_NO_ERROR) return -1;
    return at->offset < 0 ? -1 : at->offset;
}

struct Transaction::Impl {
    std::vector<Client>& idle;
    Client producer;
    bool open = false;

    void end() {
        open = false;
        idle.push_back(std::move(producer));
    }
};

Transaction::Transaction(Kafka& kafka)
    : impl_(std::make_unique<Impl>(Impl{kafka.impl_->transactional, nullptr, false})) {
    if (!impl_->idle.empty()) {
        impl_->producer = std::move(impl_->idle.back());
        impl_->idle.pop_back();
    } else {
        impl_->producer =
            connect(RD_KAFKA_PRODUCER, kafka.bootstrap(),
                    {{"transactional.id", Kafka::unique("transaction")}, {"linger.ms", "2"}});
        check("starting transactions",
              rd_kafka_init_transactions(impl_->producer.get(), timeout_ms));
    }
    check("beginning a transaction", rd_kafka_begin_transaction(impl_->producer.get()));
    impl_->open = true;
}

Transaction::~Transaction() {
    if (impl_->open) {
        // A destructor that throws would hide why the test failed.
        rd_kafka_error_t* const error =
            rd_kafka_abort_transaction(impl_->producer.get(), timeout_ms);
        if (error != nullptr) rd_kafka_error_destroy(error);
    }
}

void Transaction::produce(const std::string& topic, std::int64_t count, const MakeRecord& make) {
    send_all(impl_->producer.get(), topic, count, make);
}

void Transaction::commit() {
    check("committing", rd_kafka_commit_transaction(impl_->producer.get(), timeout_ms));
    impl_->end();
}

void Transaction::abort() {
    check("aborting", rd_kafka_abort_transaction(impl_->producer.get(), timeout_ms));
    impl_->end();
}

}  // namespace sluice::test
