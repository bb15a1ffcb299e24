// One trigger: facts, a plan, what is lost before it, and its PLAN written down.

#include <algorithm>
#include <utility>

#include "daemon/base/failpoint.hpp"
#include "daemon/base/log.hpp"
#include "daemon/pipeline/pipeline_impl.hpp"

namespace sluice::pipeline {
namespace {

/// What a trigger found, in place of what the one before it had. All three are sorted, and there is one
/// start for each fact: with many partitions most of them are as they were.
void note_partitions(const std::vector<plan::StartAt>& starts, const std::vector<plan::PartitionFacts>& facts,
                     std::map<plan::TopicPartition, PartitionStatus>& partitions) {
    auto at = partitions.begin();
    for (std::size_t i = 0; i < starts.size(); ++i) {
        const plan::TopicPartition& present = starts[i].topic_partition;
        while (at != partitions.end() && at->first < present) at = partitions.erase(at);
        if (at == partitions.end() || present < at->first) at = partitions.try_emplace(at, present);
        at->second.position = starts[i].position.offset;
        at->second.latest = facts[i].latest;
        ++at;
    }
    partitions.erase(at, partitions.end());
}

}  // namespace

Milliseconds Pipeline::Impl::elapsed_since_last_run() const {
    if (!last_run_) return Milliseconds::max();
    return std::chrono::duration_cast<Milliseconds>(env_.clock.steady() - *last_run_);
}

/// To ask the same again costs three requests, one after the other, before the first record. Not where the
/// answer is old, nor where it would be called a loss: that takes a look-up that knows the positions, and doubts.
std::optional<std::vector<plan::PartitionFacts>> Pipeline::Impl::take_first_facts(
    const std::map<plan::TopicPartition, plan::Position>& known) {
    constexpr Milliseconds fresh{1000};
    std::optional<FirstFacts> first = std::exchange(first_facts_, std::nullopt);
    if (!first || env_.clock.steady() - first->asked > fresh) return std::nullopt;
    if (!plan::decide_losses(known, first->facts).losses.empty()) return std::nullopt;
    return std::move(first->facts);
}

asio::awaitable<Result<std::vector<plan::PartitionFacts>>> Pipeline::Impl::gather(
    const std::map<plan::TopicPartition, plan::Position>& known) {
    if (auto first = take_first_facts(known)) co_return *std::move(first);
    co_return co_await with_retries("look up offsets", Stage::look_up, [&] {
        return look_up([&] { return source_->facts(known, abort_.get_token()); });
    });
}

asio::awaitable<Result<void>> Pipeline::Impl::look_for_truncations(
    const std::map<plan::TopicPartition, plan::Position>& positions,
    std::vector<plan::PartitionFacts>& facts) {
    if (positions.empty()) co_return Result<void>{};
    auto found = co_await with_retries("look for truncated logs", Stage::look_up, [&] {
        return look_up([&] { return source_->truncations(positions, abort_.get_token()); });
    });
    if (!found) co_return std::move(found).error();
    plan::note_truncations(facts, *found);
    co_return Result<void>{};
}

/// True when the pipeline is done.
asio::awaitable<Result<bool>> Pipeline::Impl::trigger() {
    if (!first_facts_) times_.latest_offsets = {};  // else what these took
    const SteadyTime asked = env_.clock.steady();
    auto facts = co_await gather(state_.positions);
    if (!facts) co_return std::move(facts).error();
    times_.latest_offsets += env_.clock.steady() - asked;
    auto looked = co_await look_for_truncations(
        plan::askable_beyond_the_end(state_.positions, *facts), *facts);
    if (!looked) co_return std::move(looked).error();
    const bool bounded = config_.trigger.kind == config::TriggerKind::available_now;
    if (bounded && !end_bounds_) {
        end_bounds_.emplace();
        for (const auto& fact : *facts) end_bounds_->emplace(fact.topic_partition, fact.latest);
    }
    if (bounded) {
        for (const auto& fact : *facts) {
            if (new_bounds_.erase(fact.topic_partition) > 0) {
                (*end_bounds_)[fact.topic_partition] = fact.latest;
            }
        }
    }
    const plan::PlanInput input{state_.positions, *facts, bounded ? &*end_bounds_ : nullptr,
                                elapsed_since_last_run()};
    const std::uint64_t found = known_backlog(state_.positions, *facts);
    const SteadyTime began = env_.clock.steady();
    const plan::PlanOptions options =
        plan_options(config_, found, {env_.worker_count, env_.memory_max}, observed_);
    auto chosen = plan::choose_work(input, options);
    if (!chosen) co_return std::move(chosen).error();
    const SteadyTime chose = env_.clock.steady();
    times_.plan = chose - began;
    auto planned = plan::split_choice(*std::move(chosen), options.split);
    if (!planned) co_return std::move(planned).error();
    times_.split = env_.clock.steady() - chose;
    if (!planned->losses.empty()) {
        // Consumers remember where a log ended, which is not true of it any more.
        co_await look_up([this]() -> Result<void> { return source_->release(), Result<void>{}; });
        auto stepped = co_await step_over(*planned);
        if (!stepped) co_return std::move(stepped).error();
        if (bounded) co_return false;  // planned against bounds that were not true any more
    }
    {
        const std::lock_guard lock(status_mutex_);
        status_.backlog = planned->backlog;
        note_partitions(planned->starts, *facts, status_.partitions);
    }
    if (planned->ranges.empty()) {
        co_await export_positions(true);  // what the last one could not
        backlog_left_ = false;
        if (config_.trigger.kind != config::TriggerKind::processing_time) co_return true;
        enter(planned->waiting ? State::running : State::caught_up);
        publish();
        co_return false;
    }
    checkpoints::Plan plan{state_.next_batch_id, env_.clock.wall(), std::move(planned->ranges)};
    begin_step("write the plan");
    const SteadyTime storing = env_.clock.steady();
    auto stored =
        co_await on_disk([&] { return env_.store.put_plan(config_.name, plan, {}); });
    if (!stored) co_return std::move(stored).error();
    times_.checkpoint = env_.clock.steady() - storing;
    failpoint("batch.after_plan");
    state_.next_batch_id = plan.batch_id + 1;
    state_.unfinished = plan;
    last_run_ = env_.clock.steady();
    auto behind = leader_epochs_.begin();
    for (const auto& fact : *facts) {
        behind = std::next(leader_epochs_.insert_or_assign(behind, fact.topic_partition, fact.leader_epoch));
    }
    enter(State::running);
    auto ran = co_await run_plan(plan, false);
    if (!ran) co_return std::move(ran).error();
    if (gave_up_plan_) {
        backlog_left_ = true;
        publish();
        co_return false;
    }
    ran_once_ = true;
    std::uint64_t covered = 0;
    for (const auto& range : plan.ranges) covered += plan::size_of(range.range);
    backlog_left_ = covered < planned->backlog;
    if (!backlog_left_) co_await export_positions(true);
    if (!backlog_left_) enter(State::caught_up);
    publish();
    if (config_.trigger.kind == config::TriggerKind::once) co_return true;
    co_return bounded && !backlog_left_;
}

std::vector<checkpoints::LossEntry> Pipeline::Impl::as_entries(
    const std::vector<plan::Loss>& losses, std::optional<std::uint64_t> batch, bool accepted) const {
    std::vector<checkpoints::LossEntry> entries;
    for (const plan::Loss& loss : losses) {
        entries.push_back({loss, batch, env_.clock.wall(), accepted});
    }
    return entries;
}

Error Pipeline::Impl::loss_error(const std::vector<plan::Loss>& losses) const {
    std::string text = "data loss: ";
    for (std::size_t i = 0; i < losses.size() && i < 5; ++i) {
        text += (i > 0 ? "; " : "") + plan::describe(losses[i]);
    }
    if (losses.size() > 5) text += "; and " + std::to_string(losses.size() - 5) + " more";
    text += ". Nothing was skipped (failOnDataLoss: true). To record the loss and go on: "
            "sluice losses accept " +
            config_.name + " --execute";
    return Error{ErrorCode::data_loss, std::move(text)};
}

/// Losses found at planning: refuse, or write them down with the positions that step over them.
asio::awaitable<Result<void>> Pipeline::Impl::step_over(const plan::PlanOutcome& outcome) {
    if (config_.source.fail_on_data_loss) {
        auto noted = co_await on_disk([&] {
            return env_.store.put_losses(config_.name, as_entries(outcome.losses, {}, false));
        });
        if (!noted) co_return std::move(noted).error();
        auto counted = co_await on_disk([this] { return count_losses(); });
        if (!counted) co_return std::move(counted).error();
        co_return loss_error(outcome.losses);
    }
    checkpoints::Store::Move move;
    std::uint64_t lost = 0;
    for (const plan::Loss& loss : outcome.losses) {
        lost += plan::records_lost(loss);
        log::warning("data loss", {{"pipeline", config_.name}, {"loss", plan::describe(loss)}});
        const auto start =
            std::find_if(outcome.starts.begin(), outcome.starts.end(), [&](const auto& candidate) {
                return candidate.topic_partition == loss.topic_partition;
            });
        if (start == outcome.starts.end()) {
            move.forget.push_back(loss.topic_partition);
        } else {
            move.positions[start->topic_partition] = start->position;
        }
    }
    move.accept = as_entries(outcome.losses, state_.next_batch_id, true);
    move.audit = {env_.clock.wall(), "data loss stepped over (failOnDataLoss: false)",
                  std::to_string(outcome.losses.size()) + " partitions, " + std::to_string(lost) +
                      " offsets"};
    auto moved = co_await on_disk([&] { return env_.store.put_move(config_.name, move); });
    if (!moved) co_return std::move(moved).error();
    for (const auto& [tp, position] : move.positions) {
        state_.positions[tp] = position;
        new_bounds_.insert(tp);
    }
    for (const auto& tp : move.forget) state_.positions.erase(tp);
    co_return co_await on_disk([this] { return count_losses(); });
}

}  // namespace sluice::pipeline
