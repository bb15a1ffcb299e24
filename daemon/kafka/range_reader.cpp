#include "daemon/kafka/range_reader.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "daemon/kafka/chunk.hpp"
#include "daemon/kafka/consumer.hpp"

namespace sluice::kafka {
namespace {

/// The state of one reading. Pulled apart so that each way to end a range stands on its own.
class Reading {
 public:
    Reading(const Lease& lease, const plan::OffsetRange& range, const ReadOptions& options, const RecordHandler& handler)
        : lease_(lease),
          range_(range),
          handler_(handler),
          topic_{range.topic_partition.topic.data(), range.topic_partition.topic.size()},
          chunk_(options.chunk_records),
          next_(range.from) {}

    [[nodiscard]] bool done() const { return next_ >= range_.until; }
    [[nodiscard]] const RangeCounts& counts() const { return counts_; }
    [[nodiscard]] bool ends_short() const { return end_ >= 0 && end_ < range_.until; }
    [[nodiscard]] std::int64_t next() const { return next_; }
    [[nodiscard]] std::int64_t end() const { return end_; }
    [[nodiscard]] const std::string& last_trouble() const { return last_trouble_; }

    /// Its consumer is to become another one, which begins at next(): what the old one still has to say of errors.
    Result<void> leave_consumer(const std::vector<Message>& batch) {
        for (const Message& message : batch) {
            if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) SLUICE_CHECK(event(*message));
        }
        end_ = -1;
        passed_ = -1;
        epoch_before_ = counts_.last_leader_epoch;  // the caller knows what is before the first record
        return {};
    }

    /// Sorts one batch into records, events, and what lies beyond; delivers the records.
    /// Answers whether anything moved. `came_short`: there was less than what was asked for.
    Result<bool> take(std::vector<Message>& batch, bool came_short) {
        const std::int64_t before = next_;
        for (std::size_t i = 0; i < batch.size(); ++i) {
            const rd_kafka_message_t* const m = batch[i].get();
            if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
                SLUICE_CHECK(event(*m));
                continue;
            }
            if (epoch_before_ >= 0) note_doubt(*m);
            if (m->offset < next_) continue;  // a compressed batch begins before the offset asked for
            if (m->offset >= range_.until) {
                skip_to(range_.until);
                consumer().keep({std::make_move_iterator(batch.begin() + static_cast<std::ptrdiff_t>(i)),
                                 std::make_move_iterator(batch.end())});
                break;
            }
            skip_to(m->offset);
            ++next_;
            ++counts_.polled;
            chunk_.add(std::move(batch[i]), topic_);
        }
        SLUICE_CHECK(deliver());
        // Control records and aborted ones never arrive; the position passes them. To ask for it takes a lock
        // that the fetching thread needs, so not while records keep coming.
        const auto position = done() || !came_short ? std::nullopt : consumer().position();
        if (position && *position >= range_.until) skip_to(range_.until);
        if (!done() && consumer().end() >= range_.until) skip_to(range_.until);
        if (next_ != before) return true;
        if (!position || *position <= std::max(passed_, next_)) return false;
        passed_ = *position;
        SLUICE_CHECK(handler_({}));
        return true;
    }

 private:
    /// librdkafka takes the position of an assignment as it is (its issue 5158).
    void note_doubt(const rd_kafka_message_t& m) {
        const std::int32_t before = std::exchange(epoch_before_, -1);
        if (rd_kafka_message_leader_epoch(&m) > before) counts_.doubts.push_back({next_, before});
    }

    void skip_to(std::int64_t offset) {
        counts_.gaps += static_cast<std::uint64_t>(offset - next_);
        next_ = offset;
    }

    Result<void> deliver() {
        if (chunk_.empty()) return {};
        counts_.bytes += chunk_.bytes();
        if (is_first_chunk_) counts_.first_leader_epoch = chunk_.first_leader_epoch();
        is_first_chunk_ = false;
        counts_.last_leader_epoch = chunk_.last_leader_epoch();
        counts_.last_offset = chunk_.records().back().offset;
        counts_.last_timestamp_ms = chunk_.records().back().timestamp_ms;
        consumer().hand_over(chunk_.size(), chunk_.bytes());
        auto result = handler_(chunk_.records());
        chunk_.clear(consumer().spent());
        consumer().take_back();
        return result;
    }

    Result<void> event(const rd_kafka_message_t& m) {
        switch (m.err) {
            case RD_KAFKA_RESP_ERR__PARTITION_EOF:
                end_ = m.offset;
                consumer().reached_end(m.offset);
                return {};
            case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
            case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
            case RD_KAFKA_RESP_ERR__LOG_TRUNCATION:
            case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
            case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID:
            case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
            case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: {
                Error error = to_error(where(), m.err, rd_kafka_message_errstr(&m));
                error.code = ErrorCode::out_of_range;
                return error;
            }
            // The group's coordinator is looked for, and never needed: no ACL on the group is asked for.
            case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED: return {};
            default: break;
        }
        Error error = to_error(where(), m.err, rd_kafka_message_errstr(&m),
                               {.principal = consumer().settings().principal,
                                .topic = range_.topic_partition.topic});
        if (!error.retriable || error.code == ErrorCode::denied) return error;
        last_trouble_ = std::move(error.message);  // librdkafka goes on by itself; said if it doesn't
        return {};
    }

    [[nodiscard]] std::string where() const {
        return plan::to_string(range_.topic_partition) + " at offset " + std::to_string(next_);
    }

    [[nodiscard]] Consumer& consumer() const { return lease_.consumer(); }

    const Lease& lease_;  ///< its consumer may become another one between two calls
    const plan::OffsetRange& range_;
    const RecordHandler& handler_;
    const sluice_string topic_;
    Chunk chunk_;
    std::int64_t next_;      ///< first offset not accounted for
    std::int64_t passed_ = -1;  ///< the consumer's position, where that was further than next_
    std::int64_t end_ = -1;  ///< where the partition ended, as reported during this reading
    std::int32_t epoch_before_ = -1;  ///< of what a consumer has read that was replaced, until the next one gives a record
    RangeCounts counts_;
    bool is_first_chunk_ = true;
    std::string last_trouble_;
};

}  // namespace

Result<RangeCounts> read_range(Lease& lease, const plan::OffsetRange& range,
                               const ReadOptions& options, const RecordHandler& handler,
                               const std::stop_token& stop, const Clock& clock) {
    Reading reading(lease, range, options, handler);
    std::vector<Message> batch;
    // The end may be known already: what is left of the partition then has no visible record.
    SLUICE_CHECK(reading.take(batch, true));
    SteadyTime moved = clock.steady();
    std::chrono::nanoseconds fetching{};
    const std::string name = plan::to_string(range.topic_partition);
    while (!reading.done()) {
        if (stop.stop_requested()) {
            return Error{ErrorCode::stopping,
                         name + ": stopped at offset " + std::to_string(reading.next())};
        }
        // librdkafka hands over what it has when there are as many as were asked for, or when the time is
        // over, not when it has no more: at the end of a range both would be a wait for nothing.
        const auto left = static_cast<std::uint64_t>(range.until - reading.next());
        Consumer& consumer = lease.consumer();
        const auto wanted = std::min(left, consumer.records_in(options.chunk_bytes, options.chunk_records));
        const SteadyTime asked = clock.steady();
        SLUICE_CHECK(consumer.consume(batch, static_cast<std::size_t>(wanted),
                                      left < options.chunk_records ? options.tail_timeout : options.poll_timeout));
        fetching += clock.steady() - asked;
        SLUICE_TRY(const bool outgrown, consumer.outgrows_queue(batch));
        if (outgrown) {
            SLUICE_CHECK(reading.leave_consumer(batch));
            batch.clear();  // read again
            const std::int32_t epoch = reading.counts().last_leader_epoch;
            SLUICE_CHECK(lease.renew(range.topic_partition, reading.next(), epoch >= 0 ? epoch : lease.leader_epoch()));
            moved = clock.steady();
            continue;
        }
        const bool came_short = batch.size() < wanted;
        SLUICE_TRY(const bool progress, reading.take(batch, came_short));
        const SteadyTime now = clock.steady();
        if (progress) {
            moved = now;
        } else if (auto refused = consumer.refusal(name)) {
            return *std::move(refused);
        } else if (reading.ends_short() && now - moved > options.short_end_timeout) {
            return Error{ErrorCode::out_of_range,
                         name + ": ends at offset " + std::to_string(reading.end()) +
                             ", before the planned " + std::to_string(range.until)};
        } else if (now - moved > options.progress_timeout) {
            std::string message = name + ": nothing arrived at offset " +
                                  std::to_string(reading.next()) + " for " +
                                  std::to_string(options.progress_timeout.count() / 1000) + " s";
            if (!reading.last_trouble().empty()) message += "; last heard: " + reading.last_trouble();
            return Error{ErrorCode::unavailable, std::move(message), true};
        }
    }
    SLUICE_ASSERT(reading.next() == range.until);
    lease.finish(range.until, options.read_on);
    RangeCounts counts = reading.counts();
    counts.fetching = fetching;
    return counts;
}

}  // namespace sluice::kafka
