// A plan, run until it is committed: attempts, and their COMMIT.

#include <algorithm>
#include <utility>

#include "daemon/base/failpoint.hpp"
#include "daemon/base/log.hpp"
#include "daemon/pipeline/foreign_batch.hpp"
#include "daemon/pipeline/pipeline_impl.hpp"

namespace sluice::pipeline {

asio::awaitable<Result<void>> Pipeline::Impl::run_plan(const checkpoints::Plan& plan,
                                                       bool is_rerun) {
    adjustments_.clear();
    losses_of_plan_.clear();
    next_of_plan_.clear();
    gave_up_plan_ = false;
    progress_.begun = false;
    progress_.is_foreign = false;
    may_be_committed_ = false;
    foreign_is_noted_ = false;
    if (is_rerun) {
        auto foreign = co_await on_disk([&] { return is_foreign(env_.store, config_.name, plan.batch_id); });
        if (!foreign) co_return std::move(foreign).error();
        foreign_is_noted_ = *foreign;
        may_be_committed_ = !*foreign;
        auto known = co_await on_disk([&] { return env_.store.refused(config_.name, plan.batch_id); });
        if (!known) co_return std::move(known).error();
        refusals_.reset(*known);
    } else {
        refusals_.reset({});
    }
    {
        const std::lock_guard lock(status_mutex_);
        status_.batch_id = plan.batch_id;
        status_.batch_offsets = 0;
        for (const auto& range : plan.ranges) status_.batch_offsets += plan::size_of(range.range);
    }
    // However it ends, by an exception too: a batch that is none is not STALLED.
    struct Open {
        Impl& impl;
        explicit Open(Impl& of) : impl(of) {}
        ~Open() {
            const std::lock_guard lock(impl.status_mutex_);
            impl.status_.batch_id.reset();
            impl.step_ = "commit a batch";
            impl.step_since_ = impl.env_.clock.steady();
        }
        Open(const Open&) = delete;
        Open& operator=(const Open&) = delete;
    };
    const Open open_batch(*this);
    int attempt = 0;
    co_return co_await with_retries("batch", Stage::read, [&] {
        ++attempt;
        return attempt_plan(plan, is_rerun || attempt > 1, attempt);
    });
}

asio::awaitable<Result<void>> Pipeline::Impl::attempt_plan(const checkpoints::Plan& plan,
                                                           bool is_rerun, int attempt) {
    enter(State::running);
    // While it is being run: one that waits for its next attempt leaves the workers to the others.
    struct Busy {
        std::atomic<int>& pipelines;
        explicit Busy(std::atomic<int>& of) : pipelines(of) { ++pipelines; }
        ~Busy() { --pipelines; }
        Busy(const Busy&) = delete;
        Busy& operator=(const Busy&) = delete;
    };
    const Busy busy(env_.busy);
    const RefusalPolicy refusal{
        refusals_, dead_letters_.get(),
        [this, &plan](const std::vector<checkpoints::RefusedRecord>& records) {
            return env_.store.put_refused(config_.name, plan.batch_id, records);
        }};
    BatchRequest request{config_.name, state_.sink_name, plan, is_rerun, adjustments_, leader_epochs_, refusal, 1};
    request.may_be_committed = may_be_committed_;
    request.before_commit = [this, &plan] { return check_topics(plan); };
    if (!plugin_->ordered()) {
        request.lanes = static_cast<std::size_t>(
            std::max(1, env_.worker_count / std::max(1, env_.busy.load())));
    }
    auto outcome = co_await run_batch(env_.workers, *source_, *sink_, request, progress_, env_.clock,
                                      abort_.get_token());
    // Each round without the records that lost the last one: there is nothing to wait for.
    while (!outcome && refusals_.take_batch_lost() && outcome.error().retriable && !interrupted()) {
        const auto refused = refusals_.unstored();
        if (refused.empty()) break;  // nothing new was named: no reason to believe in another round
        count_aborted();
        log::warning("running a batch again without the records that its sink refuses",
                     {{"pipeline", config_.name},
                      {"batch", plan.batch_id},
                      {"error", outcome.error().message}});
        auto noted = co_await on_disk([&] { return refusal.store(refused); });
        if (!noted) co_return std::move(noted).error();
        refusals_.stored();
        request.is_rerun = true;
        outcome = co_await run_batch(env_.workers, *source_, *sink_, request, progress_, env_.clock,
                                     abort_.get_token());
    }
    if (!outcome) {
        count_aborted();
        if (progress_.is_foreign && !std::exchange(foreign_is_noted_, true)) {
            auto noted = co_await on_disk(
                [&] { return note_foreign(env_.store, config_.name, plan.batch_id, env_.clock.wall()); });
            if (!noted) co_return std::move(noted).error();
        }
        if (outcome.error().code == ErrorCode::out_of_range) {
            auto given_up = co_await examine_loss(plan, outcome.error());
            if (!given_up) co_return std::move(given_up).error();
            if (*given_up) co_return Result<void>{};
        }
        co_return std::move(outcome).error();
    }
    for (const auto& [tp, position] : next_of_plan_) {
        auto& after = outcome->positions[tp];
        if (position.offset <= after.offset) continue;
        after = position;  // the loss goes on past the plan, which moves it all the same
        after.last_advanced = static_cast<std::int64_t>(plan.batch_id);
    }
    outcome->commit.attempts = static_cast<std::uint32_t>(attempt);
    std::optional<checkpoints::Receipt> receipt;
    if (outcome->receipt && !outcome->receipt->empty()) {
        receipt = checkpoints::Receipt{config_.sink.plugin, config_.sink.target, *outcome->receipt};
    }
    failpoint("batch.before_commit");
    const SteadyTime storing = env_.clock.steady();
    auto stored = co_await on_disk([&] {
        return env_.store.put_commit(config_.name, outcome->commit, outcome->positions, receipt,
                                     losses_of_plan_);
    });
    if (!stored) co_return std::move(stored).error();
    failpoint("batch.after_commit");
    PhaseTimes times = outcome->times;
    times.initial_offsets = times_.initial_offsets;
    times.latest_offsets = times_.latest_offsets;
    times.plan = times_.plan;
    times.split = times_.split;
    times.checkpoint = times_.checkpoint + (env_.clock.steady() - storing);
    times_ = {};
    {
        const std::lock_guard lock(status_mutex_);
        status_.phases = times;
    }
    for (const auto& [tp, position] : outcome->positions) state_.positions[tp] = position;
    if (receipt) state_.receipt = receipt;
    state_.unfinished.reset();
    learn(plan, *outcome);
    publish(&outcome->commit);
    export_is_due_ = true;
    co_await export_positions(false);
    co_return Result<void>{};
}

/// At most once a second while batches run, and once more when there is nothing to do; once a minute where it fails,
/// since a coordinator that is away costs ten seconds each time.
asio::awaitable<void> Pipeline::Impl::export_positions(bool at_the_end) {
    const Milliseconds interval{export_failed_ ? 60'000 : 1000};
    if (!config_.export_group || !export_is_due_) co_return;
    const SteadyTime now = env_.clock.steady();
    const bool is_last = at_the_end && (!export_failed_ || config_.trigger.kind != config::TriggerKind::processing_time);
    if (!is_last && exported_at_ && now - *exported_at_ < interval) co_return;
    exported_at_ = now;
    auto exported = co_await look_up(
        [this] { return source_->export_positions(*config_.export_group, state_.positions); });
    if (exported) {
        export_is_due_ = false;
        export_failed_ = false;
    } else if (!std::exchange(export_failed_, true)) {
        log::warning("positions were not exported; the pipeline goes on without",
                     {{"pipeline", config_.name},
                      {"group", *config_.export_group},
                      {"error", exported.error().message}});
    }
}

void Pipeline::Impl::count_aborted() {
    const std::lock_guard lock(status_mutex_);
    ++status_.batches_aborted;
}

void Pipeline::Impl::learn(const checkpoints::Plan& plan, const BatchOutcome& outcome) {
    std::uint64_t polled = 0;
    std::uint64_t bytes = 0;
    std::uint64_t planned = 0;
    std::uint64_t dead_lettered = 0;
    for (const auto& books : outcome.commit.books) {
        polled += books.polled;
        bytes += books.bytes;
        dead_lettered += books.dead_lettered;
    }
    for (const auto& range : plan.ranges) planned += plan::size_of(range.range);
    observed_.learn(outcome.commit);
    {
        const std::lock_guard lock(status_mutex_);
        status_.last_committed = outcome.commit.batch_id;
        status_.last_commit_at = outcome.commit.committed_at;
        status_.records_committed += polled;
        status_.bytes_committed += bytes;
        status_.records_dead_lettered += dead_lettered;
        ++status_.batches_committed;
        if (status_.backlog) *status_.backlog -= std::min(*status_.backlog, planned);
        for (const auto& [tp, position] : outcome.positions) {
            status_.partitions[tp].position = position.offset;
        }
        for (const auto& [tp, last] : outcome.last_timestamps_ms) status_.partitions[tp].last_record_ms = last;
    }
    if (dead_lettered > 0) {
        log::warning("records were refused by the sink and went to the dead letters",
                     {{"pipeline", config_.name},
                      {"batch", plan.batch_id},
                      {"records", dead_lettered},
                      {"where", config_.errors.dead_letter_topic
                                    ? *config_.errors.dead_letter_topic
                                    : config_.errors.dead_letter_path->string()}});
    }
    log::info("batch committed", {{"pipeline", config_.name},
                                  {"batch", plan.batch_id},
                                  {"ranges", plan.ranges.size()},
                                  {"offsets", planned},
                                  {"records", polled},
                                  {"state", checkpoints::name_of(outcome.commit.state)},
                                  {"ms", outcome.commit.phases.total.count()}});
}

}  // namespace sluice::pipeline
