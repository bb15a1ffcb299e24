#include "daemon/pipeline/range_task.hpp"

#include "daemon/base/failpoint.hpp"
#include "daemon/pipeline/backoff.hpp"

namespace sluice::pipeline {
namespace {

std::int64_t steady_ms(const Clock& clock) {
    return std::chrono::duration_cast<Milliseconds>(clock.steady().time_since_epoch()).count();
}

/// Hands records to a writer and counts what it kept.
class Delivery {
 public:
    Delivery(sink::Writer* writer, const RangeRequest& request, BatchProgress& progress,
             const Clock& clock, const std::stop_token& stop)
        : writer_(writer), request_(request), progress_(progress), clock_(clock), stop_(stop) {}

    [[nodiscard]] std::uint64_t accepted() const { return accepted_; }

    Result<void> operator()(std::span<const sluice_record> records) {
        failpoint("range.while_reading");
        if (writer_ != nullptr) SLUICE_CHECK(write(records));
        failpoint("range.while_writing");
        accepted_ += records.size();
        progress_.polled.fetch_add(records.size(), std::memory_order_relaxed);
        progress_.moved_at_ms.store(steady_ms(clock_), std::memory_order_relaxed);
        return {};
    }

 private:
    Result<void> write(std::span<const sluice_record> records) {
        for (int attempt = 1;; ++attempt) {
            const sink::WriteReply reply = writer_->write(records);
            switch (reply.status) {
                case sink::Status::ok: return {};
                case sink::Status::retry:
                    // Briefly in place; longer troubles go back to the engine, which frees the worker.
                    if (attempt <= static_cast<int>(request_.write_retries) &&
                        clock_.wait(backoff(attempt, Milliseconds{1000}, 0), stop_)) {
                        continue;
                    }
                    return sink_error("write", reply.message, reply.status);
                case sink::Status::reject: return rejected(records, reply);
                case sink::Status::already_committed:
                case sink::Status::fatal: return sink_error("write", reply.message, reply.status);
            }
        }
    }

    /// errors.tolerance none: the first record refused stops the pipeline, named.
    Result<void> rejected(std::span<const sluice_record> records, const sink::WriteReply& reply) {
        std::string message = "the sink refused ";
        if (reply.rejects.empty()) {
            message += std::to_string(records.size()) + " records from offset " +
                       std::to_string(records.front().offset);
            message += reply.message.empty() ? "" : ": " + reply.message;
        } else {
            const sink::Reject& first = reply.rejects.front();
            message += "record " + plan::to_string(request_.range.range.topic_partition) + "@" +
                       std::to_string(records[first.index].offset) + ": " +
                       (first.reason.empty() ? reply.message : first.reason);
        }
        const auto& tp = request_.range.range.topic_partition;
        const std::int64_t offset = reply.rejects.empty() ? records.front().offset
                                                          : records[reply.rejects.front().index].offset;
        return Error{ErrorCode::fatal,
                     message + ". Nothing was skipped: correct the sink, or step over that one record "
                               "with `sluice offsets skip PIPELINE " +
                         tp.topic + "/" + std::to_string(tp.partition) + "@" +
                         std::to_string(offset) + " --execute`"};
    }

    sink::Writer* writer_;
    const RangeRequest& request_;
    BatchProgress& progress_;
    const Clock& clock_;
    const std::stop_token& stop_;
    std::uint64_t accepted_ = 0;
};

}  // namespace

Error sink_error(std::string_view call, const std::string& message, sink::Status status) {
    const bool retry = status == sink::Status::retry;
    std::string text = "sink " + std::string(call) + ": ";
    text += message.empty() ? std::string("answered ") + std::string(sink::name_of(status)) : message;
    return Error{retry ? ErrorCode::unavailable : ErrorCode::fatal, std::move(text), retry};
}

Result<RangeOutcome> run_range(Source& source, sink::Sink& sink, const RangeRequest& request,
                               BatchProgress& progress, const Clock& clock,
                               const std::stop_token& stop) {
    const plan::OffsetRange& planned = request.range.range;
    std::unique_ptr<sink::Writer> writer;
    if (request.writes) {
        sink::WriterReply opened = sink.open_writer({planned.topic_partition.topic,
                                                     planned.topic_partition.partition, request.index,
                                                     planned.from, planned.until, request.token});
        if (opened.reply.status != sink::Status::ok) {
            return sink_error("open_writer", opened.reply.message, opened.reply.status);
        }
        writer = std::move(opened.writer);
    }

    RangeOutcome outcome;
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
        outcome.last_leader_epoch = counts->last_leader_epoch;
        outcome.last_timestamp_ms = counts->last_timestamp_ms;
    }
    if (writer) {
        const sink::Reply closed = writer->close(true);
        if (closed.status != sink::Status::ok) {
            return sink_error("close_writer", closed.message, closed.status);
        }
    }
    return outcome;
}

}  // namespace sluice::pipeline
