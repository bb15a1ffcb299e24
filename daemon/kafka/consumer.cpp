#include "daemon/kafka/consumer.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "daemon/kafka/header_bytes.hpp"

namespace sluice::kafka {
namespace {

/// What librdkafka keeps for each record it has queued, beside keys and values.
constexpr std::uint64_t record_overhead_bytes = 330;

PartitionList one_partition(const plan::TopicPartition& topic_partition, std::int64_t from,
                            std::int32_t leader_epoch) {
    PartitionList list{rd_kafka_topic_partition_list_new(1)};
    rd_kafka_topic_partition_t* const entry = rd_kafka_topic_partition_list_add(
        list.get(), topic_partition.topic.c_str(), topic_partition.partition);
    entry->offset = from;
    // Without the epoch a truncated log is read on as if nothing had happened.
    if (leader_epoch >= 0) rd_kafka_topic_partition_set_leader_epoch(entry, leader_epoch);
    return list;
}

}  // namespace

Result<std::unique_ptr<Consumer>> Consumer::create(const ClientSettings& settings,
                                                   const ConsumerLimits& limits) {
    SLUICE_TRY(Conf conf, make_conf(settings, Role::consumer, limits));
    auto complaint = std::make_unique<Complaint>();
    record_complaints(conf.get(), *complaint);
    SLUICE_TRY(Client client, make_client(std::move(conf)));
    rd_kafka_poll_set_consumer(client.get());
    Queue queue{rd_kafka_queue_get_consumer(client.get())};
    return std::unique_ptr<Consumer>(
        new Consumer(settings, limits, std::move(complaint), std::move(client), std::move(queue)));
}

/// librdkafka asks for the leaders of an assigned topic that it does not know once a second, so that a
/// range would wait for up to that long; of one that it knows it starts at once. Metadata of all topics
/// would not do: only of topics that are known already does it keep that.
void Consumer::know(const std::string& topic) {
    if (topic_ && topic == rd_kafka_topic_name(topic_.get())) return;
    topic_.reset(rd_kafka_topic_new(client_.get(), topic.c_str(), nullptr));
    // In short turns: a client that is refused is not kept waiting.
    for (int turn = 0; topic_ && turn < 20 && !complaint_->is_refusal(); ++turn) {
        const struct rd_kafka_metadata* metadata = nullptr;
        const auto code = rd_kafka_metadata(client_.get(), 0, topic_.get(), &metadata, 250);
        if (metadata != nullptr) rd_kafka_metadata_destroy(metadata);
        if (code != RD_KAFKA_RESP_ERR__TIMED_OUT && code != RD_KAFKA_RESP_ERR__TRANSPORT) break;
        const Message stale{rd_kafka_consumer_poll(client_.get(), 0)};  // delivers complaints
    }
}

std::optional<Error> Consumer::refusal(std::string_view context) const {
    if (!complaint_->is_refusal()) return std::nullopt;
    return to_error(context, complaint_->code, complaint_->reason, {.principal = settings_.principal});
}

Consumer::~Consumer() {
    free_spent();
    left_over_.clear();
    queue_.reset();
}

void Consumer::rest() {
    unassign();
    topic_.reset();
}

Result<void> Consumer::assign(const plan::TopicPartition& topic_partition, std::int64_t from,
                              std::int32_t leader_epoch) {
    drop_left_over();
    end_was_served_ = false;
    end_ = -1;
    know(topic_partition.topic);
    if (auto refused = refusal("connecting a consumer")) return *std::move(refused);
    const PartitionList list = one_partition(topic_partition, from, leader_epoch);
    if (const auto code = rd_kafka_assign(client_.get(), list.get());
        code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        assigned_.reset();
        return to_error("assign " + plan::to_string(topic_partition), code);
    }
    assigned_ = topic_partition;
    position_ = from;
    served_since_assign_ = false;
    position_at_assign_ = raw_position();
    return {};
}

void Consumer::unassign() {
    drop_left_over();
    assigned_.reset();
    position_ = -1;
    end_ = -1;
    (void)rd_kafka_assign(client_.get(), nullptr);
    // Serve what is still queued for the old assignment, so that it is freed now.
    while (Message stale{rd_kafka_consumer_poll(client_.get(), 0)}) {
    }
}

Result<void> Consumer::consume(std::vector<Message>& batch, std::size_t count,
                               Milliseconds timeout) {
    batch.clear();
    if (!left_over_.empty()) {
        const auto taken = std::min(count, left_over_.size());
        const auto end = left_over_.begin() + static_cast<std::ptrdiff_t>(taken);
        std::move(left_over_.begin(), end, std::back_inserter(batch));
        left_over_.erase(left_over_.begin(), end);
        left_over_records_ = left_over_.size();
        return {};
    }
    raw_.resize(count);
    const bool waits = rd_kafka_queue_length(queue_.get()) < count;
    const ssize_t got = rd_kafka_consume_batch_queue(queue_.get(), static_cast<int>(timeout.count()),
                                                     raw_.data(), count);
    if (waits) {
        free_spent();
        keeps_spent_ = true;
    }
    if (got < 0) return to_error("consume", rd_kafka_last_error());
    bool any = false;
    for (ssize_t i = 0; i < got; ++i) {
        const rd_kafka_message_t* const message = raw_[static_cast<std::size_t>(i)];
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            end_was_served_ = true;
        } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            end_was_served_ = false;
            any = true;
        }
        batch.emplace_back(raw_[static_cast<std::size_t>(i)]);
    }
    if (any) {
        served_since_assign_ = true;
        *complaint_ = {};
    }
    return {};
}

void Consumer::keep(std::vector<Message> left_over) {
    // Before what was not taken yet: a batch may be smaller than what was left over.
    left_over_.insert(left_over_.begin(), std::make_move_iterator(left_over.begin()),
                      std::make_move_iterator(left_over.end()));
    left_over_records_ = left_over_.size();
}

void Consumer::drop_left_over() {
    left_over_.clear();
    left_over_records_ = 0;
}

std::uint64_t Consumer::records_in(std::uint64_t bytes, std::uint64_t most) const {
    const std::uint64_t each = record_bytes_;
    if (each == 0) return 1;
    return std::clamp<std::uint64_t>(bytes / each, 1, most);
}

/// What nobody counts is little nearly always, so two records of a batch are looked at; all of them where it is not.
Result<bool> Consumer::outgrows_queue(const std::vector<Message>& batch) {
    batch_header_bytes_ = 0;
    if (batch.empty()) return false;
    std::uint64_t largest = 0;
    for (const Message* const end : {&batch.front(), &batch.back()}) {
        if ((*end)->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
        const std::uint64_t headers = header_bytes_of(**end);
        batch_header_bytes_ += headers * batch.size() / 2;
        largest = std::max<std::uint64_t>(largest, (*end)->key_len + headers);
    }
    const auto queued = static_cast<std::uint64_t>(limits_.queued_messages);
    const std::uint64_t most = 2 * allowed_bytes();
    const bool may_crowd = queued > 1 && largest * queued > most;
    if (!may_crowd && largest * batch.size() <= most / 8) {
        uncounted_bytes_ = std::max(uncounted_bytes_, largest);
        return false;
    }
    std::uint64_t records = 0;
    std::uint64_t uncounted = 0;
    const auto count = [&](const std::vector<Message>& messages) {
        std::uint64_t headers = 0;
        for (const Message& message : messages) {
            if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
            const std::uint64_t bytes = header_bytes_of(*message);
            headers += bytes;
            uncounted += message->key_len + bytes;
            ++records;
        }
        return headers;
    };
    batch_header_bytes_ = count(batch);
    // One large record among many is no reason to queue few of them.
    constexpr std::size_t telling_records = 100;
    if (may_crowd && batch.size() < telling_records) {
        std::vector<Message> more;
        SLUICE_CHECK(consume(more, telling_records - batch.size(), Milliseconds{5}));
        (void)count(more);
        keep(std::move(more));
    }
    uncounted_bytes_ = std::max(uncounted_bytes_, uncounted / std::max<std::uint64_t>(records, 1));
    return may_crowd && uncounted_bytes_ * queued > most;
}

void Consumer::hand_over(std::size_t records, std::uint64_t bytes) {
    bytes += std::exchange(batch_header_bytes_, 0);
    // Nearer to the larger of what was and what is: sizes that change must not fill the memory.
    const std::uint64_t mean = std::max<std::uint64_t>(bytes / std::max<std::size_t>(records, 1), 1);
    record_bytes_ = std::max(mean, (mean + record_bytes_) / 2);
    chunk_bytes_ = bytes + records * record_overhead_bytes;
    handed_bytes_ += chunk_bytes_;
    lease_bytes_ += bytes;
    // A queue is judged by as many records as it has, or by a thousand: a few large ones say nothing of the rest.
    constexpr std::uint64_t telling_records = 1000;
    sample_records_ += records;
    sample_bytes_ += bytes;
    const std::uint64_t behind = rd_kafka_queue_length(queue_.get()) + left_over_records_;
    if (sample_records_ < std::min(behind, telling_records)) return;
    const std::uint64_t queued =
        behind * (sample_bytes_ / std::max<std::uint64_t>(sample_records_, 1) + record_overhead_bytes);
    sample_records_ = 0;
    sample_bytes_ = 0;
    most_queued_ = std::max<std::uint64_t>(most_queued_, queued);
    most_held_ = std::max<std::uint64_t>(most_held_, queued + handed_bytes_);
    // What had gathered before the lease says nothing of how fast it comes.
    if (lease_bytes_ > gathered_bytes_) most_held_since_ = std::max<std::uint64_t>(most_held_since_, queued + chunk_bytes_);
}

void Consumer::take_back() {
    if (!may_keep_spent_ || handed_bytes_ + chunk_bytes_ > limits_.spent_bytes) keeps_spent_ = false;
    if (!keeps_spent_) free_spent();
}

void Consumer::free_spent() {
    spent_.clear();
    handed_bytes_ = 0;
}

void Consumer::begin_lease() {
    sample_records_ = 0;
    sample_bytes_ = 0;
    lease_bytes_ = 0;
    uncounted_bytes_ = 0;
    gathered_bytes_ = queued_bytes();
    most_held_ = 0;
    most_held_since_ = 0;
}

std::uint64_t Consumer::queued_bytes() const {
    const std::uint64_t records = rd_kafka_queue_length(queue_.get()) + left_over_records_;
    return records * (record_bytes_ + record_overhead_bytes);
}

std::uint64_t Consumer::expected_bytes() const {
    if (!assigned_) return 0;
    return std::max({most_queued_.load(), queued_bytes(), record_bytes_.load()});
}

std::uint64_t Consumer::allowed_bytes() const {
    return (static_cast<std::uint64_t>(limits_.queued_kbytes) << 10) +
           static_cast<std::uint64_t>(limits_.queued_messages) * record_overhead_bytes;
}

double Consumer::overshoot() const {
    return static_cast<double>(most_queued_) / static_cast<double>(allowed_bytes());
}

std::optional<std::int64_t> Consumer::raw_position() const {
    const PartitionList list = one_partition(*assigned_, RD_KAFKA_OFFSET_INVALID, -1);
    if (rd_kafka_position(client_.get(), list.get()) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        list->elems[0].offset < 0) {
        return std::nullopt;
    }
    return list->elems[0].offset;
}

std::optional<std::int64_t> Consumer::position() const {
    if (!assigned_ || end_was_served_ || !left_over_.empty()) return std::nullopt;
    const auto position = raw_position();
    if (!served_since_assign_ && position == position_at_assign_) return std::nullopt;
    return position;
}

}  // namespace sluice::kafka
