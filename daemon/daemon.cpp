#include "daemon/daemon.hpp"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <iostream>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "checkpoints/store.hpp"
#include "daemon/api/routes.hpp"
#include "daemon/base/log.hpp"
#include "daemon/checkpoint_guard.hpp"
#include "daemon/config/config.hpp"
#include "daemon/control/server.hpp"
#include "daemon/kafka/cluster.hpp"
#include "daemon/metrics/metrics.hpp"
#include "daemon/metrics_bridge.hpp"
#include "daemon/pipeline/engine.hpp"
#include "daemon/pipeline/run_on.hpp"
#include "daemon/service/last_resort.hpp"
#include "daemon/service/notify.hpp"

namespace sluice {
namespace {

namespace asio = boost::asio;

config::Loaded load_configuration(const DaemonOptions& options) {
    config::LoadOptions load;
    load.data_dir = options.data_dir;
    load.plugin_dir = options.plugin_dir;
    load.refuse_kafka_property = [](std::string_view name, std::string_view value) {
        return kafka::refuse_property(name, value);
    };
    return config::load(options.config, load);
}

void print_findings(const config::Loaded& loaded) {
    for (const config::Finding& finding : loaded.findings) {
        std::cerr << (finding.is_error ? "error: " : "warning: ") << config::to_string(finding) << '\n';
    }
}

int fail(const Error& error) {
    log::error("cannot start", {{"code", name_of(error.code)}, {"error", error.message}});
    return exit_code(error.code);
}

/// Below this much, what is freed goes back to the system at once.
constexpr std::uint64_t memory_max_tight = 256ULL << 20;

/// glibc's malloc keeps what is freed, in arenas of its own for each thread, and raises the size from which it
/// does not by what it saw: fetches of a megabyte, decompressed, left 100 MiB behind where 30 were in use. Where
/// memoryMax is larger, what is left behind is small beside it, and to map each fetch anew costs a quarter
/// of the speed of compressed records.
///
/// Records are freed by another thread than the one that fetched them: where two clients' fetching threads share an arena,
/// all four wait for each other, at half the speed. Each arena may leave some 10 MiB behind (64 busy pipelines: 632 MiB with
/// 64 arenas, 455 with 32, 393 with 16), so that there are as many as memoryMax has room for.
void bound_malloc(std::uint64_t memory_max) {
    constexpr std::uint64_t for_each_arena = 16ULL << 20;
    mallopt(M_ARENA_MAX, static_cast<int>(std::clamp<std::uint64_t>(memory_max / for_each_arena, 4, 64)));
    if (memory_max < memory_max_tight) mallopt(M_MMAP_THRESHOLD, 128 << 10);
}

std::string host_name() {
    char name[256] = "";
    if (gethostname(name, sizeof name - 1) != 0) return "localhost";
    return name;
}

/// Opening replays RocksDB's log, which can take long after a power loss: systemd is told to wait.
Result<std::unique_ptr<checkpoints::Store>> open_store_patiently(
    const std::filesystem::path& data_dir, const service::Notifier& notifier) {
    std::jthread extender([&notifier](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any never;
        while (!stop.stop_requested()) {
            notifier.extend_timeout(std::chrono::seconds{30});
            std::unique_lock lock(mutex);
            (void)never.wait_for(lock, stop, std::chrono::seconds{10}, [] { return false; });
        }
    });
    return checkpoints::open_store(data_dir);
}

/// Everything that lives as long as the io_context runs.
class Daemon {
 public:
    Daemon(const DaemonOptions& options, const service::Notifier& notifier, config::Loaded loaded,
           std::unique_ptr<checkpoints::Store> store)
        : options_(options),
          notifier_(notifier),
          config_(std::make_shared<const config::Config>(*std::move(loaded.config))),
          plugins_(std::move(loaded.plugins)),
          store_(std::move(store)),
          metrics_({.version = SLUICE_VERSION, .commit = SLUICE_COMMIT}),
          engine_(io_.get_executor(), *config_, *store_),
          router_pool_(2),
          signals_(io_, SIGTERM, SIGINT, SIGHUP),
          watchdog_(io_) {}

    ~Daemon() { router_pool_.join(); }

    Result<void> open_doors() {
        control::Router router(config_->http_write == "open" ? control::TcpWrites::open
                                                             : control::TcpWrites::refused);
        api::ApiContext context{.store = *store_,
                                .config = [this] { return configuration(); },
                                .blocking = router_pool_};
        context.live = api::live(engine_);
        context.make_source = engine_.look_up_sources();
        context.reload = [this] { return reload(); };
        context.metrics = [this] {
            bridge_.sample(engine_.statuses(), engine_.pool_stats(), engine_.memory());
            return metrics_.exposition();
        };
        context.version = SLUICE_VERSION;
        context.commit = SLUICE_COMMIT;
        api::add_routes(router, std::move(context));
        server_ = std::make_unique<control::Server>(io_.get_executor(), std::move(router));
        SLUICE_CHECK(server_->listen_unix(config_->control_socket));
        if (config_->http_listen) {
            SLUICE_CHECK(server_->listen_tcp(*config_->http_listen));
            log::info("listening", {{"http", *config_->http_listen}, {"port", server_->tcp_port()}});
        }
        return {};
    }

    int run() {
        engine_.on_all_ended([this] { begin_stop("every pipeline is done"); });
        engine_.on_change([this](const pipeline::Summary& summary, const checkpoints::Commit* commit) {
            bridge_.observe(summary, commit);
        });
        wait_for_signal();
        asio::co_spawn(io_, watch(), asio::detached);
        engine_.start(*config_, plugins_);
        notifier_.ready(summary());
        log::info("ready", {{"version", SLUICE_VERSION},
                            {"pipelines", config_->pipelines.size()},
                            {"pid", getpid()}});
        io_.run();
        return engine_.exit_code();
    }

 private:
    void wait_for_signal() {
        signals_.async_wait([this](const boost::system::error_code& cancelled, int signal) {
            if (cancelled) return;
            if (signal == SIGHUP) {
                asio::co_spawn(io_, reload_by_signal(), asio::detached);
            } else if (stopping_) {
                log::warning("second signal: running batches are aborted");
                engine_.abort();
            } else {
                begin_stop(signal == SIGTERM ? "SIGTERM" : "SIGINT");
            }
            wait_for_signal();
        });
    }

    asio::awaitable<void> reload_by_signal() {
        const auto result = co_await reload();
        if (!result) log::error("reload refused", {{"error", result.error().message}});
        if (result && !result->applied) {
            for (const config::Finding& finding : result->findings) {
                log::error("reload refused; the old configuration stays",
                           {{"finding", config::to_string(finding)}});
            }
        }
    }

    void begin_stop(const char* why) {
        if (stopping_) return;
        stopping_ = true;
        log::info("stopping", {{"why", why}});
        notifier_.stopping();
        last_resort_.arm(config_->shutdown_timeout + pipeline::sink_patience, [this] { return running(); });
        asio::co_spawn(io_, stop(), asio::detached);
    }

    /// No new triggers → running batches commit or are aborted → sinks → consumers → doors.
    asio::awaitable<void> stop() {
        co_await engine_.stop(config_->shutdown_timeout);
        co_await server_->stop(Milliseconds{2000});
        signals_.cancel();
        watchdog_.cancel();
    }

    /// Takes a new configuration whole, or not at all.
    asio::awaitable<Result<api::Reloaded>> reload() {
        if (stopping_) co_return Error{ErrorCode::stopping, "the daemon is stopping"};
        if (reloading_) co_return Error{ErrorCode::locked, "another reload is running", true};
        reloading_ = true;
        notifier_.reloading();
        auto result = co_await reload_now();
        reloading_ = false;
        if (!stopping_) notifier_.ready(summary());
        co_return result;
    }

    asio::awaitable<Result<api::Reloaded>> reload_now() {
        auto read = co_await pipeline::run_on(
            router_pool_.get_executor(), [this]() -> Result<config::Loaded> { return load_configuration(options_); });
        if (!read) co_return std::move(read).error();
        api::Reloaded answer{false, read->findings};
        if (!read->config) co_return answer;
        auto next = std::make_shared<const config::Config>(*std::move(read->config));
        if (auto fixed = changed_for_restart_only(*next); !fixed.empty()) {
            answer.findings.push_back({options_.config.string(), 0, 0, fixed,
                                       "cannot change while the daemon runs: restart it", true});
            co_return answer;
        }
        auto renames = co_await pipeline::run_on(
            router_pool_.get_executor(), [&] { return match_checkpoint(*store_, *next); });
        if (!renames) co_return std::move(renames).error();
        if (auto renamed = co_await rename(*renames); !renamed) co_return std::move(renamed).error();
        {
            const std::lock_guard lock(config_mutex_);
            config_ = next;
        }
        plugins_ = std::move(read->plugins);
        const std::vector<std::string> leaving = co_await engine_.reload(*next, plugins_);
        for (const std::string& late : leaving) {
            const std::string text = "has not ended: its sink has not come back from a call, or a command is at its "
                                     "checkpoint. What this configuration says of it holds once it has";
            log::warning("reload: goes on without a pipeline", {{"pipeline", late}, {"reason", text}});
            answer.findings.push_back({options_.config.string(), 0, 0, "pipeline '" + late + "'", text, false});
        }
        log::info("reloaded", {{"pipelines", next->pipelines.size()}});
        answer.applied = true;
        co_return answer;
    }

    /// Nobody may be using a checkpoint whose name changes: its pipeline ends first. When that fails, the old
    /// configuration goes on.
    asio::awaitable<Result<void>> rename(const std::vector<Rename>& renames) {
        if (renames.empty()) co_return Result<void>{};
        std::vector<std::string> names;
        for (const Rename& rename : renames) names.push_back(rename.from);
        Result<void> renamed;
        {
            const auto holds = co_await engine_.end(names, config_->shutdown_timeout);
            if (holds) {
                renamed = co_await pipeline::run_on(router_pool_.get_executor(),
                                                    [&] { return carry_out(*store_, renames); });
            } else {
                renamed = holds.error();
            }
        }
        if (!renamed) (void)co_await engine_.reload(*config_, plugins_);
        co_return renamed;
    }

    [[nodiscard]] std::shared_ptr<const config::Config> configuration() const {
        const std::lock_guard lock(config_mutex_);
        return config_;
    }

    [[nodiscard]] std::string changed_for_restart_only(const config::Config& next) const {
        if (next.data_dir != config_->data_dir) return "dataDir";
        if (next.http_listen != config_->http_listen || next.http_write != config_->http_write) return "http";
        if (next.control_socket != config_->control_socket) return "controlSocket";
        if (next.workers != config_->workers) return "workers";
        if (next.memory_max != config_->memory_max) return "memoryMax";
        if (next.consumers_capacity != config_->consumers_capacity ||
            next.consumers_idle_timeout != config_->consumers_idle_timeout) {
            return "consumers";
        }
        return {};
    }

    /// The watchdog follows the io_context alone, on which all that waits is woken. Never a batch, a sink or
    /// a pool: one that hangs is STALLED, or an operator's command that waits, and no reason to kill the daemon.
    asio::awaitable<void> watch() {
        const auto interval = notifier_.watchdog_interval();
        const auto beat = interval ? *interval : std::chrono::microseconds{10'000'000};
        while (!stopping_) {
            if (interval) notifier_.watchdog();
            notifier_.status(summary());
            watchdog_.expires_after(beat);
            boost::system::error_code cancelled;
            co_await watchdog_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
        }
    }

    /// [any thread]
    [[nodiscard]] std::string running() const {
        std::string names;
        for (const pipeline::Summary& one : engine_.summaries()) {
            const auto running = engine_.find(one.name);
            if (running && !running->has_ended()) names += (names.empty() ? "" : ", ") + one.name;
        }
        return names.empty() ? "a command" : names;
    }

    [[nodiscard]] std::string summary() const {
        std::map<std::string_view, int> counts;
        std::string trouble;
        for (const pipeline::Summary& one : engine_.summaries()) {
            ++counts[name_of(one.state)];
            if (trouble.empty() && !one.reason.empty()) trouble = one.name + ": " + one.reason;
        }
        std::string text;
        for (const auto& [state, count] : counts) {
            text += (text.empty() ? "" : ", ") + std::to_string(count) + ' ' + std::string(state);
        }
        if (!trouble.empty()) text += "; " + trouble.substr(0, 200);
        return text;
    }

    const DaemonOptions options_;
    const service::Notifier& notifier_;
    mutable std::mutex config_mutex_;  ///< HTTP handlers look at the configuration from their pool
    std::shared_ptr<const config::Config> config_;
    pipeline::Plugins plugins_;
    std::unique_ptr<checkpoints::Store> store_;
    metrics::Metrics metrics_;
    MetricsBridge bridge_{metrics_};
    asio::io_context io_;
    pipeline::Engine engine_;
    asio::thread_pool router_pool_;
    asio::signal_set signals_;
    asio::steady_timer watchdog_;
    std::unique_ptr<control::Server> server_;
    bool stopping_ = false;
    bool reloading_ = false;
    service::LastResort last_resort_;  ///< gone before the engine that it asks
};

}  // namespace

int run_daemon(const DaemonOptions& options) {
    const service::Notifier notifier = service::Notifier::from_environment();
    config::Loaded loaded = load_configuration(options);
    print_findings(loaded);
    if (!loaded.config) return exit_code(ErrorCode::configuration);
    const config::Config& config = *loaded.config;
    if (options.check_only) {
        std::cout << options.config.string() << ": " << config.pipelines.size() << " pipelines, all good\n";
        return 0;
    }

    bound_malloc(config.memory_max);
    auto lock = checkpoints::DirectoryLock::acquire(
        config.data_dir, {getpid(), host_name(), config.control_socket.string()});
    if (!lock) return fail(lock.error());
    auto store = open_store_patiently(config.data_dir, notifier);
    if (!store) return fail(store.error());
    auto renames = match_checkpoint(**store, config);
    if (!renames) return fail(renames.error());
    if (auto renamed = carry_out(**store, *renames); !renamed) return fail(renamed.error());

    Daemon daemon(options, notifier, std::move(loaded), *std::move(store));
    if (auto opened = daemon.open_doors(); !opened) return fail(opened.error());
    const int code = daemon.run();
    log::info("stopped", {{"exit", code}});
    return code;
}

}  // namespace sluice
