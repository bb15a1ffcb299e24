#include "daemon/kafka/producer.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/kafka/client_conf.hpp"
#include "daemon/kafka/handles.hpp"

namespace sluice::kafka {
namespace {

using NewTopic = std::unique_ptr<rd_kafka_NewTopic_t, Deleter<rd_kafka_NewTopic_destroy>>;
using Headers = std::unique_ptr<rd_kafka_headers_t, Deleter<rd_kafka_headers_destroy>>;

constexpr int poll_ms = 100;

struct Payload {
    void* data = nullptr;  ///< nullptr is Kafka's null
    std::size_t size = 0;
};

/// An empty text is no null, whatever its data() is; librdkafka copies and never writes.
Payload payload_of(const std::optional<std::string_view>& bytes) {
    static char empty = 0;
    if (!bytes) return {};
    return {bytes->empty() ? &empty : const_cast<char*>(bytes->data()), bytes->size()};
}

/// Whether the broker knows the topic.
Result<bool> topic_exists(rd_kafka_t* client, const std::string& topic, Milliseconds timeout) {
    // A topic of its own handle is asked for, which creates nothing (allow.auto.create.topics).
    rd_kafka_topic_t* const handle = rd_kafka_topic_new(client, topic.c_str(), nullptr);
    const struct rd_kafka_metadata* metadata = nullptr;
    const auto code =
        rd_kafka_metadata(client, 0, handle, &metadata, static_cast<int>(timeout.count()));
    rd_kafka_topic_destroy(handle);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        Error error = to_error("dead letters: look up topic " + topic, code);
        error.retriable = true;
        return error;
    }
    auto topic_code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (metadata->topic_cnt == 1) topic_code = metadata->topics[0].err;
    rd_kafka_metadata_destroy(metadata);
    if (topic_code == RD_KAFKA_RESP_ERR_NO_ERROR ||
        topic_code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) {
        return true;
    }
    if (topic_code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return false;
    return to_error("dead letters: look up topic " + topic, topic_code);
}

Result<void> create_topic(rd_kafka_t* client, const std::string& topic, Milliseconds timeout) {
    std::array<char, 256> text{};
    const NewTopic wanted{rd_kafka_NewTopic_new(topic.c_str(), 1, -1, text.data(), text.size())};
    if (!wanted) return Error{ErrorCode::configuration, "dead letters: topic " + topic + ": " + text.data()};
    const AdminOptions options{rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS)};
    const Queue queue{rd_kafka_queue_new(client)};
    rd_kafka_NewTopic_t* list[] = {wanted.get()};
    rd_kafka_CreateTopics(client, list, 1, options.get(), queue.get());
    const Event event{rd_kafka_queue_poll(queue.get(), static_cast<int>(timeout.count()))};
    const std::string what = "dead letters: create topic " + topic;
    if (!event) return Error{ErrorCode::unavailable, what + ": no answer", true};
    if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return to_error(what, code);
    }
    std::size_t count = 0;
    const auto* const results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto code = rd_kafka_topic_result_error(results[i]);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) continue;
        const char* const detail = rd_kafka_topic_result_error_string(results[i]);
        return to_error(what + " (create it yourself, or grant CREATE)", code, detail != nullptr ? detail : "");
    }
    return {};
}

class TopicProducer final : public Producer {
 public:
    explicit TopicProducer(std::string topic) : topic_(std::move(topic)) {}

    ~TopicProducer() override {
        if (!client_) return;
        // What is still queued belongs to a batch that was given up.
        (void)rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)rd_kafka_flush(client_.get(), 1000);
    }

    Result<void> open(const ClientSettings& settings, Milliseconds timeout) {
        SLUICE_TRY(Conf conf, make_conf(settings, Role::producer));
        rd_kafka_conf_set_dr_msg_cb(conf.get(), &TopicProducer::delivered);
        rd_kafka_conf_set_opaque(conf.get(), this);
        SLUICE_TRY(client_, make_client(std::move(conf), RD_KAFKA_PRODUCER));
        SLUICE_TRY(const bool exists, topic_exists(client_.get(), topic_, timeout));
        if (!exists) SLUICE_CHECK(create_topic(client_.get(), topic_, timeout));
        return {};
    }

    Result<void> produce(const ProducedRecord& record, const std::stop_token& stop) override {
        const Payload key = payload_of(record.key);
        const Payload value = payload_of(record.value);
        Headers headers{rd_kafka_headers_new(record.headers.size())};
        for (const ProducedHeader& header : record.headers) {
            const auto code = rd_kafka_header_add(
                headers.get(), header.name.data(), static_cast<ssize_t>(header.name.size()),
                header.value ? header.value->data() : nullptr,
                header.value ? static_cast<ssize_t>(header.value->size()) : -1);
            if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return to_error(what(), code);
        }
        while (true) {
            if (first_error_) return *first_error_;
            const auto code = rd_kafka_producev(
                client_.get(), RD_KAFKA_V_TOPIC(topic_.c_str()),
                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                RD_KAFKA_V_KEY(key.data, key.size), RD_KAFKA_V_VALUE(value.data, value.size),
                RD_KAFKA_V_TIMESTAMP(std::max<std::int64_t>(record.timestamp_ms, 0)),
                RD_KAFKA_V_HEADERS(headers.get()), RD_KAFKA_V_END);
            if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
                (void)headers.release();  // the client took them
                (void)rd_kafka_poll(client_.get(), 0);
                return {};
            }
            if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) return failure(code);
            if (stop.stop_requested()) return Error{ErrorCode::stopping, what() + ": stopped"};
            (void)rd_kafka_poll(client_.get(), poll_ms);
        }
    }

    Result<void> flush(Milliseconds timeout, const std::stop_token& stop) override {
        const SteadyTime started = system_clock().steady();
        while (rd_kafka_outq_len(client_.get()) > 0 && !first_error_) {
            if (stop.stop_requested()) return Error{ErrorCode::stopping, what() + ": stopped"};
            if (system_clock().steady() - started > timeout) {
                return Error{ErrorCode::unavailable, what() + ": not acknowledged in time", true};
            }
            (void)rd_kafka_flush(client_.get(), poll_ms);
        }
        if (!first_error_) return {};
        return std::move(*std::exchange(first_error_, std::nullopt));
    }

 private:
    // Called from poll() and flush(), on their thread.
    static void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
        auto* const self = static_cast<TopicProducer*>(opaque);
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || self->first_error_) return;
        self->first_error_ = self->failure(message->err);
    }

    [[nodiscard]] std::string what() const { return "dead letters to topic " + topic_; }

    [[nodiscard]] Error failure(rd_kafka_resp_err_t code) const {
        Error error = to_error(what(), code);
        if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
            error = {ErrorCode::fatal, error.message +
                                           ": raise max.message.bytes of that topic, or "
                                           "kafka.message.max.bytes of the pipeline"};
        }
        if (code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT) error.retriable = true;
        if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
            error.message = what() + ": not authorized; grant Write, which includes Describe: kafka-acls.sh "
                                     "--add --allow-principal User:NAME --operation Write --topic " + topic_;
        }
        return error;
    }

    const std::string topic_;
    Client client_;
    std::optional<Error> first_error_;  ///< since the last flush()
};

}  // namespace

Result<std::unique_ptr<Producer>> open_producer(const ClientSettings& settings,
                                                const std::string& topic, Milliseconds timeout) {
    auto producer = std::make_unique<TopicProducer>(topic);
    SLUICE_CHECK(producer->open(settings, timeout));
    return std::unique_ptr<Producer>(std::move(producer));
}

}  // namespace sluice::kafka
