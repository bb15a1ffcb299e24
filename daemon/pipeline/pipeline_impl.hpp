#pragma once
// The inside of Pipeline, shared by the files that drive it: pipeline.cpp (the outermost loop and its
// states), session.cpp (opening, waiting), trigger.cpp (facts, plan, losses), plan_run.cpp (a plan until
// it is committed), plan_loss.cpp (a plan that can't be read). Included by those only.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/text.hpp"
#include "daemon/pipeline/batch_run.hpp"
#include "daemon/pipeline/dead_letters.hpp"
#include "daemon/pipeline/pipeline.hpp"
#include "daemon/pipeline/plan_options.hpp"
#include "daemon/pipeline/run_on.hpp"
#include "daemon/plan/plan_losses.hpp"

namespace sluice::pipeline {

inline bool needs_a_person(const Error& error) { return !error.retriable; }

class Pipeline::Impl {
 public:
    Impl(Environment& environment, config::Pipeline config,
         std::shared_ptr<const sink::Plugin> plugin, SourceFactory make_source)
        : env_(environment),
          config_(std::move(config)),
          plugin_(std::move(plugin)),
          make_source_(std::move(make_source)),
          strand_(asio::make_strand(environment.io)),
          wake_(environment.make_alarm(strand_)),
          random_(environment.random_seed ? environment.random_seed() : std::random_device{}()) {
        dead_letters_ = environment.make_dead_letters(config_, environment.sink_memory_max / 4);
        status_.name = config_.name;
        status_.plugin = config_.sink.plugin;
        status_.guarantee = sink::name_of(plugin_->guarantee_with(config_.sink.settings));
        status_.since = env_.clock.wall();
        step_since_ = env_.clock.steady();
    }

    asio::awaitable<void> run();
    void request(std::function<void()> change) {
        asio::post(strand_, [this, change = std::move(change)] {
            change();
            wake_->wake();
        });
    }

    Status status() const;
    Summary summary() const;
    void set_headroom(std::map<plan::TopicPartition, Milliseconds> headroom) {
        const std::lock_guard lock(status_mutex_);
        status_.headroom = std::move(headroom);
    }

    /// What the status says of losses; blocks on the disk. Safe from any thread.
    Result<void> count_losses();
    void released();

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
    std::atomic<std::uint64_t> sink_memory_{0};  ///< what they say they hold
    [[nodiscard]] std::uint64_t sink_memory() const {
        return sink_memory_ + (dead_letters_ ? dead_letters_->held_bytes() : 0);
    }
    std::atomic<int> exit_code_{0};
    std::atomic<bool> ended_{false};
    enum class Rest { none, resting, held };
    std::atomic<Rest> rest_{Rest::none};

 private:
    /// Why a step gives up without an error of its own: somebody wants something else.
    [[nodiscard]] bool interrupted() const {
        return shutting_down_ || restart_wanted_ || wanted_ != checkpoints::RunState::running;
    }
    static Error interruption() { return Error{ErrorCode::stopping, "interrupted"}; }

    void enter(State state, std::string reason = {}, std::optional<ErrorCode> code = {});
    [[nodiscard]] State state() const;  ///< as entered: STALLED is seen only from outside
    /// What is only known when looked at: how far the batch is, and whether anything moves. With the lock held.
    void look_closer(Summary& summary) const;
    void publish(const checkpoints::Commit* commit = nullptr);
    Milliseconds elapsed_since_last_run() const;

    template <class Work>
    auto look_up(Work work) {
        return run_on(env_.lookups, std::move(work));
    }
    template <class Work>
    auto on_disk(Work work) {
        return run_on(env_.disk, std::move(work));
    }
    template <class Step>
    auto with_retries(const char* what, Stage stage, Step step) -> decltype(step());
    std::optional<Milliseconds> retry_timeout() const;
    asio::awaitable<void> back_off(const char* what, Stage stage, int attempt, Error error);

    asio::awaitable<void> rest_after_failure(const Error& error);
    asio::awaitable<void> leave_rest();
    /// What it does from now on, without waiting for anything else.
    void begin_step(const char* step);

    asio::awaitable<Result<bool>> session();
    asio::awaitable<Result<void>> open();
    asio::awaitable<Result<void>> open_sink();
    /// The sink, and the clients that the source keeps.
    asio::awaitable<void> close_ends();
    /// What a first start was counted from, when it may serve the first trigger; gone afterwards.
    std::optional<std::vector<plan::PartitionFacts>> take_first_facts(
        const std::map<plan::TopicPartition, plan::Position>& known);
    /// `known`: an end below one of these is doubted, and asked for again.
    asio::awaitable<Result<std::vector<plan::PartitionFacts>>> gather(
        const std::map<plan::TopicPartition, plan::Position>& known);
    /// Asks whether the logs below `positions` were truncated, and notes it in `facts`.
    asio::awaitable<Result<void>> look_for_truncations(
        const std::map<plan::TopicPartition, plan::Position>& positions,
        std::vector<plan::PartitionFacts>& facts);
    asio::awaitable<Result<bool>> trigger();
    asio::awaitable<Result<void>> step_over(const plan::PlanOutcome& outcome);
    asio::awaitable<Result<void>> run_plan(const checkpoints::Plan& plan, bool is_rerun);
    asio::awaitable<Result<void>> attempt_plan(const checkpoints::Plan& plan, bool is_rerun,
                                               int attempt);
    asio::awaitable<Result<void>> check_topics(const checkpoints::Plan& plan);
    asio::awaitable<Result<bool>> examine_loss(const checkpoints::Plan& plan, const Error& cause);
    asio::awaitable<Result<void>> give_up_plan(const checkpoints::Plan& plan,
                                               const plan::PlanLosses& lost);
    asio::awaitable<Result<void>> wait_for_trigger();
    Error loss_error(const std::vector<plan::Loss>& losses) const;
    std::vector<checkpoints::LossEntry> as_entries(const std::vector<plan::Loss>& losses,
                                                   std::optional<std::uint64_t> batch,
                                                   bool accepted) const;
    /// Best effort: a group that cannot be written delays nothing and fails nothing.
    asio::awaitable<void> export_positions(bool at_the_end);
    void count_aborted();
    void learn(const checkpoints::Plan& plan, const BatchOutcome& outcome);

    const std::unique_ptr<Alarm> wake_;
    std::mt19937 random_;
    std::unique_ptr<Source> source_;
    std::unique_ptr<sink::Sink> sink_;
    std::string cluster_id_;

    // The pipeline's memory of its checkpoint; reread at each session.
    checkpoints::PipelineState state_;
    LeaderEpochs leader_epochs_;  ///< of the open plan, when it was made by this session
    std::optional<std::map<plan::TopicPartition, std::int64_t>> end_bounds_;  ///< availableNow
    std::set<plan::TopicPartition> new_bounds_;  ///< partitions whose bound is not true any more
    struct FirstFacts {
        std::vector<plan::PartitionFacts> facts;
        SteadyTime asked{};
    };
    std::optional<FirstFacts> first_facts_;  ///< of a first start, until its first trigger
    WallTime trigger_started_{};
    std::optional<SteadyTime> last_run_;
    bool ran_once_ = false;
    bool backlog_left_ = false;  ///< the last plan was capped: more is waiting
    Observed observed_;
    Adjustments adjustments_;  ///< of the plan being run
    Refusals refusals_;        ///< likewise
    std::unique_ptr<DeadLetters> dead_letters_;
    std::vector<checkpoints::LossEntry> losses_of_plan_;
    std::map<plan::TopicPartition, plan::Position> next_of_plan_;  ///< past losses beyond its end
    bool may_be_committed_ = false;  ///< by an earlier process, or session
    bool foreign_is_noted_ = false;
    bool gave_up_plan_ = false;
    BatchProgress progress_;
    PhaseTimes times_;  ///< of the next batch, as far as they come before it
    std::optional<SteadyTime> exported_at_;
    bool export_is_due_ = false;   ///< positions moved since
    bool export_failed_ = false;  ///< said once, until it works again

    // Sessions that ended by an error that may pass, without a commit between them.
    std::optional<SteadyTime> session_failing_since_;
    std::uint64_t session_progress_ = 0;
    int session_failures_ = 0;

    // Restarts after failures without a commit between them.
    int restarts_ = 0;
    std::uint64_t restart_progress_ = 0;

    mutable std::mutex status_mutex_;
    Status status_;
    /// Accepted losses that were in the ledger when it was first read; with status_mutex_.
    std::optional<std::map<plan::LossKind, std::uint64_t>> lost_before_;
    const char* step_ = "starting";  ///< what it does while no batch is open; with status_mutex_
    SteadyTime step_since_{};
};

/// Runs `step` until it succeeds, fails for good, or somebody wants something else.
template <class Step>
auto Pipeline::Impl::with_retries(const char* what, Stage stage, Step step) -> decltype(step()) {
    const auto timeout = retry_timeout();
    const SteadyTime started = env_.clock.steady();
    const State before = state();
    for (int attempt = 1;; ++attempt) {
        auto result = co_await step();
        if (result && attempt > 1) enter(before);
        if (result || needs_a_person(result.error())) co_return result;
        // A write that failed may be on disk all the same: run() reads the checkpoint anew first.
        if (result.error().code == ErrorCode::storage) co_return result;
        if (interrupted()) co_return interruption();
        const Error& error = result.error();
        if (timeout && env_.clock.steady() - started >= *timeout) {
            co_return Error{ErrorCode::unavailable,
                            "gave up after " + format_duration(*timeout) + " of retrying (" +
                                std::to_string(attempt) + " attempts; errors.retry.timeout): " +
                                error.message};
        }
        // A batch knows better how far it came.
        co_await back_off(what, stage == Stage::read ? progress_.stage.load() : stage, attempt, error);
        if (interrupted()) co_return interruption();
        begin_step(what);
    }
}

}  // namespace sluice::pipeline
