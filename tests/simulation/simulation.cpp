#include "tests/simulation/simulation.hpp"

#include <boost/asio/co_spawn.hpp>

#include "daemon/operations/losses.hpp"
#include "daemon/operations/settle.hpp"
#include "daemon/pipeline/pipeline.hpp"
#include "tests/simulation/broker.hpp"
#include "tests/simulation/guarded_store.hpp"
#include "tests/simulation/judge.hpp"
#include "tests/simulation/schedule.hpp"
#include "tests/simulation/target.hpp"

namespace sluice::simulation {
namespace {

using pipeline::Pipeline;
using pipeline::State;

constexpr int processes_max = 400;
constexpr int processes_when_calm_max = 8;

/// What the operator does is not part of the process.
class Outside {
 public:
    explicit Outside(World& world) : world_(world), before_(world.outside) { world_.outside = true; }
    ~Outside() { world_.outside = before_; }
    Outside(const Outside&) = delete;
    Outside& operator=(const Outside&) = delete;

 private:
    World& world_;
    const bool before_;
};

/// Each kind of fault is there in some seeds, at one of a few rates.
Faults draw_faults(Random& random) {
    const auto some = [&](int in_ten, std::vector<int> rates) {
        return random.below(10) < static_cast<std::uint64_t>(in_ten) ? random.pick(rates) : 0;
    };
    Faults faults;
    faults.crash = some(7, {20, 60, 150, 400});
    faults.look_up = some(4, {50, 300, 1500});
    faults.read = some(4, {50, 200, 800});
    faults.false_range = some(3, {30, 200});
    faults.stale_end = some(3, {200, 2000});
    faults.store_error = some(4, {30, 150, 600});
    faults.store_doubt = some(3, {30, 150});
    faults.sink_retry = some(5, {50, 200, 800});
    faults.sink_fatal = some(3, {20, 60});
    faults.sink_doubt = some(5, {300, 2000});
    faults.sink_slow = some(3, {50, 300});
    faults.produce = some(8, {30, 150, 500});
    faults.retention = some(4, {10, 60, 250});
    faults.new_leader = some(3, {30, 150});
    faults.new_partition = some(3, {10, 60});
    faults.recreate = some(3, {5, 30});
    faults.operate = some(4, {200, 1000});
    return faults;
}

Shape draw_shape(Random& random) {
    Shape shape;
    shape.topics = static_cast<int>(random.between(1, 2));
    shape.partitions = static_cast<int>(random.between(1, 4));
    shape.records = static_cast<int>(random.pick(std::vector<int>{0, 8, 30, 60}));
    shape.gaps = random.pick(std::vector<int>{0, 500, 3000});
    shape.silent_recreation = random.coin();
    shape.from_latest = random.chance(1000);
    return shape;
}

config::Pipeline draw_config(Random& random) {
    config::Pipeline config;
    config.name = "orders";
    config.sink.plugin = "simulated";
    config.source.subscription = config::Topics{{"t0", "t1"}};
    config.source.fail_on_data_loss = random.coin();
    if (random.chance(8000)) {
        config.source.max_offsets_per_trigger = random.pick(std::vector<std::int64_t>{1, 3, 10, 25, 60});
    } else if (random.coin()) {
        config.source.max_offsets_per_trigger = config::Unlimited{};
    }
    if (random.coin()) config.source.max_records_per_partition = random.between(1, 20);
    if (random.chance(4000)) config.source.min_partitions = random.between(1, 8);
    if (random.chance(1500)) {
        config.source.min_offsets_per_trigger = random.between(2, 30);
        config.source.max_trigger_delay = Milliseconds{random.between(1'000, 120'000)};
    }
    const auto kind = random.below(10);
    config.trigger.kind = kind < 6   ? config::TriggerKind::processing_time
                          : kind < 9 ? config::TriggerKind::available_now
                                     : config::TriggerKind::once;
    config.trigger.interval = random.pick(std::vector<Milliseconds>{
        Milliseconds{0}, Milliseconds{1'000}, Milliseconds{10'000}, Milliseconds{60'000}});
    if (config.source.min_offsets_per_trigger) {  // waiting for them at every 10 ms takes too many steps
        config.trigger.interval = std::max(config.trigger.interval, Milliseconds{1'000});
    }
    config.errors.retry_delay_max = random.pick(std::vector<Milliseconds>{
        Milliseconds{1}, Milliseconds{1'000}, Milliseconds{60'000}});
    config.errors.restart_delay_max = random.pick(std::vector<Milliseconds>{
        Milliseconds{0}, Milliseconds{1'000}, Milliseconds{180'000}});
    if (random.chance(2000)) config.errors.retry_timeout = Milliseconds{random.between(1'000, 600'000)};
    return config;
}

Manner draw_manner(Random& random) {
    const auto kind = random.below(10);
    return {kind < 7   ? sink::Guarantee::exactly_once
            : kind < 9 ? sink::Guarantee::at_least_once
                       : sink::Guarantee::idempotent,
            random.chance(2500), random.chance(3000) ? static_cast<int>(random.between(2, 20)) : 0};
}

class Simulation {
 public:
    Simulation(std::uint64_t seed, bool print)
        : world_(seed, print),
          config_(draw_config(world_.random)),
          manner_(draw_manner(world_.random)),
          broker_(world_, draw_shape(world_.random)),
          judge_(world_, broker_, target_, manner_, config_),
          store_(guard(world_, judge_, checkpoints::make_memory_store())),
          plugin_(make_plugin(world_, broker_, target_, manner_)) {
        world_.faults = draw_faults(world_.random);
        world_.effects_max = 60'000;
        world_.background = [this] {  // not for ever: a pipeline that is slower than its producers never rests
            if (world_.effects < 4 * quiet_after_) broker_.move();
        };
        if (manner_.refuses > 0) {
            config_.errors.tolerance = config::Errors::Tolerance::all;
            config_.errors.dead_letter_topic = "dead";
        }
        quiet_after_ = static_cast<std::uint64_t>(world_.random.between(50, 500));
        workers_ = static_cast<int>(world_.random.between(1, 4));
        all_.pipelines = {config_};
        make_source_ = [this](const config::Pipeline&) { return make_source(world_, broker_); };
    }

    Outcome run() {
        describe();
        int when_calm = 0;
        while (!world_.violation) {
            ++processes_;
            live();
            if (world_.violation) break;
            world_.dead = false;
            guarded([this] { between_processes(); });
            if (world_.violation || finished_) break;
            when_calm += world_.calm ? 1 : 0;
            if (processes_ > processes_max || when_calm > processes_when_calm_max) {
                world_.violate_quietly("not caught up, process after process");
            }
        }
        const Judge::Tally& tally = judge_.tally();
        return {world_.violation, std::move(world_.trace), world_.effects,  world_.crashes, processes_,
                tally.batches,    tally.recovered,         tally.records, tally.lost,     tally.moves,
                tally.refused};
    }

 private:
    bool keeps_running() const { return config_.trigger.kind == config::TriggerKind::processing_time; }

    template <class Work>
    void guarded(Work work) {
        try {
            work();
        } catch (const Crash&) {  // a violation, which is written down
        }
    }

    void describe() {
        const auto* const limit = std::get_if<std::int64_t>(&config_.source.max_offsets_per_trigger);
        world_.note("seed " + std::to_string(world_.seed) + ": " + std::string(sink::name_of(manner_.guarantee)) +
                    (manner_.ordered ? ", ordered" : "") +
                    (manner_.refuses > 0 ? ", refuses 1 of " + std::to_string(manner_.refuses) : "") +
                    (config_.source.fail_on_data_loss ? ", failOnDataLoss" : "") + ", trigger " +
                    std::to_string(static_cast<int>(config_.trigger.kind)) + "/" +
                    std::to_string(config_.trigger.interval.count()) + " ms, limit " +
                    (limit != nullptr ? std::to_string(*limit) : "none") + ", " +
                    std::to_string(workers_) + " workers");
    }

    // ---- one process -----------------------------------------------------------------------------

    void live() {
        world_.note("process " + std::to_string(processes_) + " starts");
        asio::io_context io(1);
        TaskPool pool(io);
        Deadlines deadlines;
        pipeline::Environment environment{.io = io.get_executor(),
                                          .lookups = pool.executor(),
                                          .disk = pool.executor(),
                                          .workers = pool.executor(),
                                          .store = *store_,
                                          .clock = world_.clock,
                                          .worker_count = workers_};
        environment.make_alarm = [&](const asio::any_io_executor& executor) {
            return make_alarm(world_, deadlines, executor);
        };
        environment.make_dead_letters = [this](const config::Pipeline&, std::uint64_t) {
            return manner_.refuses > 0 ? make_dead_letters(world_, target_, manner_) : nullptr;
        };
        environment.random_seed = [this] { return static_cast<std::uint32_t>(world_.random.next()); };
        environment.observer = [this](const pipeline::Summary& status, const checkpoints::Commit*) {
            observe(status);
        };
        Pipeline pipeline(environment, config_, plugin_, make_source_);
        last_state_.reset();
        bool ended = false;
        world_.outside = false;
        calm_from_start_ = world_.calm;
        asio::co_spawn(pipeline.strand(), pipeline.run(), [&](const std::exception_ptr& thrown) {
            ended = true;
            if (!thrown) return;
            try {
                std::rethrow_exception(thrown);
            } catch (const Crash&) {
            } catch (const std::exception& unexpected) {
                world_.violate_quietly(std::string("run() throws: ") + unexpected.what());
            }
        });
        int stuck = 0;
        while (!ended) {
            if (step(io, pool)) {
                stuck = 0;
                continue;
            }
            if (world_.dead) {
                deadlines.fire_all();
                if (++stuck > 10) std::abort();  // the simulation itself is wrong: nothing may be suspended here
                continue;
            }
            guarded([&] { idle(pipeline, deadlines); });
        }
        world_.outside = true;
        exit_code_ = pipeline.exit_code();
        final_ = pipeline.status();
        if (!world_.dead) {
            world_.note("process ends, " + std::string(name_of(final_.state)) + ", exit code " +
                        std::to_string(exit_code_));
        }
    }

    bool step(asio::io_context& io, TaskPool& pool) {
        if (!pool.empty() && world_.random.coin()) return pool.run_one(world_.random), true;
        io.restart();
        if (io.poll_one() > 0) return true;
        if (pool.empty()) return false;
        pool.run_one(world_.random);
        return true;
    }

    /// Nothing is ready: somebody acts, or time passes.
    void idle(Pipeline& pipeline, Deadlines& deadlines) {
        if (world_.fault(world_.faults.crash)) {
            ++world_.crashes;
            world_.note("CRASH while waiting");
            world_.dead = true;
            return;
        }
        if (world_.effects > quiet_after_) calm_down();
        const pipeline::Status status = pipeline.status();
        if (world_.calm && keeps_running()) {
            if (judge_.caught_up() && !shut_down_) {
                world_.note("caught up: shut down");
                shut_down_ = true;
                return pipeline.shut_down();
            }
            if (world_.clock.now() > calm_until_) {
                world_.violate("not caught up long after the last fault; " + std::string(name_of(status.state)) +
                               ": " + status.reason);
            }
        }
        if (status.state == State::failed) check_restart(status);
        const bool restarts_by_itself =
            status.state == State::failed && status.retry_at && (world_.calm || world_.random.coin());
        const bool rests = status.state == State::paused || status.state == State::stopped ||
                           status.state == State::failed;
        if (rests && !restarts_by_itself) {
            world_.clock.advance(Milliseconds{world_.random.between(1, 30'000)});
            return repair(&pipeline, status);
        }
        if (world_.fault(world_.faults.operate)) return operate(pipeline);
        if (!world_.calm) broker_.move();
        const auto next = deadlines.next();
        if (!next) {
            world_.violate("nothing will ever happen again; " + std::string(name_of(status.state)) + ": " +
                           status.reason);
        }
        if (*next > world_.clock.now()) world_.clock.advance(*next - world_.clock.now());
        deadlines.fire(world_.clock.now());
    }

    /// Only what can pass is tried again without a person.
    void check_restart(const pipeline::Status& status) {
        const bool needs_a_person =
            status.error_code == ErrorCode::data_loss || status.error_code == ErrorCode::fatal;
        const bool never = needs_a_person || config_.errors.restart_delay_max == Milliseconds{0};
        if (status.retry_at && never) world_.violate("starts again by itself: " + status.reason);
        if (!status.retry_at && !never && status.error_code == ErrorCode::unavailable) {
            world_.violate("does not start again by itself: " + status.reason);
        }
    }

    void calm_down() {
        if (world_.calm) return;
        world_.calm = true;
        world_.note("from here on nothing fails");
        broker_.restore();
        std::uint64_t backlog = 0;
        for (const auto& fact : broker_.facts()) backlog += plan::size_of({fact.topic_partition, 0, fact.latest});
        const auto* const limit = std::get_if<std::int64_t>(&config_.source.max_offsets_per_trigger);
        const auto triggers = static_cast<std::int64_t>(
            limit != nullptr ? backlog / static_cast<std::uint64_t>(*limit) + 5 : 5);
        // A few pauses of the longest back-off, and each trigger its interval or its delay.
        calm_until_ = world_.clock.now() + Milliseconds{600'000} +
                      triggers * (config_.trigger.interval + Milliseconds{30'000} +
                                  (config_.source.min_offsets_per_trigger ? config_.source.max_trigger_delay
                                                                          : Milliseconds{0}));
    }

    // ---- the operator ----------------------------------------------------------------------------

    void write_run_state(checkpoints::RunState state) {
        const Outside outside(world_);
        const auto written =
            store_->put_run_state(config_.name, state, {world_.clock.wall(), "operator", ""});
        if (!written) world_.violate("the run state is not written: " + written.error().message);
    }

    void operate(Pipeline& pipeline) {
        const auto to = [&](checkpoints::RunState state, const char* what) {
            world_.note(std::string("operator: ") + what);
            write_run_state(state);
            pipeline.set_run_state(state);
        };
        switch (world_.random.below(6)) {
            case 0: return to(checkpoints::RunState::paused, "pause");
            case 1: return to(checkpoints::RunState::stopped, "stop");
            case 2: return to(checkpoints::RunState::running, "resume");
            case 3: world_.note("operator: restart"); return pipeline.restart();
            case 4: world_.note("operator: shut down"); return pipeline.shut_down();
            default: world_.note("operator: abort"); return pipeline.abort();
        }
    }

    /// What a person does about a pipeline that rests, so that it goes on.
    void repair(Pipeline* pipeline, const pipeline::Status& status) {
        if (status.state == State::failed) {
            if (status.error_code == ErrorCode::data_loss) accept_losses();
            if (world_.random.chance(2000)) replan();
            world_.note("operator: restart");
            if (pipeline != nullptr) pipeline->restart();
            return;
        }
        if (world_.random.chance(2000)) replan();
        world_.note("operator: resume");
        write_run_state(checkpoints::RunState::running);
        if (pipeline != nullptr) pipeline->set_run_state(checkpoints::RunState::running);
    }

    void accept_losses() {
        const Outside outside(world_);
        world_.note("operator: losses accept");
        const operations::Context context{*store_, all_, make_source_, find_plugin_, world_.clock};
        const auto accepted = operations::accept_losses(context, config_.name, true);
        if (!accepted) world_.violate("losses are not accepted: " + accepted.error().message);
    }

    /// Of a pipeline that rests, and has let its sink go.
    void replan() {
        const Outside outside(world_);
        world_.note("operator: batches replan");
        const operations::Context context{*store_, all_, make_source_, find_plugin_, world_.clock};
        const auto settled = operations::replan(context, config_.name, true);
        if (!settled) world_.violate("the last batch is not settled: " + settled.error().message);
    }

    void observe(const pipeline::Summary& status) {
        if (last_state_ == status.state && status.state != State::retrying) return;
        last_state_ = status.state;
        world_.note("state " + std::string(name_of(status.state)) +
                    (status.reason.empty() ? "" : ": " + status.reason));
        if (status.state != State::failed) return;
        const auto says = [&](const char* words) { return status.reason.find(words) != std::string::npos; };
        const bool ends_by_itself = !keeps_running() || config_.errors.retry_timeout.has_value();
        const bool explained =
            (status.error_code == ErrorCode::data_loss && config_.source.fail_on_data_loss) ||
            (status.error_code == ErrorCode::fatal &&
             (says("somebody has to look") || says("the answer was lost"))) ||
            (ends_by_itself && (says("gave up after") || says("no space left on device")));
        if (!explained) world_.violate("FAILED without a reason: " + status.reason);
    }

    void between_processes() {
        const auto state = store_->load(config_.name);
        if (!state) world_.violate("the checkpoint can't be read");
        judge_.compare(*state);
        if (world_.effects > quiet_after_) calm_down();
        const bool ended_by_itself = final_.state == State::done || final_.state == State::failed;
        if (world_.calm && judge_.caught_up()) {
            const auto ledger = store_->losses(config_.name);
            judge_.conclude(ledger ? *ledger : std::vector<checkpoints::LossEntry>{});
            finished_ = true;
            return;
        }
        if (calm_from_start_ && final_.state == State::done &&
            config_.trigger.kind == config::TriggerKind::available_now) {
            world_.violate("DONE, and something is left");
        }
        if (final_.state == State::failed && final_.error_code == ErrorCode::data_loss && ended_by_itself) {
            accept_losses();
        }
        if (!world_.calm && world_.random.chance(1000)) replan();
        shut_down_ = false;
        if (world_.calm && state->run_state != checkpoints::RunState::running) {
            write_run_state(checkpoints::RunState::running);
        }
        world_.clock.advance(Milliseconds{world_.random.between(100, 60'000)});
    }

    World world_;
    config::Pipeline config_;
    const Manner manner_;
    Broker broker_;
    Target target_;
    Judge judge_;
    std::unique_ptr<checkpoints::Store> store_;
    std::shared_ptr<const sink::Plugin> plugin_;
    pipeline::SourceFactory make_source_;
    const operations::PluginFinder find_plugin_ = [this](const config::Config&, const config::Pipeline&) {
        return plugin_;
    };
    config::Config all_;
    int workers_ = 1;
    std::uint64_t quiet_after_ = 0;
    std::uint64_t processes_ = 0;
    Milliseconds calm_until_{0};
    bool shut_down_ = false;
    bool finished_ = false;
    bool calm_from_start_ = false;
    int exit_code_ = 0;
    pipeline::Status final_;
    std::optional<State> last_state_;
};

}  // namespace

Outcome simulate(std::uint64_t seed, bool print) { return Simulation(seed, print).run(); }

}  // namespace sluice::simulation
