#include "daemon/pipeline/range_task.hpp"

#include "daemon/base/failpoint.hpp"
#include "daemon/pipeline/backoff.hpp"
#include "daemon/sink/record.hpp"

namespace sluice::pipeline {
namespace {

using Records = std::span<const sluice_record>;

std::int64_t to_ms(SteadyTime time) {
    return std::chrono::duration_cast<Milliseconds>(time.time_since_epoch()).count();
}

/// On the list of the batch; an error where no record may be refused.
Result<void> note(const RefusalPolicy& refusal, const std::string& pipeline,
                  const plan::TopicPartition& tp, std::int64_t offset, const std::string& reason) {
    if (refusal.letters != nullptr) return refusal.refusals.add(tp, offset, reason);
    return Error{ErrorCode::fatal,
                 "the sink refused record " + plan::to_string(tp) + "@" + std::to_string(offset) + ": " +
                     reason +
                     ". Nothing was skipped: correct the sink, or step over that one record "
                     "with `sluice offsets skip " +
                     pipeline + " " + tp.topic + "/" + std::to_string(tp.partition) + "@" +
                     std::to_string(offset) +
                     " --execute`, or let refused records go to dead letters "
                     "(errors.tolerance: all)"};
}

/// Hands records to a writer and counts what became of them.
class Delivery {
 public:
    Delivery(sink::Writer* writer, const RangeRequest& request, BatchProgress& progress,
             const Clock& clock, const std::stop_token& stop)
        : writer_(writer),
          request_(request),
          progress_(progress),
          clock_(clock),
          stop_(stop),
          known_(request.refusal.refusals.known_in(request.range.range)) {}

    [[nodiscard]] std::uint64_t accepted() const { return accepted_; }
    [[nodiscard]] std::uint64_t dead_lettered() const { return dead_lettered_; }
    [[nodiscard]] std::chrono::nanoseconds writing() const { return writing_; }

    Result<void> operator()(Records records) {
        failpoint("range.while_reading");
        const SteadyTime began = clock_.steady();
        SLUICE_CHECK(known_.empty() ? write(records) : write_unknown(records));
        const SteadyTime wrote = clock_.steady();
        writing_ += wrote - began;
        failpoint("range.while_writing");
        progress_.polled.fetch_add(records.size(), std::memory_order_relaxed);
        progress_.moved_at_ms.store(to_ms(wrote), std::memory_order_relaxed);
        return {};
    }

 private:
    /// Around the records that an earlier attempt of this batch found to be refused.
    Result<void> write_unknown(Records records) {
        std::size_t begin = 0;
        for (std::size_t i = 0; i < records.size(); ++i) {
            const auto found = known_.find(records[i].offset);
            if (found == known_.end()) continue;
            SLUICE_CHECK(write(records.subspan(begin, i - begin)));
            SLUICE_CHECK(refuse(records[i], found->second));
            begin = i + 1;
        }
        return write(records.subspan(begin));
    }

    Result<void> write(Records records) {
        if (records.empty()) return {};
        if (writer_ == nullptr) {  // the sink has the batch: its records are only counted
            accepted_ += records.size();
            return {};
        }
        for (int attempt = 1;; ++attempt) {
            const sink::WriteReply reply = writer_->write(records);
            switch (reply.status) {
                case sink::Status::ok: accepted_ += records.size(); return {};
                case sink::Status::retry:
                    // Briefly in place; longer troubles go back to the engine, which frees the worker.
                    if (attempt <= static_cast<int>(request_.write_retries) &&
                        clock_.wait(backoff(attempt, Milliseconds{1000}, 0), stop_)) {
                        continue;
                    }
                    return sink_failed(sink_error("write", reply.message, reply.status));
                case sink::Status::reject: return rejected(records, reply);
                case sink::Status::already_committed:
                case sink::Status::fatal:
                    return sink_failed(sink_error("write", reply.message, reply.status));
            }
        }
    }

    Error sink_failed(Error error) {
        progress_.stage = Stage::sink_write;
        return error;
    }

    Result<void> rejected(Records records, const sink::WriteReply& reply) {
        const auto reason_of = [&](const std::string& reason) {
            return !reason.empty() ? reason : !reply.message.empty() ? reply.message : "refused by the sink";
        };
        switch (reply.reject_kind) {
            case SLUICE_REJECT_ALL: {
                if (records.size() == 1) return refuse(records.front(), reason_of({}));
                const std::size_t half = records.size() / 2;  // nothing was kept: find the bad ones
                SLUICE_CHECK(write(records.first(half)));
                return write(records.subspan(half));
            }
            case SLUICE_REJECT_BATCH_LOST:
            {
                std::vector<sink::Refused> refused = reply.refused;
                for (const sink::Reject& reject : reply.rejects) {
                    refused.push_back({request_.index, records[reject.index].offset, reason_of(reject.reason)});
                }
                return sink_failed(lose_batch("write", reply.message, refused, request_.refusal,
                                              request_.pipeline, request_.plan));
            }
            default:
                accepted_ += records.size() - reply.rejects.size();
                for (const sink::Reject& reject : reply.rejects) {
                    SLUICE_CHECK(refuse(records[reject.index], reason_of(reject.reason)));
                }
                return {};
        }
    }

    Result<void> refuse(const sluice_record& record, const std::string& reason) {
        SLUICE_CHECK(note(request_.refusal, request_.pipeline, request_.range.range.topic_partition,
                          record.offset, reason));
        ++dead_lettered_;
        if (writer_ == nullptr) return {};  // written before the sink committed
        sluice_headers headers{};
        if (record.handle != nullptr) {
            const auto* const handle = static_cast<const sink::RecordHandle*>(record.handle);
            headers = handle->headers(handle);
        }
        return request_.refusal.letters->add(record, headers, reason, stop_);
    }

    sink::Writer* writer_;
    const RangeRequest& request_;
    BatchProgress& progress_;
    const Clock& clock_;
    const std::stop_token& stop_;
    const RefusedOffsets known_;  ///< empty for nearly every range there is
    std::uint64_t accepted_ = 0;
    std::uint64_t dead_lettered_ = 0;
    std::chrono::nanoseconds writing_{};
};

}  // namespace

Error sink_error(std::string_view call, const std::string& message, sink::Status status) {
    const bool retry = status == sink::Status::retry;
    std::string text = "sink " + std::string(call) + ": ";
    text += message.empty() ? std::string("answered ") + std::string(sink::name_of(status)) : message;
    return Error{retry ? ErrorCode::unavailable : ErrorCode::fatal, std::move(text), retry};
}

Error lose_batch(std::string_view call, const std::string& message,
                 const std::vector<sink::Refused>& refused, const RefusalPolicy& refusal,
                 const std::string& pipeline, const checkpoints::Plan& plan) {
    const auto partition_of = [&plan](const sink::Refused& record) -> const plan::TopicPartition& {
        return plan.ranges[record.range_index].range.topic_partition;
    };
    for (const sink::Refused& record : refused) {
        const std::string& reason = record.reason.empty() ? message : record.reason;
        auto noted = note(refusal, pipeline, partition_of(record), record.offset, reason);
        if (!noted) return std::move(noted).error();
    }
    if (refused.empty()) return sink_error(call, message, sink::Status::retry);
    refusal.refusals.lose_batch();
    const sink::Refused& first = refused.front();
    return Error{ErrorCode::unavailable,
                 "the sink lost the batch over " + std::to_string(refused.size()) +
                     " records, the first one " + plan::to_string(partition_of(first)) + "@" +
                     std::to_string(first.offset) + ": " +
                     (first.reason.empty() ? message : first.reason),
                 true};
}

Result<RangeOutcome> run_range(Source& source, sink::Sink& sink, const RangeRequest& request,
                               BatchProgress& progress, const Clock& clock,
                               const std::stop_token& stop) {
    const plan::OffsetRange& planned = request.range.range;
    std::unique_ptr<sink::Writer> writer;
    RangeOutcome outcome;
    if (request.writes) {
        const SteadyTime began = clock.steady();
        sink::WriterReply opened = sink.open_writer({planned.topic_partition.topic,
                                                     planned.topic_partition.partition, request.index,
                                                     planned.from, planned.until, request.token});
        if (opened.reply.status != sink::Status::ok) {
            progress.stage = Stage::sink_write;
            return sink_error("open_writer", opened.reply.message, opened.reply.status);
        }
        writer = std::move(opened.writer);
        outcome.writing += clock.steady() - began;
    }

    outcome.books.lost = static_cast<std::uint64_t>(request.start - planned.from);
    if (request.start < planned.until) {
        plan::PlannedRange rest = request.range;
        rest.range.from = request.start;
        if (request.start != planned.from) rest.leader_epoch = -1;
        Delivery delivery(writer.get(), request, progress, clock, stop);
        auto counts = source.read(rest, request.read_on, std::ref(delivery), stop);
        if (!counts) {
            if (writer) (void)writer->close(false);
            return std::move(counts).error();
        }
        outcome.books.polled = counts->polled;
        outcome.books.gaps = counts->gaps;
        outcome.books.bytes = counts->bytes;
        outcome.books.accepted = delivery.accepted();
        outcome.books.dead_lettered = delivery.dead_lettered();
        outcome.leasing = counts->leasing;
        outcome.fetching = counts->fetching;
        outcome.writing += delivery.writing();
        outcome.last_leader_epoch = counts->last_leader_epoch;
        outcome.last_offset = counts->last_offset;
        outcome.last_timestamp_ms = counts->last_timestamp_ms;
    }
    if (writer) {
        const SteadyTime began = clock.steady();
        const sink::Reply closed = writer->close(true);
        outcome.writing += clock.steady() - began;
        if (closed.status != sink::Status::ok) progress.stage = Stage::sink_write;
        if (closed.status == sink::Status::reject) {
            return lose_batch("close_writer", closed.message, closed.refused, request.refusal,
                              request.pipeline, request.plan);
        }
        if (closed.status != sink::Status::ok) {
            return sink_error("close_writer", closed.message, closed.status);
        }
    }
    return outcome;
}

}  // namespace sluice::pipeline
