#include "daemon/pipeline/batch_run.hpp"

#include <algorithm>
#include <set>

#include "daemon/base/failpoint.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/text.hpp"
#include "daemon/pipeline/foreign_batch.hpp"
#include "daemon/pipeline/range_order.hpp"
#include "daemon/pipeline/range_task.hpp"
#include "daemon/pipeline/run_on.hpp"

namespace sluice::pipeline {
namespace {

Milliseconds in_ms(PhaseTimes::Time time) { return std::chrono::duration_cast<Milliseconds>(time); }

/// The books of a range, held against each other and against the plan.
Result<void> balance(const plan::OffsetRange& range, const checkpoints::RangeBooks& books) {
    if (books.polled != books.accepted + books.filtered + books.dead_lettered ||
        plan::size_of(range) != books.polled + books.gaps + books.lost) {
        return Error{ErrorCode::fatal,
                     plan::to_string(range.topic_partition) + " [" + std::to_string(range.from) +
                         ", " + std::to_string(range.until) + "): the books do not balance: " +
                         std::to_string(books.polled) + " polled, " +
                         std::to_string(books.accepted) + " accepted, " +
                         std::to_string(books.filtered) + " filtered, " +
                         std::to_string(books.dead_lettered) + " dead-lettered, " +
                         std::to_string(books.gaps) + " gaps, " + std::to_string(books.lost) +
                         " lost. Nothing was committed; this is a bug of sluice or of the plugin"};
    }
    return {};
}

/// Dead letters first, then the list of them: what is on the list once the sink has the batch was
/// written to the dead letters.
Result<void> settle(const RefusalPolicy& refusal, const std::stop_token& stop) {
    if (refusal.letters != nullptr) SLUICE_CHECK(refusal.letters->settle(stop));
    const auto unstored = refusal.refusals.unstored();
    if (unstored.empty()) return {};
    failpoint("batch.before_refused");
    SLUICE_CHECK(refusal.store(unstored));
    refusal.refusals.stored();
    failpoint("batch.after_refused");
    return {};
}

/// All ranges, `lanes` at a time; the first error stops the others.
asio::awaitable<Result<std::vector<RangeOutcome>>> run_ranges(
    asio::any_io_executor workers, Source& source, sink::Sink& sink, const BatchRequest& request,
    const sink::Batch& batch, bool writes, BatchProgress& progress, const Clock& clock,
    std::stop_token outer_stop) {
    const auto& ranges = request.plan.ranges;
    std::vector<RangeOutcome> outcomes(ranges.size());
    std::optional<Error> failure;
    const std::size_t count = std::max<std::size_t>(1, std::min(request.lanes, ranges.size()));
    RangeOrder order(ranges, count);
    std::stop_source stop;
    const std::stop_callback pass_on(outer_stop, [&stop] { stop.request_stop(); });

    const auto lane = [&](std::size_t number) -> asio::awaitable<void> {
        while (!failure) {
            const auto next = order.take(number);
            if (!next) break;
            const std::size_t index = next->index;
            const auto adjusted = request.adjustments.find(index);
            const RangeRequest task{request.plan,
                                    ranges[index],
                                    request.pipeline,
                                    static_cast<std::uint32_t>(index),
                                    adjusted == request.adjustments.end() ? ranges[index].range.from
                                                                          : adjusted->second,
                                    next->read_on,
                                    writes,
                                    batch.ranges[index].token,
                                    request.write_retries,
                                    request.refusal};
            auto outcome = co_await run_on(workers, [&] {
                return run_range(source, sink, task, progress, clock, stop.get_token());
            });
            if (outcome) {
                outcomes[index] = *std::move(outcome);
            } else if (!failure) {
                failure = std::move(outcome).error();
                stop.request_stop();
            }
        }
    };
    std::vector<asio::awaitable<void>> lanes;
    for (std::size_t i = 0; i < count; ++i) lanes.push_back(lane(i));
    co_await run_all(std::move(lanes));
    if (failure) co_return std::move(*failure);
    co_return outcomes;
}

BatchOutcome summarize(const checkpoints::Plan& plan, const std::vector<RangeOutcome>& ranges,
                       const LeaderEpochs& leader_epochs) {
    BatchOutcome outcome;
    LeaderEpochs last_epochs;
    outcome.commit.batch_id = plan.batch_id;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        const plan::PlannedRange& planned = plan.ranges[i];
        const plan::TopicPartition& partition = planned.range.topic_partition;
        outcome.commit.books.push_back(ranges[i].books);
        outcome.times.lease += ranges[i].leasing;
        outcome.times.fetch += ranges[i].fetching;
        outcome.times.write += ranges[i].writing;
        // Ranges of a partition are in order; one without a record goes on under the epoch before it.
        std::int32_t& last_epoch = last_epochs.try_emplace(partition, planned.leader_epoch).first->second;
        if (ranges[i].last_leader_epoch >= 0) last_epoch = ranges[i].last_leader_epoch;
        plan::Position& position = outcome.positions[partition];
        if (planned.range.until < position.offset) continue;
        position.offset = planned.range.until;
        position.topic_id = planned.topic_id;
        position.last_advanced = static_cast<std::int64_t>(plan.batch_id);
        const auto current = leader_epochs.find(partition);
        position.leader_epoch = plan::epoch_before(planned.range.until, ranges[i].last_offset, last_epoch,
                                                   current == leader_epochs.end() ? -1 : current->second);
        if (ranges[i].last_timestamp_ms) outcome.last_timestamps_ms[partition] = *ranges[i].last_timestamp_ms;
    }
    return outcome;
}

}  // namespace

sink::Batch as_sink_batch(const std::string& sink_name, const checkpoints::Plan& plan, bool is_rerun) {
    sink::Batch batch{plan.batch_id, is_rerun, {}};
    std::uint32_t index = 0;
    for (const plan::PlannedRange& planned : plan.ranges) {
        const auto& tp = planned.range.topic_partition;
        batch.ranges.push_back({tp.topic, tp.partition, index, planned.range.from, planned.range.until,
                                sink_name + "/" + std::to_string(batch.id) + "/" + std::to_string(index)});
        ++index;
    }
    return batch;
}

BatchOutcome recovered_outcome(const checkpoints::Plan& plan, std::string receipt, WallTime now) {
    BatchOutcome outcome = summarize(plan, std::vector<RangeOutcome>(plan.ranges.size()), {});
    outcome.commit.state = checkpoints::BatchState::recovered;
    outcome.commit.books.clear();
    outcome.commit.committed_at = now;
    outcome.receipt = std::move(receipt);
    return outcome;
}

asio::awaitable<Result<BatchOutcome>> run_batch(asio::any_io_executor workers, Source& source,
                                                sink::Sink& sink, BatchRequest request,
                                                BatchProgress& progress, const Clock& clock,
                                                std::stop_token stop) {
    const SteadyTime started = clock.steady();
    const sink::Batch batch = as_sink_batch(request.sink_name, request.plan, request.is_rerun);
    const auto doing = [&](const char* what, Stage stage) {
        progress.stage.store(stage, std::memory_order_relaxed);
        progress.doing.store(what, std::memory_order_relaxed);
        progress.moved_at_ms.store(
            std::chrono::duration_cast<Milliseconds>(clock.steady().time_since_epoch()).count(),
            std::memory_order_relaxed);
    };
    const auto call = [&](auto work) {  // plugin calls block as they like, on a worker
        return run_on(workers, [work]() -> Result<sink::Reply> { return work(); });
    };
    const auto abort = [&]() -> asio::awaitable<void> {
        doing("sink abort", progress.stage);  // what failed before it
        auto reply = co_await call([&] { return sink.abort(batch.id); });
        if (reply && reply->status != sink::Status::ok) {
            log::warning("the sink could not abort a batch; begin will have to",
                         {{"pipeline", request.pipeline},
                          {"batch", batch.id},
                          {"error", reply->message}});
        }
    };

    progress.polled = 0;
    if (request.refusal.letters != nullptr) {
        auto cleared = co_await run_on(workers, [&] { return request.refusal.letters->begin(batch.id); });
        if (!cleared) co_return std::move(cleared).error();
    }
    doing("sink begin", Stage::sink_begin);
    Result<sink::Reply> begun = co_await call([&] { return sink.begin(batch); });
    if (!begun) co_return std::move(begun).error();
    const bool already = begun->status == sink::Status::already_committed;
    if (begun->status != sink::Status::ok && !already) {
        co_return sink_error("begin", begun->message, begun->status);
    }
    if (already && !request.may_be_committed && !progress.begun) {
        progress.is_foreign = true;
        co_return foreign_error(batch.id);
    }
    if (!already) progress.begun = true;

    doing("read and write", Stage::read);
    Result<std::vector<RangeOutcome>> ranges = co_await run_ranges(
        workers, source, sink, request, batch, !already, progress, clock, stop);
    const PhaseTimes::Time read_time = clock.steady() - started;
    if (ranges && request.before_commit) {
        doing("look up topics", Stage::look_up);
        auto same_topics = co_await request.before_commit();
        if (!same_topics) ranges = std::move(same_topics).error();
    }
    if (!ranges && already && ranges.error().code == ErrorCode::out_of_range) {
        co_return recovered_outcome(request.plan, begun->receipt, clock.wall());
    }
    std::optional<Error> failure;
    if (!ranges) {
        failure = std::move(ranges).error();
    } else {
        for (std::size_t i = 0; i < ranges->size() && !failure; ++i) {
            if (auto balanced = balance(request.plan.ranges[i].range, (*ranges)[i].books); !balanced) {
                failure = std::move(balanced).error();
            }
        }
    }
    if (!failure && !already) {
        doing("write dead letters", Stage::sink_write);
        if (auto safe = co_await run_on(workers, [&] { return settle(request.refusal, stop); }); !safe) {
            failure = std::move(safe).error();
        }
    }
    if (failure) {
        if (!already) co_await abort();
        co_return std::move(*failure);
    }

    BatchOutcome outcome = summarize(request.plan, *ranges, request.leader_epochs);
    outcome.receipt = begun->receipt;
    if (!already) {
        doing("sink commit", Stage::sink_commit);
        const SteadyTime commit_started = clock.steady();
        Result<sink::Reply> committed = co_await call([&] { return sink.commit(batch.id); });
        if (!committed || committed->status != sink::Status::ok) {
            Error error = !committed ? std::move(committed).error()
                          : committed->status == sink::Status::reject
                              ? lose_batch("commit", committed->message, committed->refused,
                                           request.refusal, request.pipeline, request.plan)
                              : sink_error("commit", committed->message, committed->status);
            co_await abort();  // in doubt: begin with the same id has to find out
            co_return error;
        }
        outcome.receipt = committed->receipt;
        outcome.times.sink_commit = clock.steady() - commit_started;
    }
    outcome.commit.state = checkpoints::BatchState::committed;
    outcome.commit.committed_at = clock.wall();
    outcome.times.read = read_time;
    outcome.times.total = clock.steady() - started;
    outcome.commit.phases = {in_ms(read_time), in_ms(outcome.times.sink_commit), in_ms(outcome.times.total)};
    co_return outcome;
}

}  // namespace sluice::pipeline
