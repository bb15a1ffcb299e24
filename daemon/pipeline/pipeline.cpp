#include "daemon/pipeline/pipeline.hpp"

#include <algorithm>
#include <mutex>
#include <random>
#include <utility>

#include "daemon/base/failpoint.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/text.hpp"
#include "daemon/pipeline/backoff.hpp"
#include "daemon/pipeline/batch_run.hpp"
#include "daemon/pipeline/plan_options.hpp"
#include "daemon/pipeline/run_on.hpp"
#include "daemon/plan/admission.hpp"

namespace sluice::pipeline {

namespace {

constexpr Milliseconds stalled_after{60'000};
constexpr Milliseconds retry_timeout_of_bounded_triggers{15 * 60'000};

bool needs_a_person(const Error& error) { return !error.retriable; }

}  // namespace

class Pipeline::Impl {
 public:
    Impl(Environment& environment, config::Pipeline config,
         std::shared_ptr<const sink::Plugin> plugin, SourceFactory make_source)
        : env_(environment),
          config_(std::move(config)),
          plugin_(std::move(plugin)),
          make_source_(std::move(make_source)),
          strand_(asio::make_strand(environment.io)),
          wake_(strand_),
          random_(std::random_device{}()) {
        status_.name = config_.name;
        status_.plugin = config_.sink.plugin;
        status_.since = env_.clock.wall();
    }

    asio::awaitable<void> run();
    void request(std::function<void()> change) {
        asio::post(strand_, [this, change = std::move(change)] {
            change();
            wake_.cancel();
        });
    }

    Status status() const;

    Environment& env_;
    const config::Pipeline config_;
    const std::shared_ptr<const sink::Plugin> plugin_;
    const SourceFactory make_source_;
    asio::strand<asio::any_io_executor> strand_;

    // Requests; on the strand, but for the stop source, which workers look at.
    bool shutting_down_ = false;
    bool restart_wanted_ = false;
    checkpoints::RunState wanted_ = checkpoints::RunState::running;
    std::stop_source abort_;
    std::atomic<bool> stopping_{false};  ///< what plugins see
    std::atomic<int> exit_code_{0};
    std::atomic<bool> ended_{false};

 private:
    /// Why a step gives up without an error of its own: somebody wants something else.
    [[nodiscard]] bool interrupted() const {
        return shutting_down_ || restart_wanted_ || wanted_ != checkpoints::RunState::running;
    }
    static Error interruption() { return Error{ErrorCode::stopping, "interrupted"}; }

    void enter(State state, std::string reason = {}, std::optional<ErrorCode> code = {});
    void publish(const checkpoints::Commit* commit = nullptr);
    asio::awaitable<void> sleep(Milliseconds time);
    asio::awaitable<void> sleep_until_woken();
    Milliseconds elapsed_since_last_run() const;

    template <class Work>
    auto control(Work work) {
        return run_on(env_.control, std::move(work));
    }
    template <class Step>
    auto with_retries(const char* stage, Step step) -> decltype(step());
    std::optional<Milliseconds> retry_timeout() const;
    asio::awaitable<void> back_off(const char* stage, int attempt, Error error);

    asio::awaitable<Result<bool>> session();
    asio::awaitable<Result<void>> open();
    asio::awaitable<Result<void>> open_sink();
    asio::awaitable<void> close_sink();
    asio::awaitable<Result<std::vector<plan::PartitionFacts>>> gather();
    asio::awaitable<Result<bool>> trigger();
    asio::awaitable<Result<void>> step_over(const plan::PlanOutcome& outcome);
    asio::awaitable<Result<void>> run_plan(const checkpoints::Plan& plan, bool is_rerun);
    asio::awaitable<Result<void>> attempt_plan(const checkpoints::Plan& plan, bool is_rerun,
                                               int attempt);
    asio::awaitable<Result<void>> examine_loss(const checkpoints::Plan& plan, const Error& cause);
    asio::awaitable<Result<void>> wait_for_trigger();
    Error loss_error(const std::vector<plan::Loss>& losses) const;
    std::vector<checkpoints::LossEntry> as_entries(const std::vector<plan::Loss>& losses,
                                                   std::optional<std::uint64_t> batch,
                                                   bool accepted) const;
    void learn(const checkpoints::Plan& plan, const BatchOutcome& outcome);

    asio::steady_timer wake_;
    std::mt19937 random_;
    std::unique_ptr<Source> source_;
    std::unique_ptr<sink::Sink> sink_;
    std::string cluster_id_;

    // The pipeline's memory of its checkpoint; reread at each session.
    checkpoints::PipelineState state_;
    std::optional<std::map<plan::TopicPartition, std::int64_t>> end_bounds_;  ///< availableNow
    WallTime trigger_started_{};
    std::optional<SteadyTime> last_run_;
    bool ran_once_ = false;
    bool backlog_left_ = false;  ///< the last plan was capped: more is waiting
    Observed observed_;
    Adjustments adjustments_;  ///< of the plan being run
    std::vector<checkpoints::LossEntry> losses_of_plan_;
    BatchProgress progress_;

    // Sessions that ended by an error that may pass, without a commit between them.
    std::optional<SteadyTime> session_failing_since_;
    std::uint64_t session_progress_ = 0;
    int session_failures_ = 0;

    mutable std::mutex status_mutex_;
    Status status_;
};

// ---- state -----------------------------------------------------------------------------------------

void Pipeline::Impl::enter(State state, std::string reason, std::optional<ErrorCode> code) {
    const std::lock_guard lock(status_mutex_);
    if (status_.state != state) status_.since = env_.clock.wall();
    status_.state = state;
    status_.reason = std::move(reason);
    status_.error_code = code;
    if (state != State::retrying) {
        status_.attempt = 0;
        status_.retry_at.reset();
    }
}

void Pipeline::Impl::publish(const checkpoints::Commit* commit) {
    if (env_.observer) env_.observer(status(), commit);
}

Status Pipeline::Impl::status() const {
    const std::lock_guard lock(status_mutex_);
    Status status = status_;
    if (status.batch_id) status.batch_polled = progress_.polled.load(std::memory_order_relaxed);
    if (status.state == State::running && status.batch_id) {
        const auto moved = SteadyTime{Milliseconds{progress_.moved_at_ms.load()}};
        const auto still = std::chrono::duration_cast<std::chrono::seconds>(env_.clock.steady() - moved);
        if (still >= stalled_after) {
            status.state = State::stalled;
            status.reason = std::string("batch ") + std::to_string(*status.batch_id) + ": " +
                            progress_.doing.load() + " has not moved for " +
                            std::to_string(still.count()) + " s";
        }
    }
    return status;
}

asio::awaitable<void> Pipeline::Impl::sleep(Milliseconds time) {
    wake_.expires_after(time);
    boost::system::error_code cancelled;
    co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
}

asio::awaitable<void> Pipeline::Impl::sleep_until_woken() {
    wake_.expires_at(asio::steady_timer::time_point::max());
    boost::system::error_code cancelled;
    co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
}

std::optional<Milliseconds> Pipeline::Impl::retry_timeout() const {
    if (config_.errors.retry_timeout) return config_.errors.retry_timeout;
    if (config_.trigger.kind == config::TriggerKind::processing_time) return std::nullopt;
    return retry_timeout_of_bounded_triggers;
}

/// RETRYING, until the pause is over or somebody wants something else.
asio::awaitable<void> Pipeline::Impl::back_off(const char* stage, int attempt, Error error) {
    const Milliseconds delay =
        backoff(attempt, config_.errors.retry_delay_max, static_cast<std::uint32_t>(random_()));
    log::warning("retrying", {{"pipeline", config_.name},
                              {"stage", stage},
                              {"attempt", attempt},
                              {"delay", format_duration(delay)},
                              {"error", error.message}});
    enter(State::retrying, std::move(error.message), error.code);
    {
        const std::lock_guard lock(status_mutex_);
        status_.attempt = attempt;
        status_.retry_at = env_.clock.wall() + delay;
    }
    publish();
    co_await sleep(delay);
}

/// Runs `step` until it succeeds, fails for good, or somebody wants something else.
template <class Step>
auto Pipeline::Impl::with_retries(const char* stage, Step step) -> decltype(step()) {
    const auto timeout = retry_timeout();
    const SteadyTime started = env_.clock.steady();
    for (int attempt = 1;; ++attempt) {
        auto result = co_await step();
        if (result || needs_a_person(result.error())) co_return result;
        if (interrupted()) co_return interruption();
        const Error& error = result.error();
        if (timeout && env_.clock.steady() - started >= *timeout) {
            co_return Error{ErrorCode::unavailable,
                            "gave up after " + format_duration(*timeout) + " of retrying (" +
                                std::to_string(attempt) + " attempts; errors.retry.timeout): " +
                                error.message};
        }
        co_await back_off(stage, attempt, error);
        if (interrupted()) co_return interruption();
        enter(State::running);
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
        const bool keeps_sink = wanted_ == checkpoints::RunState::paused && !shutting_down_;
        if (!keeps_sink || (!done && done.error().code != ErrorCode::stopping)) {
            co_await close_sink();
            if (source_) {
                co_await control([this]() -> Result<void> { return source_->release(), Result<void>{}; });
                source_.reset();
            }
        }
        if (shutting_down_) break;
        if (done && *done) {
            enter(State::done);
            break;
        }
        if (wanted_ != checkpoints::RunState::running) {
            enter(wanted_ == checkpoints::RunState::paused ? State::paused : State::stopped);
            log::info(wanted_ == checkpoints::RunState::paused ? "paused" : "stopped",
                      {{"pipeline", config_.name}});
            publish();
            const auto left = wanted_;
            while (!shutting_down_ && wanted_ == left && !restart_wanted_) co_await sleep_until_woken();
            continue;
        }
        if (!done && done.error().retriable) {
            // The checkpoint could not be written: what is there must be read again before going on.
            const SteadyTime now = env_.clock.steady();
            if (!session_failing_since_ || status().batches_committed != session_progress_) {
                session_failing_since_ = now;
                session_progress_ = status().batches_committed;
                session_failures_ = 0;
            }
            if (const auto timeout = retry_timeout(); !timeout || now - *session_failing_since_ < *timeout) {
                co_await back_off("checkpoint", ++session_failures_, done.error());
                continue;
            }
        }
        if (!done && done.error().code != ErrorCode::stopping) {
            const Error& error = done.error();
            const bool gave_up = error.code == ErrorCode::unavailable || error.retriable;
            exit_code_ = gave_up ? 75 : 1;
            enter(State::failed, error.message, error.code);
            log::error("failed", {{"pipeline", config_.name},
                                  {"code", name_of(error.code)},
                                  {"error", error.message}});
            publish();
            if (config_.trigger.kind != config::TriggerKind::processing_time) break;
            while (!shutting_down_ && !restart_wanted_ && wanted_ == checkpoints::RunState::running) {
                co_await sleep_until_woken();
            }
            exit_code_ = 0;
        }
    }
    co_await close_sink();
    if (source_) {
        co_await control([this]() -> Result<void> { return source_->release(), Result<void>{}; });
        source_.reset();
    }
    publish();
    ended_ = true;
}

/// From opening to the end of it: true when the pipeline is done, false when interrupted.
asio::awaitable<Result<bool>> Pipeline::Impl::session() {
    enter(State::starting);
    publish();
    auto loaded = co_await control([this] { return env_.store.load(config_.name); });
    if (!loaded) co_return std::move(loaded).error();
    state_ = *std::move(loaded);
    wanted_ = state_.run_state;
    if (interrupted()) co_return false;

    auto opened = co_await with_retries("open", [this] { return open(); });
    if (!opened) co_return std::move(opened).error();
    enter(State::running);

    if (state_.unfinished) {
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
        const WallTime due = plan::next_trigger(trigger_started_, now, config_.trigger.interval);
        {
            const std::lock_guard lock(status_mutex_);
            status_.next_trigger = due;
        }
        if (due <= now) {
            // A floor under an empty loop: an interval of 0 must not spin on an idle topic.
            if (!backlog_left_ && config_.trigger.interval < Milliseconds{10}) co_await sleep(Milliseconds{10});
            break;
        }
        co_await sleep(std::min(due - now, config_.trigger.interval));
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
    auto cluster = co_await control([this] { return source_->cluster_id(); });
    if (!cluster) co_return std::move(cluster).error();
    cluster_id_ = *cluster;
    {
        const std::lock_guard lock(status_mutex_);
        status_.cluster_id = cluster_id_;
    }
    auto bound =
        co_await control([this] { return env_.store.bind_cluster(config_.name, cluster_id_); });
    if (!bound) co_return std::move(bound).error();
    if (!sink_) {
        auto opened = co_await open_sink();
        if (!opened) co_return std::move(opened).error();
    }
    if (!state_.initial_offsets) {
        auto facts = co_await control(
            [this] { return source_->facts(state_.positions, abort_.get_token()); });
        if (!facts) co_return std::move(facts).error();
        if (facts->empty()) {
            co_return Error{ErrorCode::unavailable,
                            "no subscribed topic exists yet on this cluster; check the names under "
                            "source, or create the topic",
                            true};
        }
        auto initial = co_await control([&] { return source_->initial_offsets(*facts); });
        if (!initial) co_return std::move(initial).error();
        auto stored = co_await control([&] {
            return env_.store.put_initial(config_.name, initial->json, initial->positions);
        });
        if (!stored) co_return std::move(stored).error();
        log::info("first start: initial offsets written down",
                  {{"pipeline", config_.name}, {"offsets", initial->json}});
        state_.initial_offsets = initial->json;
        state_.positions = initial->positions;
    }
    co_return Result<void>{};
}

asio::awaitable<Result<void>> Pipeline::Impl::open_sink() {
    sink::SinkContext context{config_.name, cluster_id_, state_.next_batch_id, std::nullopt};
    // An unfinished plan is asked for again under its own id.
    if (state_.unfinished) context.next_batch_id = state_.unfinished->batch_id;
    if (state_.receipt && state_.receipt->plugin == config_.sink.plugin &&
        state_.receipt->target == config_.sink.target) {
        context.receipt = state_.receipt->bytes;
    } else if (state_.receipt) {
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
        auto stored = co_await control(
            [&] { return env_.store.put_initial_receipt(config_.name, receipt); });
        if (!stored) co_return std::move(stored).error();
        state_.receipt = receipt;
    }
    sink_ = std::move(opened->sink);
    co_return Result<void>{};
}

asio::awaitable<void> Pipeline::Impl::close_sink() {
    if (!sink_) co_return;
    (void)co_await run_on(env_.workers, [this]() -> Result<void> { return sink_.reset(), Result<void>{}; });
}

// ---- one trigger -----------------------------------------------------------------------------------

Milliseconds Pipeline::Impl::elapsed_since_last_run() const {
    if (!last_run_) return Milliseconds::max();
    return std::chrono::duration_cast<Milliseconds>(env_.clock.steady() - *last_run_);
}

asio::awaitable<Result<std::vector<plan::PartitionFacts>>> Pipeline::Impl::gather() {
    co_return co_await with_retries("look up offsets", [this] {
        return control([this] { return source_->facts(state_.positions, abort_.get_token()); });
    });
}

/// True when the pipeline is done.
asio::awaitable<Result<bool>> Pipeline::Impl::trigger() {
    auto facts = co_await gather();
    if (!facts) co_return std::move(facts).error();
    const bool bounded = config_.trigger.kind == config::TriggerKind::available_now;
    if (bounded && !end_bounds_) {
        end_bounds_.emplace();
        for (const auto& fact : *facts) end_bounds_->emplace(fact.topic_partition, fact.latest);
    }
    const plan::PlanInput input{state_.positions, *facts, bounded ? &*end_bounds_ : nullptr,
                                elapsed_since_last_run()};
    const std::uint64_t found = known_backlog(state_.positions, *facts);
    auto planned = plan::plan_batch(
        input, plan_options(config_, found, env_.worker_count, observed_));
    if (!planned) co_return std::move(planned).error();
    if (!planned->losses.empty()) {
        // Consumers remember where a log ended, which is not true of it any more.
        co_await control([this]() -> Result<void> { return source_->release(), Result<void>{}; });
        auto stepped = co_await step_over(*planned);
        if (!stepped) co_return std::move(stepped).error();
    }
    {
        const std::lock_guard lock(status_mutex_);
        status_.backlog = planned->backlog;
        status_.partitions.clear();
        for (const auto& start : planned->starts) {
            status_.partitions[start.topic_partition].position = start.position.offset;
        }
        for (const auto& fact : *facts) status_.partitions[fact.topic_partition].latest = fact.latest;
    }
    if (planned->ranges.empty()) {
        backlog_left_ = false;
        if (config_.trigger.kind != config::TriggerKind::processing_time) co_return true;
        if (!planned->waiting) enter(State::caught_up);
        publish();
        co_return false;
    }
    checkpoints::Plan plan{state_.next_batch_id, env_.clock.wall(), std::move(planned->ranges)};
    auto stored =
        co_await control([&] { return env_.store.put_plan(config_.name, plan, {}); });
    if (!stored) co_return std::move(stored).error();
    failpoint("batch.after_plan");
    state_.next_batch_id = plan.batch_id + 1;
    state_.unfinished = plan;
    last_run_ = env_.clock.steady();
    enter(State::running);
    auto ran = co_await run_plan(plan, false);
    if (!ran) co_return std::move(ran).error();
    ran_once_ = true;
    std::uint64_t covered = 0;
    for (const auto& range : plan.ranges) covered += plan::size_of(range.range);
    backlog_left_ = covered < planned->backlog;
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
        auto noted = co_await control([&] {
            return env_.store.put_losses(config_.name, as_entries(outcome.losses, {}, false));
        });
        if (!noted) co_return std::move(noted).error();
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
    auto moved = co_await control([&] { return env_.store.put_move(config_.name, move); });
    if (!moved) co_return std::move(moved).error();
    for (const auto& [tp, position] : move.positions) state_.positions[tp] = position;
    for (const auto& tp : move.forget) state_.positions.erase(tp);
    const std::lock_guard lock(status_mutex_);
    status_.records_lost += lost;
    co_return Result<void>{};
}

// ---- one batch -------------------------------------------------------------------------------------

asio::awaitable<Result<void>> Pipeline::Impl::run_plan(const checkpoints::Plan& plan,
                                                       bool is_rerun) {
    adjustments_.clear();
    losses_of_plan_.clear();
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
    co_return result;
}

asio::awaitable<Result<void>> Pipeline::Impl::attempt_plan(const checkpoints::Plan& plan,
                                                           bool is_rerun, int attempt) {
    BatchRequest request{config_.name, plan, is_rerun, adjustments_, 1};
    if (!plugin_->ordered()) {
        request.lanes = static_cast<std::size_t>(
            std::max(1, env_.worker_count / std::max(1, env_.busy.load())));
    }
    auto outcome = co_await run_batch(env_.workers, *source_, *sink_, request, progress_, env_.clock,
                                      abort_.get_token());
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
    co_return Result<void>{};
}

void Pipeline::Impl::learn(const checkpoints::Plan& plan, const BatchOutcome& outcome) {
    std::uint64_t polled = 0;
    std::uint64_t bytes = 0;
    std::uint64_t lost = 0;
    std::uint64_t planned = 0;
    for (const auto& books : outcome.commit.books) {
        polled += books.polled;
        bytes += books.bytes;
        lost += books.lost;
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
        ++status_.batches_committed;
        status_.backlog -= std::min(status_.backlog, planned);
        for (const auto& [tp, position] : outcome.positions) {
            status_.partitions[tp].position = position.offset;
        }
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

// ---- the outside -----------------------------------------------------------------------------------

Pipeline::Pipeline(Environment& environment, config::Pipeline config,
                   std::shared_ptr<const sink::Plugin> plugin, SourceFactory make_source)
    : impl_(std::make_unique<Impl>(environment, std::move(config), std::move(plugin),
                                   std::move(make_source))) {}
Pipeline::~Pipeline() = default;

asio::awaitable<void> Pipeline::run() { return impl_->run(); }
const asio::strand<asio::any_io_executor>& Pipeline::strand() const { return impl_->strand_; }
void Pipeline::shut_down() {
    impl_->stopping_ = true;
    impl_->request([impl = impl_.get()] { impl->shutting_down_ = true; });
}
void Pipeline::abort() {
    impl_->abort_.request_stop();
    shut_down();
}
void Pipeline::set_run_state(checkpoints::RunState state) {
    impl_->request([impl = impl_.get(), state] { impl->wanted_ = state; });
}
void Pipeline::restart() {
    impl_->request([impl = impl_.get()] { impl->restart_wanted_ = true; });
}
Status Pipeline::status() const { return impl_->status(); }
const config::Pipeline& Pipeline::config() const { return impl_->config_; }
int Pipeline::exit_code() const { return impl_->exit_code_; }
bool Pipeline::has_ended() const { return impl_->ended_; }

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
