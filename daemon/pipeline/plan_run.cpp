// A plan, run until it is committed: attempts, their COMMIT, and what a reader thrown out of range means.

#include <algorithm>

#include "daemon/base/failpoint.hpp"
#include "daemon/base/log.hpp"
#include "daemon/pipeline/pipeline_impl.hpp"

namespace sluice::pipeline {

asio::awaitable<Result<void>> Pipeline::Impl::run_plan(const checkpoints::Plan& plan,
                                                       bool is_rerun) {
    adjustments_.clear();
    losses_of_plan_.clear();
    if (is_rerun) {
        auto known = co_await control([&] { return env_.store.refused(config_.name, plan.batch_id); });
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
    ++env_.busy;
    int attempt = 0;
    auto result = co_await with_retries("batch", [&] {
        ++attempt;
        return attempt_plan(plan, is_rerun || attempt > 1, attempt);
    });
    --env_.busy;
    const std::lock_guard lock(status_mutex_);
    status_.batch_id.reset();
    step_ = "commit a batch";
    step_since_ = env_.clock.steady();
    co_return result;
}

asio::awaitable<Result<void>> Pipeline::Impl::attempt_plan(const checkpoints::Plan& plan,
                                                           bool is_rerun, int attempt) {
    const RefusalPolicy refusal{
        refusals_, dead_letters_.get(),
        [this, &plan](const std::vector<checkpoints::RefusedRecord>& records) {
            return env_.store.put_refused(config_.name, plan.batch_id, records);
        }};
    BatchRequest request{config_.name, plan, is_rerun, adjustments_, refusal, 1};
    if (!plugin_->ordered()) {
        request.lanes = static_cast<std::size_t>(
            std::max(1, env_.worker_count / std::max(1, env_.busy.load())));
    }
    auto outcome = co_await run_batch(env_.workers, *source_, *sink_, request, progress_, env_.clock,
                                      abort_.get_token());
    // Each round without the records that lost the last one: there is nothing to wait for.
    while (!outcome && refusals_.take_batch_lost() && outcome.error().retriable && !interrupted()) {
        log::warning("running a batch again without the records that its sink refuses",
                     {{"pipeline", config_.name},
                      {"batch", plan.batch_id},
                      {"error", outcome.error().message}});
        auto noted = co_await control([&] { return refusal.store(refusals_.unstored()); });
        if (!noted) co_return std::move(noted).error();
        refusals_.stored();
        request.is_rerun = true;
        outcome = co_await run_batch(env_.workers, *source_, *sink_, request, progress_, env_.clock,
                                     abort_.get_token());
    }
    if (!outcome) {
        if (outcome.error().code == ErrorCode::out_of_range) {
            auto examined = co_await examine_loss(plan, outcome.error());
            if (!examined) co_return std::move(examined).error();
        }
        co_return std::move(outcome).error();
    }
    outcome->commit.attempts = static_cast<std::uint32_t>(attempt);
    std::optional<checkpoints::Receipt> receipt;
    if (outcome->receipt && !outcome->receipt->empty()) {
        receipt = checkpoints::Receipt{config_.sink.plugin, config_.sink.target, *outcome->receipt};
    }
    failpoint("batch.before_commit");
    auto stored = co_await control([&] {
        return env_.store.put_commit(config_.name, outcome->commit, outcome->positions, receipt,
                                     losses_of_plan_);
    });
    if (!stored) co_return std::move(stored).error();
    failpoint("batch.after_commit");
    for (const auto& [tp, position] : outcome->positions) state_.positions[tp] = position;
    if (receipt) state_.receipt = receipt;
    state_.unfinished.reset();
    learn(plan, *outcome);
    publish(&outcome->commit);
    export_is_due_ = true;
    co_await export_positions(false);
    co_return Result<void>{};
}

/// At most once a second while batches run, and once more when there is nothing to do.
asio::awaitable<void> Pipeline::Impl::export_positions(bool at_the_end) {
    constexpr Milliseconds interval{1000};
    if (!config_.export_group || !export_is_due_) co_return;
    const SteadyTime now = env_.clock.steady();
    if (!at_the_end && exported_at_ && now - *exported_at_ < interval) co_return;
    exported_at_ = now;
    auto exported = co_await control(
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

void Pipeline::Impl::learn(const checkpoints::Plan& plan, const BatchOutcome& outcome) {
    std::uint64_t polled = 0;
    std::uint64_t bytes = 0;
    std::uint64_t lost = 0;
    std::uint64_t planned = 0;
    std::uint64_t dead_lettered = 0;
    for (const auto& books : outcome.commit.books) {
        polled += books.polled;
        bytes += books.bytes;
        lost += books.lost;
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
        status_.records_lost += lost;
        status_.records_dead_lettered += dead_lettered;
        ++status_.batches_committed;
        status_.backlog -= std::min(status_.backlog, planned);
        for (const auto& [tp, position] : outcome.positions) {
            status_.partitions[tp].position = position.offset;
        }
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

/// A reader was thrown out of range in the middle of a plan: what do the facts say? Ranges of a plan
/// never change; where their heads are gone for good, they are read from later on and the rest is
/// counted as lost. An error here replaces the reader's; success means "run the plan again".
asio::awaitable<Result<void>> Pipeline::Impl::examine_loss(const checkpoints::Plan& plan,
                                                           const Error& cause) {
    auto facts = co_await gather();
    if (!facts) co_return std::move(facts).error();
    std::map<plan::TopicPartition, const plan::PartitionFacts*> by_partition;
    for (const auto& fact : *facts) by_partition[fact.topic_partition] = &fact;
    Adjustments adjustments;
    std::vector<plan::Loss> losses;
    for (std::size_t i = 0; i < plan.ranges.size(); ++i) {
        const plan::PlannedRange& planned = plan.ranges[i];
        // Decided by the same rule as at planning: each range is a position with its own end.
        const std::map<plan::TopicPartition, plan::Position> at{
            {planned.range.topic_partition,
             {planned.range.from, planned.leader_epoch, planned.topic_id, -1}}};
        std::vector<plan::PartitionFacts> there;
        if (const auto found = by_partition.find(planned.range.topic_partition);
            found != by_partition.end()) {
            there.push_back(*found->second);
            // An end inside the range means that its tail is gone: so is what the range promised.
            if (there.back().latest < planned.range.until) {
                there.back().earliest = std::max(there.back().earliest, planned.range.until);
                there.back().latest = std::max(there.back().latest, there.back().earliest);
            }
        }
        for (plan::Loss loss : plan::decide_losses(at, there).losses) {
            const bool recreated_or_gone = loss.kind != plan::LossKind::expired;
            const std::int64_t start = recreated_or_gone
                                           ? planned.range.until
                                           : std::clamp(loss.until, planned.range.from, planned.range.until);
            loss.from = planned.range.from;
            loss.until = start;
            adjustments[i] = start;
            losses.push_back(std::move(loss));
        }
    }
    if (losses.empty() || adjustments == adjustments_) {
        // Nothing is gone (any more): a leader on the move, or a reply that was stale. Try again.
        co_return Error{ErrorCode::unavailable, cause.message, true};
    }
    if (config_.source.fail_on_data_loss) {
        auto noted = co_await control([&] {
            return env_.store.put_losses(config_.name, as_entries(losses, plan.batch_id, false));
        });
        if (!noted) co_return std::move(noted).error();
        co_return loss_error(losses);
    }
    for (const plan::Loss& loss : losses) {
        log::warning("data loss", {{"pipeline", config_.name}, {"loss", plan::describe(loss)}});
    }
    adjustments_ = std::move(adjustments);
    losses_of_plan_ = as_entries(losses, plan.batch_id, true);
    co_return Error{ErrorCode::unavailable, cause.message, true};
}

}  // namespace sluice::pipeline
