#include "daemon/pipeline/pipeline.hpp"

#include "daemon/base/log.hpp"
#include "daemon/pipeline/backoff.hpp"
#include "daemon/pipeline/pipeline_impl.hpp"
#include "daemon/plan/restart.hpp"

namespace sluice::pipeline {
namespace {

constexpr Milliseconds retry_timeout_of_bounded_triggers{15 * 60'000};

/// When nothing moves then, something hangs.
bool should_move(const Summary& summary) {
    switch (summary.state) {
        case State::starting:
        case State::running:
        case State::caught_up: return true;
        case State::retrying: return !summary.retry_at;
        case State::stalled:
        case State::paused:
        case State::stopped:
        case State::failed:
        case State::done: return false;
    }
    return false;
}

}  // namespace

// ---- state -----------------------------------------------------------------------------------------

void Pipeline::Impl::enter(State state, std::string reason, std::optional<ErrorCode> code) {
    const std::lock_guard lock(status_mutex_);
    if (status_.state != state) status_.since = env_.clock.wall();
    status_.state = state;
    status_.reason = std::move(reason);
    status_.error_code = code;
    if (state != State::retrying && state != State::failed) {
        status_.attempt = 0;
        status_.retry_at.reset();
    }
}

State Pipeline::Impl::state() const {
    const std::lock_guard lock(status_mutex_);
    return status_.state;
}

void Pipeline::Impl::publish(const checkpoints::Commit* commit) {
    if (env_.observer) env_.observer(summary(), commit);
}

Status Pipeline::Impl::status() const {
    const std::lock_guard lock(status_mutex_);
    Status status = status_;
    look_closer(status);
    return status;
}

Summary Pipeline::Impl::summary() const {
    const std::lock_guard lock(status_mutex_);
    Summary summary = status_;
    look_closer(summary);
    return summary;
}

void Pipeline::Impl::look_closer(Summary& summary) const {
    if (summary.batch_id) summary.batch_polled = progress_.polled.load(std::memory_order_relaxed);
    if (!should_move(summary)) return;
    const auto since = [&](SteadyTime time) {
        return std::chrono::duration_cast<std::chrono::seconds>(env_.clock.steady() - time);
    };
    if (summary.batch_id) {
        const auto still = since(SteadyTime{Milliseconds{progress_.moved_at_ms.load()}});
        if (still >= config_.stalled_after) {
            summary.state = State::stalled;
            summary.reason = std::string("batch ") + std::to_string(*summary.batch_id) + ": " +
                            progress_.doing.load() + " has not moved for " +
                            std::to_string(still.count()) + " s";
        }
        return;
    }
    // No batch open: it waits for its trigger, which is no stall until that is overdue, or does what
    // comes before a batch.
    const auto still = summary.next_trigger
                           ? std::chrono::duration_cast<std::chrono::seconds>(env_.clock.wall() -
                                                                              *summary.next_trigger)
                           : since(step_since_);
    if (still >= config_.stalled_after) {
        const std::string failed = std::move(summary.reason);  // of an attempt under RETRYING
        summary.state = State::stalled;
        const std::string waiting = summary.backlog ? std::to_string(*summary.backlog) + " offsets were waiting"
                                                    : "nobody knows yet how many offsets wait";
        summary.reason = "no batch is open, " + waiting + ": \"" + step_ + "\" has not moved for " +
                        std::to_string(still.count()) + " s" + (failed.empty() ? "" : "; before that: " + failed);
    }
}

void Pipeline::Impl::begin_step(const char* step) {
    const std::lock_guard lock(status_mutex_);
    step_ = step;
    step_since_ = env_.clock.steady();
    status_.retry_at.reset();
}

std::optional<Milliseconds> Pipeline::Impl::retry_timeout() const {
    if (config_.errors.retry_timeout) return config_.errors.retry_timeout;
    if (config_.trigger.kind == config::TriggerKind::processing_time) return std::nullopt;
    return retry_timeout_of_bounded_triggers;
}

/// RETRYING, until the pause is over or somebody wants something else.
asio::awaitable<void> Pipeline::Impl::back_off(const char* what, Stage stage, int attempt, Error error) {
    const Milliseconds delay =
        backoff(attempt, config_.errors.retry_delay_max, static_cast<std::uint32_t>(random_()));
    log::warning("retrying", {{"pipeline", config_.name},
                              {"stage", what},
                              {"attempt", attempt},
                              {"delay", format_duration(delay)},
                              {"error", error.message}});
    enter(State::retrying, std::move(error.message), error.code);
    {
        const std::lock_guard lock(status_mutex_);
        status_.attempt = attempt;
        status_.retry_at = env_.clock.wall() + delay;
        ++status_.retries[stage];
    }
    publish();
    co_await wake_->wait(delay);
}

/// FAILED, until a person wants something, or the policy starts it again.
asio::awaitable<void> Pipeline::Impl::rest_after_failure(const Error& error) {
    if (const std::uint64_t committed = summary().batches_committed; committed != restart_progress_) {
        restart_progress_ = committed;
        restarts_ = 0;
    }
    const auto delay = plan::restart_after(error.code, restarts_, config_.errors.restart_delay_max);
    const SteadyTime due = env_.clock.steady() + delay.value_or(Milliseconds{0});
    {
        const std::lock_guard lock(status_mutex_);
        status_.attempt = restarts_;
        status_.retry_at.reset();
        if (delay) status_.retry_at = env_.clock.wall() + *delay;
    }
    publish();
    while (!shutting_down_ && !restart_wanted_ && wanted_ == checkpoints::RunState::running) {
        if (!delay) {
            co_await wake_->wait(Alarm::never);
            continue;
        }
        const auto left = std::chrono::ceil<Milliseconds>(due - env_.clock.steady());
        if (left <= Milliseconds{0}) {
            ++restarts_;
            {
                const std::lock_guard lock(status_mutex_);
                ++status_.restarts;
            }
            log::info("restarting after a failure",
                      {{"pipeline", config_.name}, {"restarts", restarts_}});
            co_return;
        }
        co_await wake_->wait(left);
    }
    if (restart_wanted_) restarts_ = 0;
}

/// Somebody else may be changing the checkpoint: nothing moves before that is done.
asio::awaitable<void> Pipeline::Impl::leave_rest() {
    for (Rest resting = Rest::resting;
         !shutting_down_ && !rest_.compare_exchange_strong(resting, Rest::none); resting = Rest::resting) {
        co_await wake_->wait(Alarm::never);
    }
}

// ---- the outermost loop ----------------------------------------------------------------------------

asio::awaitable<void> Pipeline::Impl::run() {
    while (!shutting_down_) {
        restart_wanted_ = false;
        Result<bool> done = false;
        try {
            done = co_await session();
        } catch (const std::exception& thrown) {
            done = Error{ErrorCode::failed, std::string("unexpected: ") + thrown.what()};
        }
        // With a batch that has no outcome the sink is let go: an operator may have to ask it about that one.
        const bool keeps_sink =
            wanted_ == checkpoints::RunState::paused && !shutting_down_ && !restart_wanted_ && !state_.unfinished;
        if (!keeps_sink || (!done && done.error().code != ErrorCode::stopping)) {
            co_await close_ends();
        }
        if (shutting_down_) break;
        if (done && *done) {
            rest_ = Rest::resting;
            enter(State::done);
            break;
        }
        if (wanted_ != checkpoints::RunState::running) {
            rest_ = Rest::resting;
            enter(wanted_ == checkpoints::RunState::paused ? State::paused : State::stopped);
            log::info(wanted_ == checkpoints::RunState::paused ? "paused" : "stopped",
                      {{"pipeline", config_.name}});
            publish();
            const auto left = wanted_;
            while (!shutting_down_ && wanted_ == left && !restart_wanted_) co_await wake_->wait(Alarm::never);
            if (restart_wanted_) co_await close_ends();
            co_await leave_rest();
            continue;
        }
        if (!done && done.error().retriable) {
            // The checkpoint could not be written: what is there must be read again before going on.
            const SteadyTime now = env_.clock.steady();
            if (!session_failing_since_ || summary().batches_committed != session_progress_) {
                session_failing_since_ = now;
                session_progress_ = summary().batches_committed;
                session_failures_ = 0;
            }
            if (const auto timeout = retry_timeout(); !timeout || now - *session_failing_since_ < *timeout) {
                co_await back_off("checkpoint", Stage::checkpoint, ++session_failures_, done.error());
                continue;
            }
        }
        if (!done && done.error().code != ErrorCode::stopping) {
            const Error& error = done.error();
            const bool gave_up = error.code == ErrorCode::unavailable || error.retriable;
            exit_code_ = gave_up ? 75 : 1;
            rest_ = Rest::resting;
            enter(State::failed, error.message, error.code);
            log::error("failed", {{"pipeline", config_.name},
                                  {"code", name_of(error.code)},
                                  {"error", error.message}});
            if (config_.trigger.kind != config::TriggerKind::processing_time) break;
            co_await rest_after_failure(error);
            co_await leave_rest();
            exit_code_ = 0;
        }
    }
    co_await close_ends();
    publish();
    Rest moving = Rest::none;
    rest_.compare_exchange_strong(moving, Rest::resting);
    ended_ = true;
}

/// Whoever held it may have accepted losses, of a pipeline that has ended too: no session reads those.
void Pipeline::Impl::released() {
    ignore_error(count_losses(), "the next session reads the ledger again, and says so");
    rest_ = Rest::resting;
    request([this] { publish(); });  // and it may wait to leave
}

// ---- the outside -----------------------------------------------------------------------------------

Pipeline::Pipeline(Environment& environment, config::Pipeline config,
                   std::shared_ptr<const sink::Plugin> plugin, SourceFactory make_source)
    : impl_(std::make_unique<Impl>(environment, std::move(config), std::move(plugin),
                                   std::move(make_source))) {}
Pipeline::~Pipeline() = default;

asio::awaitable<void> Pipeline::run() { return impl_->run(); }
const asio::strand<asio::any_io_executor>& Pipeline::strand() const { return impl_->strand_; }
void Pipeline::shut_down() {
    impl_->request([impl = impl_.get()] {
        impl->shutting_down_ = true;
        // A batch under way is still to commit; what waits for a target without one is not.
        if (!impl->summary().batch_id) impl->stopping_ = true;
    });
}
void Pipeline::abort() {
    impl_->stopping_ = true;
    impl_->abort_.request_stop();
    shut_down();
}
void Pipeline::set_run_state(checkpoints::RunState state) {
    impl_->request([impl = impl_.get(), state] { impl->wanted_ = state; });
}
void Pipeline::restart() {
    impl_->request([impl = impl_.get()] { impl->restart_wanted_ = true; });
}
bool Pipeline::hold() {
    auto resting = Impl::Rest::resting;
    return impl_->rest_.compare_exchange_strong(resting, Impl::Rest::held);
}
void Pipeline::release() { impl_->released(); }
Status Pipeline::status() const { return impl_->status(); }
Summary Pipeline::summary() const { return impl_->summary(); }
std::uint64_t Pipeline::sink_memory() const { return impl_->sink_memory(); }
void Pipeline::set_headroom(std::map<plan::TopicPartition, Milliseconds> headroom) {
    impl_->set_headroom(std::move(headroom));
}
const config::Pipeline& Pipeline::config() const { return impl_->config_; }
int Pipeline::exit_code() const { return impl_->exit_code_; }
bool Pipeline::has_ended() const { return impl_->ended_; }

bool reads_too_little(const Summary& summary) noexcept {
    switch (summary.state) {
        case State::starting:
        case State::caught_up:
        case State::done: return false;
        case State::running: return summary.backlog != 0;  // unknown, too: the last plan is run again
        case State::retrying:
        case State::stalled:
        case State::paused:
        case State::stopped:
        case State::failed: return true;
    }
    return false;
}

std::string_view name_of(State state) noexcept {
    switch (state) {
        case State::starting: return "STARTING";
        case State::running: return "RUNNING";
        case State::caught_up: return "CAUGHT_UP";
        case State::retrying: return "RETRYING";
        case State::stalled: return "STALLED";
        case State::paused: return "PAUSED";
        case State::stopped: return "STOPPED";
        case State::failed: return "FAILED";
        case State::done: return "DONE";
    }
    return "STARTING";
}

}  // namespace sluice::pipeline
