#include "daemon/pipeline/engine.hpp"

#include <algorithm>
#include <mutex>
#include <set>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "daemon/base/log.hpp"
#include "daemon/pipeline/kafka_source.hpp"
#include "daemon/pipeline/run_on.hpp"

namespace sluice::pipeline {
namespace {

kafka::PoolOptions pool_options(const config::Config& config) {
    kafka::PoolOptions options;
    options.capacity = static_cast<std::size_t>(config.consumers_capacity);
    options.idle_timeout = config.consumers_idle_timeout;
    options.memory_max = config.memory_max / 2;
    return options;
}

/// Bounded, because a thousand idle pipelines need no thousand threads.
constexpr std::size_t own_threads_max = 64;

/// A thread of its own for every pipeline there is at the start, beside the shared ones, so that a cluster
/// that is away holds up nobody else.
std::size_t lookup_thread_count(const config::Config& config) {
    constexpr std::size_t shared = 4;
    return shared + std::min(config.pipelines.size(), own_threads_max);
}

/// As many as there can be held up when every sink hangs, so that none holds up a neighbour: the n-th pipeline
/// to begin a batch takes an n-th of the workers for its ranges, one at least, and each has one call more.
std::size_t worker_thread_count(const config::Config& config) {
    const std::size_t pipelines = std::clamp<std::size_t>(config.pipelines.size(), 1, own_threads_max);
    const auto workers = static_cast<std::size_t>(config.workers);
    std::size_t threads = pipelines;
    for (std::size_t busy = 1; busy <= pipelines; ++busy) threads += std::max<std::size_t>(1, workers / busy);
    return threads;
}

constexpr int disk_threads = 4;  ///< writes that wait together share one sync

}  // namespace

class Engine::Impl {
 public:
    Impl(asio::any_io_executor io, const config::Config& config, checkpoints::Store& store,
         const Clock& clock)
        : io_(std::move(io)),
          consumers_(pool_options(config), clock),
          lookup_clients_(clock),
          lookups_(lookup_thread_count(config)),
          disk_(disk_threads),
          workers_(worker_thread_count(config)),
          environment_{.io = io_,
                       .lookups = lookups_.get_executor(),
                       .disk = disk_.get_executor(),
                       .workers = workers_.get_executor(),
                       .store = store,
                       .clock = clock,
                       .worker_count = config.workers,
                       .memory_max = config.memory_max},
          tidy_timer_(io_),
          retention_timer_(io_),
          idle_(io_, asio::steady_timer::time_point::max()) {
        share(config);
        history_ = {config.history_age, config.history_size};
        environment_.observer = [this](const Summary& summary, const checkpoints::Commit* commit) {
            const std::lock_guard lock(mutex_);
            if (observer_) observer_(summary, commit);
        };
        asio::co_spawn(io_, tidy(), [](std::exception_ptr) {});
        asio::co_spawn(io_, watch_retention(), [](std::exception_ptr) {});
    }

    ~Impl() {
        workers_.join();
        lookups_.join();
        disk_.join();
    }

    /// Consumers and the sinks' memory, among as many pipelines as there are now. A sink that is open keeps the
    /// part it was told.
    void share(const config::Config& config) {
        consumers_.share_among(config.pipelines.size());
        environment_.sink_memory_max = environment_.memory_max / 4 / std::max<std::size_t>(config.pipelines.size(), 1);
    }

    struct Running {
        std::shared_ptr<Pipeline> pipeline;
        config::Pipeline config;
    };

    /// Later, where somebody is changing its checkpoint.
    void spawn(const config::Pipeline& config, const std::shared_ptr<const sink::Plugin>& plugin) {
        auto pipeline = std::make_shared<Pipeline>(
            environment_, config, plugin,
            [this](const config::Pipeline& c) { return make_kafka_source(c, consumers_, lookup_clients_); });
        {
            const std::lock_guard lock(mutex_);
            if (held_.contains(config.name)) {
                waiting_[config.name] = {config, plugin};
                return;
            }
            running_[config.name] = {pipeline, config};
        }
        ++live_;
        asio::co_spawn(pipeline->strand(), pipeline->run(), [this, pipeline](std::exception_ptr thrown) {
            if (thrown) log::error("a pipeline ended by an exception", {{"pipeline", pipeline->config().name}});
            asio::post(io_, [this] { ended(); });
        });
    }

    std::shared_ptr<const void> hold(const std::string& name) {
        std::shared_ptr<Pipeline> pipeline;
        {
            const std::lock_guard lock(mutex_);
            if (held_.contains(name)) return nullptr;
            if (const auto found = running_.find(name); found != running_.end()) {
                pipeline = found->second.pipeline;
                if (!pipeline->hold()) return nullptr;
            }
            held_.insert(name);
        }
        return {this, [this, name, pipeline](const void*) {
                    {
                        const std::lock_guard lock(mutex_);
                        held_.erase(name);
                    }
                    if (pipeline) {
                        pipeline->release();
                        // A reload may have let go of it: it lives until it has heard of the release.
                        asio::post(pipeline->strand(), [pipeline] {});
                    }
                    asio::post(io_, [this, name] { spawn_waiting(name); });
                }};
    }

    /// What a reload wanted to start while it was held, or before its predecessor had ended.
    void spawn_waiting(const std::string& name) {
        std::optional<Waiting> waiting;
        {
            const std::lock_guard lock(mutex_);
            const auto found = waiting_.find(name);
            if (found == waiting_.end() || held_.contains(name) || leaving_.contains(name)) return;
            waiting = std::move(found->second);
            waiting_.erase(found);
        }
        if (stopping_) return;
        log::info("reload: starting", {{"pipeline", name}});
        spawn(waiting->config, waiting->plugin);
    }

    void ended() {
        --live_;
        drop_left();
        idle_.cancel();
        tell_when_all_ended();
    }

    /// Of those that were let go of, the ones that have ended make room for those that come.
    void drop_left() {
        std::vector<std::string> left;
        {
            const std::lock_guard lock(mutex_);
            for (auto name = leaving_.begin(); name != leaving_.end();) {
                const auto running = running_.find(*name);
                if (!running->second.pipeline->has_ended()) {
                    ++name;
                    continue;
                }
                running_.erase(running);
                left.push_back(*name);
                name = leaving_.erase(name);
            }
        }
        for (const std::string& name : left) spawn_waiting(name);
    }

    /// One that is to be started once its checkpoint is let go of has not ended.
    void tell_when_all_ended() {
        if (live_ > 0 || changing_ || !all_ended_) return;
        {
            const std::lock_guard lock(mutex_);
            if (!waiting_.empty()) return;
        }
        all_ended_();
    }

    /// Asks pipelines to end, aborts after `timeout` those that have not, and gives up waiting some time after
    /// that. Answers which still leave.
    asio::awaitable<std::vector<std::string>> let_go(std::vector<std::string> names, Milliseconds timeout) {
        std::vector<std::shared_ptr<Pipeline>> leaving;
        {
            const std::lock_guard lock(mutex_);
            std::erase_if(names, [this](const std::string& name) { return !running_.contains(name); });
            for (const std::string& name : names) {
                leaving_.insert(name);
                leaving.push_back(running_.at(name).pipeline);
            }
        }
        for (const auto& pipeline : leaving) {
            log::info("reload: stopping", {{"pipeline", pipeline->config().name}});
            pipeline->shut_down();
        }
        asio::steady_timer deadline(io_, timeout);
        deadline.async_wait([leaving](const boost::system::error_code& cancelled) {
            if (cancelled) return;
            for (const auto& pipeline : leaving) pipeline->abort();
        });
        const auto is_over = std::make_shared<bool>(false);
        asio::steady_timer patience(io_, timeout + sink_patience);
        patience.async_wait([this, is_over](const boost::system::error_code& cancelled) {
            if (cancelled) return;
            *is_over = true;
            idle_.cancel();
        });
        drop_left();
        co_await wait_until([&] {
            const std::lock_guard lock(mutex_);
            std::erase_if(names, [this](const std::string& name) { return !leaving_.contains(name); });
            return names.empty() || *is_over;
        });
        co_return names;
    }

    asio::awaitable<void> wait_until(std::function<bool()> condition) {
        while (!condition()) {
            boost::system::error_code cancelled;
            co_await idle_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
        }
    }

    /// Once a second: idle consumers; once a minute: old history.
    asio::awaitable<void> tidy() {
        for (int second = 1; !stopping_; ++second) {
            tidy_timer_.expires_after(std::chrono::seconds{1});
            boost::system::error_code cancelled;
            co_await tidy_timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
            if (stopping_) break;
            co_await run_on(lookups_.get_executor(), [this]() -> Result<void> {
                consumers_.tidy();
                lookup_clients_.tidy();
                return {};
            });
            if (second % 60 != 0) continue;
            auto tidied = co_await run_on(disk_.get_executor(), [this] {
                return environment_.store.trim_history(history_, environment_.clock.wall());
            });
            if (!tidied) log::warning("history was not trimmed", {{"error", tidied.error().message}});
        }
    }

    /// Once a minute, for pipelines that do not keep up, whatever they are doing: how long until
    /// retention takes what they have not read. One pipeline at a time.
    asio::awaitable<void> watch_retention() {
        for (Milliseconds pause{5'000}; !stopping_; pause = Milliseconds{60'000}) {
            retention_timer_.expires_after(pause);
            boost::system::error_code cancelled;
            co_await retention_timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
            std::vector<std::string> names;
            for (const auto& pipeline : all()) names.push_back(pipeline->config().name);
            co_await run_on(lookups_.get_executor(), [&]() -> Result<void> {
                std::erase_if(watched_, [&](const auto& entry) {
                    return std::find(names.begin(), names.end(), entry.first) == names.end();
                });
                return {};
            });
            for (const std::string& name : names) {
                if (stopping_) break;
                co_await run_on(lookups_.get_executor(),
                                [&]() -> Result<void> { return look_at_retention(name), Result<void>{}; });
            }
        }
    }

    /// [look-up pool, one at a time]
    void look_at_retention(const std::string& name) {
        std::shared_ptr<Pipeline> pipeline;
        {
            const std::lock_guard lock(mutex_);
            if (const auto found = running_.find(name); found != running_.end()) {
                pipeline = found->second.pipeline;
            }
        }
        if (!pipeline) return;
        const Status before = pipeline->status();
        std::map<plan::TopicPartition, Milliseconds> headroom;
        if (pipeline->has_ended() || !reads_too_little(before)) {
            watched_.erase(name);
        } else if (auto found = headroom_of(*pipeline); found) {
            headroom = *std::move(found);
        } else {
            watched_.erase(name);  // unknown is not shown
            log::debug("retention headroom is unknown",
                       {{"pipeline", name}, {"error", found.error().message}});
        }
        if (headroom.empty() && before.headroom.empty()) return;
        pipeline->set_headroom(std::move(headroom));
    }

    Result<std::map<plan::TopicPartition, Milliseconds>> headroom_of(const Pipeline& pipeline) {
        const config::Pipeline& config = pipeline.config();
        SLUICE_TRY(const auto state, environment_.store.load(config.name));
        Watched& watched = watched_[config.name];
        if (!watched.source || watched.config != config) {
            watched = {config, make_kafka_source(config, consumers_, lookup_clients_)};
        }
        return watched.source->headroom(state.positions, environment_.clock.wall());
    }

    std::vector<std::shared_ptr<Pipeline>> all() const {
        const std::lock_guard lock(mutex_);
        std::vector<std::shared_ptr<Pipeline>> pipelines;
        for (const auto& [name, running] : running_) pipelines.push_back(running.pipeline);
        return pipelines;
    }

    asio::any_io_executor io_;
    kafka::ConsumerPool consumers_;
    kafka::LookupClients lookup_clients_;
    asio::thread_pool lookups_;
    asio::thread_pool disk_;
    asio::thread_pool workers_;
    Environment environment_;
    asio::steady_timer tidy_timer_;
    asio::steady_timer retention_timer_;
    struct Watched {
        config::Pipeline config;
        std::unique_ptr<Source> source;
    };
    std::map<std::string, Watched> watched_;  ///< [look-up pool]
    asio::steady_timer idle_;  ///< cancelled whenever a pipeline ends
    checkpoints::HistoryLimit history_;
    std::function<void()> all_ended_;
    std::size_t live_ = 0;
    bool changing_ = false;
    bool stopping_ = false;

    mutable std::mutex mutex_;  ///< guards what other threads may look at
    std::map<std::string, Running> running_;
    std::set<std::string> held_;
    std::set<std::string> leaving_;  ///< of those that run: let go of, and not ended yet
    struct Waiting {
        config::Pipeline config;
        std::shared_ptr<const sink::Plugin> plugin;
    };
    std::map<std::string, Waiting> waiting_;  ///< to be started once nobody holds them, and their predecessors have ended
    std::function<void(const Summary&, const checkpoints::Commit*)> observer_;
};

Engine::Engine(asio::any_io_executor io, const config::Config& config, checkpoints::Store& store,
               const Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(io), config, store, clock)) {}
Engine::~Engine() = default;

void Engine::start(const config::Config& config, const Plugins& plugins) {
    for (const auto& pipeline : config.pipelines) {
        impl_->spawn(pipeline, plugins.at(pipeline.sink.plugin));
    }
    if (config.pipelines.empty() && impl_->all_ended_) asio::post(impl_->io_, impl_->all_ended_);
}

/// Pipelines that leave are seen, and can be aborted, until they have ended; one that comes waits only for
/// its own predecessor, and where its checkpoint is being changed.
asio::awaitable<std::vector<std::string>> Engine::reload(const config::Config& config, const Plugins& plugins) {
    impl_->changing_ = true;
    impl_->history_ = {config.history_age, config.history_size};
    impl_->share(config);
    std::vector<const config::Pipeline*> coming;
    std::vector<std::string> leaving;
    {
        const std::lock_guard lock(impl_->mutex_);
        impl_->waiting_.clear();
        std::set<std::string> same;
        for (const auto& [name, running] : impl_->running_) {
            if (impl_->leaving_.contains(name)) continue;  // it was told, and its sink does not come back
            const bool goes_on = !running.pipeline->has_ended() &&
                                 std::find(config.pipelines.begin(), config.pipelines.end(), running.config) !=
                                     config.pipelines.end();
            if (goes_on) {
                same.insert(name);
            } else {
                leaving.push_back(name);
            }
        }
        for (const auto& pipeline : config.pipelines) {
            if (same.contains(pipeline.name)) continue;
            if (impl_->running_.contains(pipeline.name)) {
                impl_->waiting_[pipeline.name] = {pipeline, plugins.at(pipeline.sink.plugin)};
            } else {
                coming.push_back(&pipeline);
            }
        }
    }
    for (const config::Pipeline* const pipeline : coming) {
        if (impl_->stopping_) break;
        log::info("reload: starting", {{"pipeline", pipeline->name}});
        impl_->spawn(*pipeline, plugins.at(pipeline->sink.plugin));
    }
    co_await impl_->let_go(std::move(leaving), config.shutdown_timeout);
    impl_->changing_ = false;
    // The last one may have while others were let go of.
    if (!config.pipelines.empty()) impl_->tell_when_all_ended();
    const std::lock_guard lock(impl_->mutex_);
    co_return std::vector<std::string>(impl_->leaving_.begin(), impl_->leaving_.end());
}

asio::awaitable<Result<std::vector<std::shared_ptr<const void>>>> Engine::end(const std::vector<std::string>& names,
                                                                              Milliseconds timeout) {
    impl_->changing_ = true;
    {
        const std::lock_guard lock(impl_->mutex_);
        for (const std::string& name : names) impl_->waiting_.erase(name);
    }
    const auto late = co_await impl_->let_go(names, timeout);
    if (!late.empty()) {
        co_return Error{ErrorCode::locked,
                        "pipeline '" + late.front() + "' has not ended: its sink has not come back from a call, or a command "
                        "is at its checkpoint. Reload again when it has, or restart the daemon", true};
    }
    std::vector<std::shared_ptr<const void>> holds;
    for (const std::string& name : names) {
        auto hold = impl_->hold(name);
        if (!hold) {
            co_return Error{ErrorCode::locked,
                            "the checkpoint of pipeline '" + name + "', which is renamed, is being changed by a "
                            "command: reload again when that is done", true};
        }
        holds.push_back(std::move(hold));
    }
    co_return holds;
}

asio::awaitable<void> Engine::stop(Milliseconds timeout) {
    impl_->stopping_ = true;
    impl_->tidy_timer_.cancel();
    impl_->retention_timer_.cancel();
    for (const auto& pipeline : impl_->all()) pipeline->shut_down();
    asio::steady_timer deadline(impl_->io_, timeout);
    deadline.async_wait([this](const boost::system::error_code& cancelled) {
        if (!cancelled) abort();
    });
    co_await impl_->wait_until([this] { return impl_->live_ == 0; });
    deadline.cancel();
}

void Engine::abort() {
    for (const auto& pipeline : impl_->all()) pipeline->abort();
}

void Engine::on_all_ended(std::function<void()> handler) { impl_->all_ended_ = std::move(handler); }

void Engine::on_change(std::function<void(const Summary&, const checkpoints::Commit*)> observer) {
    const std::lock_guard lock(impl_->mutex_);
    impl_->observer_ = std::move(observer);
}

std::vector<Status> Engine::statuses() const {
    std::vector<Status> statuses;
    for (const auto& pipeline : impl_->all()) statuses.push_back(pipeline->status());
    return statuses;
}

std::vector<Summary> Engine::summaries() const {
    std::vector<Summary> summaries;
    for (const auto& pipeline : impl_->all()) summaries.push_back(pipeline->summary());
    return summaries;
}

std::shared_ptr<Pipeline> Engine::find(const std::string& name) const {
    const std::lock_guard lock(impl_->mutex_);
    const auto found = impl_->running_.find(name);
    return found == impl_->running_.end() ? nullptr : found->second.pipeline;
}

std::shared_ptr<const void> Engine::hold(const std::string& name) { return impl_->hold(name); }

kafka::PoolStats Engine::pool_stats() const { return impl_->consumers_.stats(); }

MemoryUse Engine::memory() const {
    const kafka::PoolStats pool = pool_stats();
    MemoryUse use{impl_->environment_.memory_max, pool.memory_max, pool.queued_bytes, pool.handed_bytes};
    for (const auto& pipeline : impl_->all()) use.sinks += pipeline->sink_memory();
    return use;
}

SourceFactory Engine::look_up_sources() {
    return [impl = impl_.get()](const config::Pipeline& config) {
        return make_kafka_source(config, impl->consumers_, impl->lookup_clients_);
    };
}

int Engine::exit_code() const {
    int code = 0;
    for (const auto& pipeline : impl_->all()) {
        if (pipeline->exit_code() == 1) return 1;
        code = std::max(code, pipeline->exit_code());
    }
    return code;
}

}  // namespace sluice::pipeline
