// From opening source and sink to the end of it: the last plan again, then trigger after trigger.

#include <algorithm>

#include "daemon/base/log.hpp"
#include "daemon/pipeline/pipeline_impl.hpp"
#include "daemon/pipeline/sink_context.hpp"
#include "daemon/plan/admission.hpp"

namespace sluice::pipeline {

/// From opening to the end of it: true when the pipeline is done, false when interrupted.
asio::awaitable<Result<bool>> Pipeline::Impl::session() {
    enter(State::starting);
    begin_step("read the checkpoint");
    publish();
    auto loaded = co_await on_disk([this]() -> Result<checkpoints::PipelineState> {
        SLUICE_CHECK(count_losses());
        return env_.store.load(config_.name);
    });
    if (!loaded) co_return std::move(loaded).error();
    state_ = *std::move(loaded);
    wanted_ = state_.run_state;
    if (interrupted()) co_return false;

    begin_step("open");
    first_facts_.reset();
    auto opened = co_await with_retries("open", Stage::open, [this] { return open(); });
    if (!opened) co_return std::move(opened).error();
    begin_step("start the first trigger");

    leader_epochs_.clear();
    if (state_.unfinished) {
        enter(State::running);
        log::info("running the last plan again, as recorded",
                  {{"pipeline", config_.name}, {"batch", state_.unfinished->batch_id}});
        const checkpoints::Plan unfinished = *state_.unfinished;
        auto rerun = co_await run_plan(unfinished, true);
        if (!rerun) co_return std::move(rerun).error();
    }
    trigger_started_ = WallTime{};
    while (!interrupted()) {
        auto waited = co_await wait_for_trigger();
        if (!waited) co_return std::move(waited).error();
        if (interrupted()) break;
        trigger_started_ = env_.clock.wall();
        begin_step("look up offsets");
        auto done = co_await trigger();
        if (!done) co_return std::move(done).error();
        if (*done) co_return true;
    }
    co_return false;
}

asio::awaitable<Result<void>> Pipeline::Impl::wait_for_trigger() {
    if (config_.trigger.kind != config::TriggerKind::processing_time) co_return Result<void>{};
    if (trigger_started_ == WallTime{}) co_return Result<void>{};  // the first one of a session
    while (!interrupted()) {
        const WallTime now = env_.clock.wall();
        // A clock that was set back: counted from there, or the next boundary would stay ahead of it.
        trigger_started_ = std::min(trigger_started_, now);
        const WallTime due = plan::next_trigger(trigger_started_, now, config_.trigger.interval);
        {
            const std::lock_guard lock(status_mutex_);
            status_.next_trigger = due;
            step_ = "wait for the trigger";
        }
        if (due <= now) {
            // A floor under an empty loop: an interval of 0 must not spin on an idle topic.
            if (!backlog_left_ && config_.trigger.interval < Milliseconds{10}) co_await wake_->wait(Milliseconds{10});
            break;
        }
        co_await wake_->wait(std::min(due - now, config_.trigger.interval));
    }
    const std::lock_guard lock(status_mutex_);
    status_.next_trigger.reset();
    co_return Result<void>{};
}

// ---- opening ---------------------------------------------------------------------------------------

asio::awaitable<Result<void>> Pipeline::Impl::open() {
    if (!source_) source_ = make_source_(config_);
    // Topics that left the subscription keep their checkpoint, and are no loss.
    std::erase_if(state_.positions, [this](const auto& at) { return !source_->covers(at.first); });
    auto cluster = co_await look_up([this] { return source_->cluster_id(); });
    if (!cluster) co_return std::move(cluster).error();
    cluster_id_ = *cluster;
    {
        const std::lock_guard lock(status_mutex_);
        status_.cluster_id = cluster_id_;
    }
    auto bound =
        co_await on_disk([this] { return env_.store.bind_cluster(config_.name, cluster_id_); });
    if (!bound) co_return std::move(bound).error();
    if (!sink_) {
        auto opened = co_await open_sink();
        if (!opened) co_return std::move(opened).error();
    }
    if (!state_.initial_offsets) {
        const SteadyTime looked = env_.clock.steady();
        auto facts = co_await look_up(
            [this] { return source_->facts(state_.positions, abort_.get_token()); });
        if (!facts) co_return std::move(facts).error();
        times_.latest_offsets = env_.clock.steady() - looked;
        if (facts->empty()) {
            co_return Error{ErrorCode::unavailable,
                            "no subscribed topic exists yet on this cluster; check the names under "
                            "source, or create the topic",
                            true};
        }
        const SteadyTime asked = env_.clock.steady();
        auto initial = co_await look_up([&] { return source_->initial_offsets(*facts); });
        if (!initial) co_return std::move(initial).error();
        times_.initial_offsets = env_.clock.steady() - asked;
        auto stored = co_await on_disk([&] {
            return env_.store.put_initial(config_.name, initial->json, initial->positions);
        });
        if (!stored) co_return std::move(stored).error();
        log::info("first start: initial offsets written down",
                  {{"pipeline", config_.name}, {"offsets", initial->json}});
        state_.initial_offsets = initial->json;
        state_.positions = initial->positions;
        first_facts_ = FirstFacts{*std::move(facts), looked};
    }
    co_return Result<void>{};
}

asio::awaitable<Result<void>> Pipeline::Impl::open_sink() {
    sink::SinkContext context = sink_context(config_, cluster_id_, state_);
    context.memory_max = env_.sink_memory_max;
    context.memory_held = &sink_memory_;
    if (state_.receipt && !context.receipt) {
        log::warning("the sink's target changed: its last receipt is not handed to the new one",
                     {{"pipeline", config_.name}, {"was", state_.receipt->plugin}});
    }
    auto opened = co_await run_on(env_.workers, [&]() -> Result<sink::OpenReply> {
        return plugin_->open(context, config_.sink.settings, stopping_);
    });
    if (!opened) co_return std::move(opened).error();
    if (opened->reply.status != sink::Status::ok) {
        const bool retry = opened->reply.status == sink::Status::retry;
        co_return Error{retry ? ErrorCode::unavailable : ErrorCode::fatal,
                        "sink open: " + opened->reply.message, retry};
    }
    if (!context.receipt && !opened->reply.receipt.empty()) {
        const checkpoints::Receipt receipt{config_.sink.plugin, config_.sink.target,
                                           opened->reply.receipt};
        auto stored = co_await on_disk(
            [&] { return env_.store.put_initial_receipt(config_.name, receipt); });
        if (!stored) co_return std::move(stored).error();
        state_.receipt = receipt;
    }
    sink_ = std::move(opened->sink);
    co_return Result<void>{};
}

asio::awaitable<void> Pipeline::Impl::close_ends() {
    if (sink_) (void)co_await run_on(env_.workers, [this]() -> Result<void> { return sink_.reset(), Result<void>{}; });
    if (!source_) co_return;
    co_await look_up([this]() -> Result<void> { return source_->release(), Result<void>{}; });
    source_.reset();
}

}  // namespace sluice::pipeline
