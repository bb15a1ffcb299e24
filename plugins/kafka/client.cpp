#include "plugins/kafka/client.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "plugins/kafka/conf.hpp"
#include "plugins/kafka/patience.hpp"

namespace sluice::plugins::kafka {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds pause = milliseconds(50);

/// An empty text is no null, whatever its data() is; librdkafka copies and never writes.
std::pair<void*, std::size_t> payload_of(const std::optional<std::string_view>& bytes) {
    static char empty = 0;
    if (!bytes) return {nullptr, 0};
    return {bytes->empty() ? &empty : const_cast<char*>(bytes->data()), bytes->size()};
}

}  // namespace

Client::Client(const Options& options, Host host, bool alone)
    : options_(options), host_(host), alone_(alone), waiting_(options.buffer_max) {
    const Role role = alone ? Role::lone_producer : Role::producer;
    Conf conf = make_conf(options, role);
    rd_kafka_conf_set_opaque(conf.get(), this);
    rd_kafka_conf_set_log_cb(conf.get(), &Client::on_log);
    rd_kafka_conf_set_error_cb(conf.get(), &Client::on_error);
    rd_kafka_conf_set_dr_msg_cb(conf.get(), &Client::on_delivery);
    client_ = make_client(std::move(conf), role);
}

Client::~Client() {
    rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(client_.get(), 1000);
    topics_.clear();
    host_.memory_held(0);
}

// [any thread of librdkafka]
void Client::on_log(const rd_kafka_t* client, int level, const char* facility, const char* text) {
    const std::string_view line(text);
    // Set although it is documented for consumers: a producer heeds it, and complains of it.
    if (line.find("allow.auto.create.topics") != std::string_view::npos) return;
    const auto* const self =
        client == nullptr ? nullptr : static_cast<Client*>(rd_kafka_opaque(client));
    if (self == nullptr) return;
    const std::int32_t as = level <= 2   ? SLUICE_LOG_ERROR
                            : level <= 4 ? SLUICE_LOG_WARNING
                            : level <= 6 ? SLUICE_LOG_INFO
                                         : SLUICE_LOG_DEBUG;
    self->host_.log(as, "target cluster: " + std::string(facility) + ' ' + text);
}

void Client::on_error(rd_kafka_t*, int, const char* reason, void* opaque) {
    static_cast<Client*>(opaque)->complaint_ = reason;
}

void Client::on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    auto* const self = static_cast<Client*>(opaque);
    const auto code = message->err;
    // Not rd_kafka_message_errstr(): of a producer's message it answers the payload.
    const char* const detail = rd_kafka_message_produce_errstr(message);
    const auto text = [&] {
        return std::string(detail != nullptr ? detail : rd_kafka_err2str(code)) + " (" +
               rd_kafka_err2name(code) + ')';
    };
    switch (delivery_of(code)) {
        case Delivery::other:
            return;
        case Delivery::suspect:
            if (self->alone_) {  // nobody else was in the request
                self->losses_.refused.push_back({unpack(message->_private), text()});
            } else if (self->losses_.suspected.empty()) {
                self->losses_.suspected = text();
            }
            return;
        case Delivery::failed:
            if (self->losses_.error) return;
            self->losses_.error =
                self->failure("writing to " + std::string(rd_kafka_topic_name(message->rkt)), code,
                              detail != nullptr ? detail : "", rd_kafka_topic_name(message->rkt));
    }
}

ClusterError Client::failure(const std::string& doing, rd_kafka_resp_err_t code,
                             std::string_view detail, std::string_view topic) const {
    std::array<char, 512> fatal{};
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        code = rd_kafka_fatal_error(client_.get(), fatal.data(), fatal.size());
        detail = fatal.data();
    }
    std::string text =
        doing + ": " + (detail.empty() ? rd_kafka_err2str(code) : std::string(detail)) + " (" +
        rd_kafka_err2name(code) + ')' + remedy_of(code, topic, options_.transactional_id);
    const ErrorKind kind = kind_of(code);
    // The cluster fences the producer of a transaction that it has given up, just as it does one that was
    // replaced; records that still wait run out of time here.
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(BootClock::now() - began_);
    if (kind != ErrorKind::fatal && in_transaction_ && age >= options_.transaction_timeout)
        return {ErrorKind::retry,
                "the batch took " + std::to_string(age.count()) +
                    " s, more than transactionTimeout: the cluster gives such a transaction up. " +
                    (alone_ ? "Its records are sent one by one, to find one that was refused. " : "") +
                    "If that comes again, raise it, or lower maxOffsetsPerTrigger and have this batch planned "
                    "anew: sluice batches replan PIPELINE (" + text + ')'};
    if (kind != ErrorKind::fenced) return {kind, text};
    return {
        ErrorKind::fenced,
        "another producer has taken transactional id " + options_.transactional_id +
            ": a second daemon runs this pipeline, or another one of the same name. Nothing of "
            "this "
            "batch was kept. Stop one of the two, and restart the pipeline. Where both are to run, one needs "
            "another transactionalId, once its batch is finished while the other is stopped (" +
            text + ')'};
}

template <class Call>
void Client::until_done(const std::string& doing, milliseconds limit, Call call,
                        milliseconds slice) {
    Patience patience(host_, limit, slice);
    while (true) {
        const ErrorHandle error{call(patience.slice_ms())};
        if (!error) return;
        const auto code = rd_kafka_error_code(error.get());
        const std::string text = rd_kafka_error_string(error.get());
        const bool again = rd_kafka_error_is_retriable(error.get()) != 0 &&
                           rd_kafka_error_txn_requires_abort(error.get()) == 0 &&
                           rd_kafka_error_is_fatal(error.get()) == 0;
        if (!again) throw failure(doing, code, text);
        poll(pause);
        if (patience.is_over())
            throw failure(doing, code, complaint_.empty() ? text : text + " [" + complaint_ + ']');
    }
}

template <class Submit>
Event Client::administer(const std::string& doing, rd_kafka_admin_op_t operation, Submit submit) {
    Patience patience(host_, options_.timeout);
    const AdminOptions options{rd_kafka_AdminOptions_new(client_.get(), operation)};
    std::array<char, 256> text{};
    rd_kafka_AdminOptions_set_request_timeout(
        options.get(), static_cast<int>(options_.timeout.count()), text.data(), text.size());
    const Queue queue{rd_kafka_queue_new(client_.get())};
    submit(options.get(), queue.get());
    Event event;
    while (!event) {
        event.reset(rd_kafka_queue_poll(queue.get(), patience.slice_ms()));
        poll(milliseconds(0));
        if (!event && patience.is_over())
            throw failure(doing, RD_KAFKA_RESP_ERR__TIMED_OUT, complaint_);
    }
    const auto code = rd_kafka_event_error(event.get());
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        std::string detail = rd_kafka_event_error_string(event.get());
        if (!complaint_.empty()) detail += " [" + complaint_ + ']';
        throw failure(doing, code, detail);
    }
    return event;
}

std::string Client::cluster_id() {
    Patience patience(host_, options_.timeout);
    while (true) {
        if (char* const id = rd_kafka_clusterid(client_.get(), patience.slice_ms())) {
            std::string copy(id);
            rd_kafka_mem_free(client_.get(), id);
            complaint_.clear();
            return copy;
        }
        poll(pause);
        if (patience.is_over())
            throw failure("connecting to the target cluster", RD_KAFKA_RESP_ERR__TIMED_OUT,
                          complaint_);
    }
}

void Client::init_transactions() {
    until_done("taking transactional id " + options_.transactional_id, options_.timeout,
               [&](int ms) { return rd_kafka_init_transactions(client_.get(), ms); });
}

std::map<std::string, int> Client::partitions_of(const std::set<std::string>& topics) {
    std::map<std::string, int> found;
    if (topics.empty()) return found;
    std::vector<const char*> names;
    for (const std::string& topic : topics)
        names.push_back(topic.c_str());
    const std::string doing = "looking up the target topics";
    const Event event =
        administer(doing, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
                   [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                       const TopicCollection wanted{
                           rd_kafka_TopicCollection_of_topic_names(names.data(), names.size())};
                       rd_kafka_DescribeTopics(client_.get(), wanted.get(), options, queue);
                   });
    std::size_t count = 0;
    const auto* const* const results = rd_kafka_DescribeTopics_result_topics(
        rd_kafka_event_DescribeTopics_result(event.get()), &count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::string name = rd_kafka_TopicDescription_name(results[i]);
        const auto* const error = rd_kafka_TopicDescription_error(results[i]);
        const auto code =
            error == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error);
        if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) continue;
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            throw failure("looking up topic " + name, code, rd_kafka_error_string(error), name);
        std::size_t partitions = 0;
        (void)rd_kafka_TopicDescription_partitions(results[i], &partitions);
        found[name] = static_cast<int>(partitions);
    }
    return found;
}

namespace {

/// The first error in the answer to CreateTopics or CreatePartitions, but for "is there already".
const rd_kafka_topic_result_t* refusal_in(const rd_kafka_topic_result_t* const* results,
                                          std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const auto code = rd_kafka_topic_result_error(results[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            return results[i];
    }
    return nullptr;
}

}  // namespace

void Client::create_topic(const std::string& name, int partitions) {
    std::array<char, 256> text{};
    const NewTopic wanted{rd_kafka_NewTopic_new(name.c_str(), partitions == 0 ? -1 : partitions, -1,
                                                text.data(), text.size())};
    const std::string doing = "creating topic " + name;
    if (!wanted) throw ClusterError(ErrorKind::fatal, doing + ": " + text.data());
    const Event event =
        administer(doing, RD_KAFKA_ADMIN_OP_CREATETOPICS,
                   [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                       rd_kafka_NewTopic_t* list[] = {wanted.get()};
                       rd_kafka_CreateTopics(client_.get(), list, 1, options, queue);
                   });
    std::size_t count = 0;
    const auto* const* const results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event.get()), &count);
    if (const auto* const refused = refusal_in(results, count)) {
        const char* const detail = rd_kafka_topic_result_error_string(refused);
        throw failure(doing, rd_kafka_topic_result_error(refused), detail != nullptr ? detail : "",
                      name);
    }
}

void Client::create_partitions(const std::string& name, int total) {
    std::array<char, 256> text{};
    const NewPartitions wanted{rd_kafka_NewPartitions_new(
        name.c_str(), static_cast<std::size_t>(total), text.data(), text.size())};
    const std::string doing = "giving topic " + name + ' ' + std::to_string(total) + " partitions";
    if (!wanted) throw ClusterError(ErrorKind::fatal, doing + ": " + text.data());
    const Event event =
        administer(doing, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS,
                   [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                       rd_kafka_NewPartitions_t* list[] = {wanted.get()};
                       rd_kafka_CreatePartitions(client_.get(), list, 1, options, queue);
                   });
    std::size_t count = 0;
    const auto* const* const results = rd_kafka_CreatePartitions_result_topics(
        rd_kafka_event_CreatePartitions_result(event.get()), &count);
    if (const auto* const refused = refusal_in(results, count)) {
        const char* const detail = rd_kafka_topic_result_error_string(refused);
        throw failure(doing, rd_kafka_topic_result_error(refused), detail != nullptr ? detail : "",
                      name);
    }
}

void Client::begin_transaction() {
    began_ = BootClock::now();
    if (const ErrorHandle error{rd_kafka_begin_transaction(client_.get())})
        throw failure("beginning a transaction", rd_kafka_error_code(error.get()),
                      rd_kafka_error_string(error.get()));
    in_transaction_ = true;
}

rd_kafka_topic_t* Client::topic(const std::string& name) {
    Topic& topic = topics_[name];
    if (!topic) topic.reset(rd_kafka_topic_new(client_.get(), name.c_str(), nullptr));
    if (!topic) throw failure("opening topic " + name, rd_kafka_last_error(), "", name);
    return topic.get();
}

Taken Client::produce(rd_kafka_topic_t* topic, Outgoing& record) {
    const auto [key, key_size] = payload_of(record.key);
    const auto [value, value_size] = payload_of(record.value);
    const std::size_t bytes = key_size + value_size + record.header_bytes + record_cost;
    if (!waiting_.has_room(bytes, [&] { return static_cast<std::uint64_t>(rd_kafka_outq_len(client_.get())); }))
        return Taken::queue_full;
    const auto code = rd_kafka_producev(
        client_.get(), RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(record.partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_size),
        RD_KAFKA_V_VALUE(value, value_size), RD_KAFKA_V_TIMESTAMP(record.timestamp_ms),
        RD_KAFKA_V_HEADERS(record.headers.get()), RD_KAFKA_V_OPAQUE(pack(record.origin)),
        RD_KAFKA_V_END);
    switch (code) {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            (void)record.headers.release();  // the message took them
            waiting_.add(bytes);
            return Taken::yes;
        case RD_KAFKA_RESP_ERR__QUEUE_FULL:
            return Taken::queue_full;
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
            return Taken::too_large;
        default:
            poll(pause);  // why, if a report says it
            if (!losses_.any())
                losses_.error = failure("writing to " + std::string(rd_kafka_topic_name(topic)),
                                        code, "", rd_kafka_topic_name(topic));
            return Taken::failed;
    }
}

void Client::poll(milliseconds wait) {
    rd_kafka_poll(client_.get(), static_cast<int>(wait.count()));
    waiting_.keep_newest(static_cast<std::uint64_t>(rd_kafka_outq_len(client_.get())));
    host_.memory_held(waiting_.bytes());
}

void Client::flush() {
    Patience patience(host_, options_.transaction_timeout);
    while (rd_kafka_outq_len(client_.get()) > 0 && !losses_.any()) {
        rd_kafka_flush(client_.get(), static_cast<int>(pause.count()));
        if (patience.is_over())
            throw failure("waiting for acknowledgements", RD_KAFKA_RESP_ERR__TIMED_OUT, complaint_);
    }
    poll(losses_.any() ? pause : milliseconds(0));  // losses: others of the same request
}

void Client::put_marker(const std::string& topic, const Marker& marker) {
    const PartitionList offsets{rd_kafka_topic_partition_list_new(1)};
    auto* const each = rd_kafka_topic_partition_list_add(offsets.get(), topic.c_str(), 0);
    each->offset = marker.batch + 1;
    const std::string metadata = marker.metadata();
    each->metadata_size = metadata.size();
    each->metadata = rd_kafka_mem_calloc(client_.get(), 1, metadata.size() + 1);
    std::copy(metadata.begin(), metadata.end(), static_cast<char*>(each->metadata));
    const GroupMetadata group{rd_kafka_consumer_group_metadata_new(options_.marker_group.c_str())};
    // Unlike the other calls this one starts anew each time, so a slow coordinator needs a long
    // one.
    until_done(
        "adding the marker to the transaction", options_.timeout,
        [&](int ms) {
            return rd_kafka_send_offsets_to_transaction(client_.get(), offsets.get(), group.get(),
                                                        ms);
        },
        Patience::stop_limit);
}

void Client::commit_transaction() {
    until_done("committing the transaction", options_.transaction_timeout,
               [&](int ms) { return rd_kafka_commit_transaction(client_.get(), ms); });
    in_transaction_ = false;
}

bool Client::abort_transaction() noexcept {
    if (!in_transaction_) return true;
    try {
        until_done("aborting the transaction", std::min(options_.timeout, Patience::stop_limit),
                   [&](int ms) { return rd_kafka_abort_transaction(client_.get(), ms); });
        in_transaction_ = false;
        poll(milliseconds(0));
        return true;
    } catch (const std::exception& error) {
        host_.warning(std::string(error.what()) + ". The next batch begins with ending it");
        return false;
    }
}

}  // namespace sluice::plugins::kafka
