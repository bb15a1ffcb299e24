#include "daemon/kafka/producer.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <utility>

#include "daemon/kafka/client_conf.hpp"
#include "daemon/kafka/complaint.hpp"
#include "daemon/kafka/handles.hpp"
#include "daemon/kafka/header_bytes.hpp"

namespace sluice::kafka {
namespace {

using NewTopic = std::unique_ptr<rd_kafka_NewTopic_t, Deleter<rd_kafka_NewTopic_destroy>>;
using Headers = std::unique_ptr<rd_kafka_headers_t, Deleter<rd_kafka_headers_destroy>>;

constexpr int poll_ms = 100;

/// What librdkafka keeps for each record, beside key, value and headers.
constexpr std::uint64_t record_overhead_bytes = 330;

/// What a broker takes in one request unless it is told otherwise (socket.request.max.bytes): no record
/// of the source is larger. A dead letter is larger than its record, by its headers.
constexpr const char* max_message_bytes = "104857600";

/// Says when a record happened that a topic takes under the current time only.
constexpr std::string_view timestamp_header = "sluice.errors.timestamp";

/// _INVALID_DIFFERENT_RECORD, known to librdkafka since 2.4: nothing is wrong with this record, but with
/// another one of its request.
constexpr auto fault_of_another = static_cast<rd_kafka_resp_err_t>(-138);

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

std::uint64_t size_of(const ProducedRecord& record) {
    const auto size = [](const std::optional<std::string_view>& bytes) { return bytes ? bytes->size() : 0; };
    std::uint64_t sum = size(record.key) + size(record.value) + record_overhead_bytes;
    for (const ProducedHeader& header : record.headers) sum += header.name.size() + size(header.value);
    return sum;
}
std::uint64_t size_of(const rd_kafka_message_t& message) {
    return message.key_len + message.len + header_bytes_of(message) + record_overhead_bytes;
}

/// The bytes of a message that comes back.
std::optional<std::string> bytes_of(const void* data, std::size_t size) {
    if (data == nullptr) return std::nullopt;
    return std::string(static_cast<const char*>(data), size);
}

/// A record that is sent once more.
struct Letter {
    std::optional<std::string> key;
    std::optional<std::string> value;
    Headers headers;
    std::int64_t timestamp_ms = 0;  ///< 0: now
    std::uint64_t size = 0;
};

/// Whether the broker knows the topic, or why it does not say.
struct Lookup {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    bool exists = false;
};
Lookup look_up(rd_kafka_t* client, const std::string& topic, Milliseconds timeout) {
    // A topic of its own handle is asked for, which creates nothing (allow.auto.create.topics).
    rd_kafka_topic_t* const handle = rd_kafka_topic_new(client, topic.c_str(), nullptr);
    const struct rd_kafka_metadata* metadata = nullptr;
    const auto code =
        rd_kafka_metadata(client, 0, handle, &metadata, static_cast<int>(timeout.count()));
    rd_kafka_topic_destroy(handle);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return {code};
    auto topic_code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (metadata->topic_cnt == 1) topic_code = metadata->topics[0].err;
    rd_kafka_metadata_destroy(metadata);
    if (topic_code == RD_KAFKA_RESP_ERR_NO_ERROR ||
        topic_code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) {
        return {RD_KAFKA_RESP_ERR_NO_ERROR, true};
    }
    if (topic_code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return {};
    return {topic_code};
}

/// What the cluster said to a topic that it was asked to create.
struct Creation {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    std::string detail;
};
Creation ask_to_create(rd_kafka_t* client, rd_kafka_NewTopic_t* wanted, Milliseconds timeout) {
    const AdminOptions options{rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS)};
    const Queue queue{rd_kafka_queue_new(client)};
    rd_kafka_CreateTopics(client, &wanted, 1, options.get(), queue.get());
    const Event event{rd_kafka_queue_poll(queue.get(), static_cast<int>(timeout.count()))};
    if (!event) return {RD_KAFKA_RESP_ERR__TIMED_OUT, {}};
    if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return {code, {}};
    }
    std::size_t count = 0;
    const auto* const results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto code = rd_kafka_topic_result_error(results[i]);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) continue;
        const char* const detail = rd_kafka_topic_result_error_string(results[i]);
        return {code, detail != nullptr ? detail : ""};
    }
    return {};
}

Result<void> create_topic(rd_kafka_t* client, const std::string& topic, std::string_view principal,
                          Milliseconds timeout) {
    const std::string what = "dead letters: create topic " + topic;
    Creation created;
    for (const bool takes_all : {true, false}) {
        std::array<char, 256> text{};
        const NewTopic wanted{rd_kafka_NewTopic_new(topic.c_str(), 1, -1, text.data(), text.size())};
        if (!wanted) return Error{ErrorCode::configuration, what + ": " + text.data()};
        if (takes_all) {
            (void)rd_kafka_NewTopic_set_config(wanted.get(), "max.message.bytes", max_message_bytes);
        }
        created = ask_to_create(client, wanted.get(), timeout);
        if (created.code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
        // Hosted clusters have a limit of their own for what a topic may take: then the usual one.
        if (created.code != RD_KAFKA_RESP_ERR_INVALID_CONFIG && created.code != RD_KAFKA_RESP_ERR_INVALID_REQUEST &&
            created.code != RD_KAFKA_RESP_ERR_POLICY_VIOLATION) {
            break;
        }
    }
    Error error = to_error(what, created.code, created.detail,
                           {.principal = principal, .topic = topic, .operation = "Create"});
    if (!error.retriable || error.code == ErrorCode::denied) error.message += "; or create the topic yourself";
    return error;
}

class TopicProducer final : public Producer {
 public:
    TopicProducer(std::string topic, std::string principal, const ProducerMemory& memory)
        : topic_(std::move(topic)), principal_(std::move(principal)), memory_(memory) {}

    ~TopicProducer() override {
        if (!client_) return;
        // What is still queued belongs to a batch that was given up.
        (void)rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)rd_kafka_flush(client_.get(), 1000);
        hold(0);  // what came back is not sent once more
    }

    Result<void> open(const ClientSettings& settings, Milliseconds timeout) {
        SLUICE_TRY(Conf conf, make_conf(settings, Role::producer));
        rd_kafka_conf_set_dr_msg_cb(conf.get(), &TopicProducer::delivered);
        rd_kafka_conf_set_error_cb(conf.get(), &TopicProducer::complained);
        rd_kafka_conf_set_opaque(conf.get(), this);
        SLUICE_TRY(client_, make_client(std::move(conf), RD_KAFKA_PRODUCER));
        const Lookup found = look_up(client_.get(), topic_, timeout);
        if (found.code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            (void)rd_kafka_poll(client_.get(), 0);  // delivers complaints
            return explain("dead letters: look up topic " + topic_, found.code, complaint_, needed());
        }
        if (found.exists) return {};
        return create_topic(client_.get(), topic_, principal_, timeout);
    }

    Result<void> produce(const ProducedRecord& record, const std::stop_token& stop) override {
        Headers headers{rd_kafka_headers_new(record.headers.size())};
        for (const ProducedHeader& header : record.headers) {
            const auto code = rd_kafka_header_add(
                headers.get(), header.name.data(), static_cast<ssize_t>(header.name.size()),
                header.value ? header.value->data() : nullptr,
                header.value ? static_cast<ssize_t>(header.value->size()) : -1);
            if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return to_error(what(), code);
        }
        const std::uint64_t size = size_of(record);
        SLUICE_CHECK(make_room(size, stop));
        hold(held_ + size);
        auto sent = send(record.key, record.value, std::max<std::int64_t>(record.timestamp_ms, 0),
                         std::move(headers), stop);
        if (!sent) let_go(size);
        return sent;
    }

    Result<void> flush(Milliseconds timeout, const std::stop_token& stop) override {
        const SteadyTime started = system_clock().steady();
        while ((rd_kafka_outq_len(client_.get()) > 0 || !again_.empty()) && !first_error_) {
            if (stop.stop_requested()) return Error{ErrorCode::stopping, what() + ": stopped"};
            if (system_clock().steady() - started > timeout) {
                return explain(what() + ": not acknowledged in time", RD_KAFKA_RESP_ERR__TIMED_OUT,
                               complaint_, needed());
            }
            if (auto sent = send_again(stop); !sent && !first_error_) return sent;
            (void)rd_kafka_flush(client_.get(), poll_ms);
        }
        if (!first_error_) return {};
        return std::move(*std::exchange(first_error_, std::nullopt));
    }

 private:
    // These two are called from poll() and flush(), on their thread.
    static void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
        auto* const self = static_cast<TopicProducer*>(opaque);
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) self->complaint_ = {};
        const bool failed = message->err != RD_KAFKA_RESP_ERR_NO_ERROR && !self->first_error_;
        if (failed && self->put_aside(*message)) return;
        if (failed) self->first_error_ = self->failure(message->err);
        self->let_go(size_of(*message));
    }
    static void complained(rd_kafka_t*, int code, const char* reason, void* opaque) {
        static_cast<TopicProducer*>(opaque)->complaint_.note(static_cast<rd_kafka_resp_err_t>(code), reason);
    }

    void hold(std::uint64_t bytes) {
        held_ = bytes;
        if (memory_.held != nullptr) *memory_.held = bytes;
    }

    void let_go(std::uint64_t bytes) { hold(held_ - std::min(held_, bytes)); }

    /// Sends what was put aside, and waits until there is room for a record of this size.
    Result<void> make_room(std::uint64_t size, const std::stop_token& stop) {
        while (true) {
            SLUICE_CHECK(send_again(stop));
            if (held_ == 0 || held_ + size <= memory_.max) return {};
            if (first_error_) return *first_error_;
            if (stop.stop_requested()) return Error{ErrorCode::stopping, what() + ": stopped"};
            (void)rd_kafka_poll(client_.get(), poll_ms);
        }
    }

    /// Hands a record to the client, with its timestamp for put_aside(), which no message that failed has.
    Result<void> send(const std::optional<std::string_view>& key_bytes,
                      const std::optional<std::string_view>& value_bytes, std::int64_t timestamp_ms,
                      Headers headers, const std::stop_token& stop) {
        static_assert(sizeof(std::intptr_t) == sizeof(timestamp_ms));
        const Payload key = payload_of(key_bytes);
        const Payload value = payload_of(value_bytes);
        while (true) {
            if (first_error_) return *first_error_;
            const auto code = rd_kafka_producev(
                client_.get(), RD_KAFKA_V_TOPIC(topic_.c_str()),
                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                RD_KAFKA_V_KEY(key.data, key.size), RD_KAFKA_V_VALUE(value.data, value.size),
                RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_HEADERS(headers.get()),
                RD_KAFKA_V_OPAQUE(reinterpret_cast<void*>(static_cast<std::intptr_t>(timestamp_ms))),
                RD_KAFKA_V_END);
            if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
                (void)headers.release();  // the client took them
                (void)rd_kafka_poll(client_.get(), 0);
                return {};
            }
            if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
                return Error{ErrorCode::fatal,
                             to_error(what(), code).message +
                                 ": raise kafka.message.max.bytes of the pipeline (16777216 unless set)"};
            }
            if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) return failure(code);
            if (stop.stop_requested()) return Error{ErrorCode::stopping, what() + ": stopped"};
            (void)rd_kafka_poll(client_.get(), poll_ms);
        }
    }

    /// Sends what was put aside. It comes to an end: each request that is refused for timestamps has one
    /// at least that is replaced by the current time, and that is replaced once.
    Result<void> send_again(const std::stop_token& stop) {
        while (!again_.empty()) {
            Letter letter = std::move(again_.front());
            again_.pop_front();
            auto sent = send(letter.key, letter.value, letter.timestamp_ms, std::move(letter.headers), stop);
            if (sent) continue;
            let_go(letter.size);
            return sent;
        }
        return {};
    }

    /// True for a record that was refused for a timestamp, its own or that of another one of its request:
    /// it will be sent again. Not from here, because the client still counts it as queued.
    bool put_aside(const rd_kafka_message_t& message) {
        // When there are several in a request, librdkafka says INVALID_RECORD of each.
        const bool may_be_its_own = message.err == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP ||
                                    message.err == RD_KAFKA_RESP_ERR_INVALID_RECORD;
        std::uint64_t size = size_of(message);
        auto timestamp_ms = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(message._private));
        if (!may_be_its_own && message.err != fault_of_another) return false;
        if (may_be_its_own && timestamp_ms == 0) return false;  // the current time does not help
        rd_kafka_headers_t* headers = nullptr;
        const auto found = rd_kafka_message_headers(&message, &headers);
        Headers copy{found == RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_headers_copy(headers)
                                                         : rd_kafka_headers_new(1)};
        if (may_be_its_own) {
            const std::string text = std::to_string(timestamp_ms);
            const auto added = rd_kafka_header_add(
                copy.get(), timestamp_header.data(), static_cast<ssize_t>(timestamp_header.size()),
                text.data(), static_cast<ssize_t>(text.size()));
            if (added != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
            timestamp_ms = 0;
            size += timestamp_header.size() + text.size();
            hold(held_ + timestamp_header.size() + text.size());
        }
        again_.push_back({bytes_of(message.key, message.key_len), bytes_of(message.payload, message.len),
                          std::move(copy), timestamp_ms, size});
        return true;
    }

    [[nodiscard]] std::string what() const { return "dead letters to topic " + topic_; }

    [[nodiscard]] Refused needed() const {
        return {.principal = principal_, .topic = topic_, .operation = "Write"};
    }

    [[nodiscard]] Error failure(rd_kafka_resp_err_t code) const {
        std::array<char, 512> text{};
        const auto fatal = rd_kafka_fatal_error(client_.get(), text.data(), text.size());
        if (fatal == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED) {
            // A producer without Write on any topic is refused its id, as if it wanted the cluster.
            return to_error(what(), RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, text.data(), needed());
        }
        if (fatal != RD_KAFKA_RESP_ERR_NO_ERROR) return to_error(what(), fatal, text.data(), needed());
        Error error = explain(what(), code, complaint_, needed());
        if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
            return {ErrorCode::fatal, error.message +
                                          ": a dead letter is its record and ten headers, more than the topic "
                                          "takes; raise its limit: kafka-configs.sh --alter --entity-type "
                                          "topics --entity-name " + topic_ +
                                          " --add-config max.message.bytes=" + max_message_bytes};
        }
        if (code == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP) {
            error.message += ": not even the current time; compare this machine's clock with the brokers', "
                             "and message.timestamp.before.max.ms and .after.max.ms of the topic";
        }
        return error;
    }

    const std::string topic_;
    const std::string principal_;
    Complaint complaint_;               ///< since a record was acknowledged
    const ProducerMemory memory_;
    std::uint64_t held_ = 0;            ///< queued, or to be sent once more
    std::deque<Letter> again_;          ///< to be sent once more
    std::optional<Error> first_error_;  ///< since the last flush()
    Client client_;                     // its callbacks write to these: they outlive it
};

}  // namespace

Result<std::unique_ptr<Producer>> open_producer(const ClientSettings& settings, const std::string& topic,
                                                const ProducerMemory& memory, Milliseconds timeout) {
    auto producer = std::make_unique<TopicProducer>(topic, settings.principal, memory);
    SLUICE_CHECK(producer->open(settings, timeout));
    return std::unique_ptr<Producer>(std::move(producer));
}

}  // namespace sluice::kafka
