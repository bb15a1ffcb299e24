// What was planned can't be read: other topics under the same names, heads that expired, plans given up.

#include <algorithm>
#include <set>

#include "checkpoints/ledger.hpp"
#include "daemon/base/log.hpp"
#include "daemon/pipeline/pipeline_impl.hpp"

namespace sluice::pipeline {

/// A topic that is created anew while a batch reads it may answer with other records, at offsets that
/// look right: nothing of it is committed as the old topic's.
asio::awaitable<Result<void>> Pipeline::Impl::check_topics(const checkpoints::Plan& plan) {
    std::set<std::string> topics;
    for (const plan::PlannedRange& planned : plan.ranges) {
        if (!planned.topic_id.empty()) topics.insert(planned.range.topic_partition.topic);
    }
    if (topics.empty()) co_return Result<void>{};
    auto ids = co_await look_up([&] { return source_->topic_ids(topics); });
    if (!ids) co_return std::move(ids).error();
    const auto changed = plan::changed_topics(plan.ranges, *ids);
    if (changed.empty()) co_return Result<void>{};
    co_return Error{ErrorCode::out_of_range,
                    "topic " + changed.front() + " is not the one that was planned any more"};
}

/// The plan can't be read as written: what do the facts say? Where heads expired, their ranges are
/// read from later on and the rest is counted as lost. Errors replace the cause. True when the plan
/// was given up; false means "run it again".
asio::awaitable<Result<bool>> Pipeline::Impl::examine_loss(const checkpoints::Plan& plan,
                                                           const Error& cause) {
    // Consumers remember where a log ended, which may not be true of it any more.
    co_await look_up([this]() -> Result<void> { return source_->release(), Result<void>{}; });
    // The plan was made of ends that were there: one below them may be the old answer of a new leader.
    auto known = state_.positions;
    for (const plan::PlannedRange& planned : plan.ranges) {
        plan::Position& position = known[planned.range.topic_partition];
        position.offset = std::max(position.offset, planned.range.until);
        position.topic_id = planned.topic_id;
    }
    auto facts = co_await gather(known);
    if (!facts) co_return std::move(facts).error();
    auto looked =
        co_await look_for_truncations(plan::askable(plan::starts_of(plan.ranges), *facts), *facts);
    if (!looked) co_return std::move(looked).error();
    plan::PlanLosses lost = plan::decide_plan_losses(plan.ranges, *facts);
    if (lost.losses.empty() || (lost.can_be_run && lost.read_from == adjustments_)) {
        // Nothing is gone (any more): a leader on the move, or a reply that was stale. Try again.
        co_return Error{ErrorCode::unavailable, cause.message, true};
    }
    if (config_.source.fail_on_data_loss) {
        auto noted = co_await on_disk([&] {
            return env_.store.put_losses(config_.name, as_entries(lost.losses, plan.batch_id, false));
        });
        if (!noted) co_return std::move(noted).error();
        auto counted = co_await on_disk([this] { return count_losses(); });
        if (!counted) co_return std::move(counted).error();
        co_return loss_error(lost.losses);
    }
    for (const plan::Loss& loss : lost.losses) {
        log::warning("data loss", {{"pipeline", config_.name},
                                   {"batch", plan.batch_id},
                                   {"loss", plan::describe(loss)}});
    }
    if (!lost.can_be_run) {
        auto given_up = co_await give_up_plan(plan, lost);
        if (!given_up) co_return std::move(given_up).error();
        co_return true;
    }
    // Written down before the sink has the rest: once it has, a crash leaves nobody who would look again.
    auto entries = as_entries(lost.losses, plan.batch_id, true);
    auto noted = co_await on_disk([&] { return env_.store.put_losses(config_.name, entries); });
    if (!noted) co_return std::move(noted).error();
    adjustments_ = std::move(lost.read_from);
    next_of_plan_ = std::move(lost.next);
    losses_of_plan_ = std::move(entries);
    auto counted = co_await on_disk([this] { return count_losses(); });
    if (!counted) co_return std::move(counted).error();
    co_return Error{ErrorCode::unavailable, cause.message, true};
}

/// What `sluice losses accept` does, without being asked (failOnDataLoss: false): the plan becomes
/// abandoned, lossy partitions move, all others are planned again from where they are.
asio::awaitable<Result<void>> Pipeline::Impl::give_up_plan(const checkpoints::Plan& plan,
                                                           const plan::PlanLosses& lost) {
    checkpoints::Store::Move move;
    move.positions = lost.next;
    move.accept = as_entries(lost.losses, plan.batch_id, true);
    std::uint64_t count = 0;
    for (const plan::Loss& loss : lost.losses) {
        count += plan::records_lost(loss);
        if (loss.adjusted_start < 0) move.forget.push_back(loss.topic_partition);
    }
    move.abandon(state_);
    move.audit = {env_.clock.wall(), "batch given up for data loss (failOnDataLoss: false)",
                  "batch " + std::to_string(plan.batch_id) + ", " +
                      std::to_string(lost.losses.size()) + " partitions, " + std::to_string(count) +
                      " offsets"};
    auto moved = co_await on_disk([&] { return env_.store.put_move(config_.name, move); });
    if (!moved) co_return std::move(moved).error();
    for (const auto& [tp, position] : move.positions) {
        state_.positions[tp] = position;
        new_bounds_.insert(tp);
    }
    for (const auto& tp : move.forget) state_.positions.erase(tp);
    state_.unfinished.reset();
    gave_up_plan_ = true;
    {
        const std::lock_guard lock(status_mutex_);
        ++status_.batches_abandoned;
    }
    co_return co_await on_disk([this] { return count_losses(); });
}

/// From the ledger, which has it from whoever accepts a loss: this pipeline, or an operator meanwhile.
Result<void> Pipeline::Impl::count_losses() {
    SLUICE_TRY(const auto ledger, env_.store.losses(config_.name));
    std::map<plan::LossKind, std::vector<checkpoints::LossEntry>> accepted;
    std::uint64_t unaccepted = 0;
    for (const checkpoints::LossEntry& entry : ledger) {
        if (entry.accepted) {
            accepted[entry.loss.kind].push_back(entry);
        } else {
            ++unaccepted;
        }
    }
    std::map<plan::LossKind, std::uint64_t> lost;
    for (const auto& [kind, entries] : accepted) lost[kind] = checkpoints::records_lost(entries);
    const std::lock_guard lock(status_mutex_);
    status_.unaccepted_losses = unaccepted;
    if (!lost_before_) lost_before_ = lost;
    for (const auto& [kind, offsets] : lost) {
        status_.records_lost[kind] = offsets - std::min(offsets, (*lost_before_)[kind]);
    }
    return {};
}

}  // namespace sluice::pipeline
