#pragma once
// All pipelines of one daemon: started from a configuration, changed by a reload, stopped together.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoints/store.hpp"
#include "daemon/config/config.hpp"
#include "daemon/kafka/consumer_pool.hpp"
#include "daemon/pipeline/pipeline.hpp"

namespace sluice::pipeline {

using Plugins = std::map<std::string, std::shared_ptr<const sink::Plugin>>;

/// How long a sink may take to come back once its pipeline was aborted: what sink.h says of `stopping`.
inline constexpr Milliseconds sink_patience{10'000};

/// Confined to the io_context's thread, but for statuses(), summaries(), find() and hold(), which are safe from any.
class Engine {
 public:
    /// `store` and `clock` outlive it.
    Engine(boost::asio::any_io_executor io, const config::Config& config, checkpoints::Store& store,
           const Clock& clock = system_clock());
    ~Engine();

    /// Starts every pipeline of the configuration. Call once.
    void start(const config::Config& config, const Plugins& plugins);

    /// Makes the running pipelines those of `config`: new ones start, removed ones stop (their
    /// checkpoints stay), changed ones stop after their running batch and start again. Unchanged ones
    /// do not notice. Batches that run on are aborted after shutdownTimeout. Ends when that is done, or when a
    /// sink has not come back for as long as one may take after that (10 s): answers the names of those that
    /// still leave. Each of them that is to go on starts once it has ended.
    boost::asio::awaitable<std::vector<std::string>> reload(const config::Config& config, const Plugins& plugins);
    /// Ends the pipelines of these names, as reload() does with those that are removed, so that their
    /// checkpoints can be given other names; a reload follows. They stay held while what is returned is kept.
    /// Errors: `locked` where somebody holds one of them, or one does not end.
    boost::asio::awaitable<Result<std::vector<std::shared_ptr<const void>>>> end(const std::vector<std::string>& names,
                                                                                 Milliseconds timeout);

    /// Starts nothing new; gives running batches `timeout` to commit, then aborts the rest. Ends when
    /// every pipeline has ended. A second call aborts at once.
    boost::asio::awaitable<void> stop(Milliseconds timeout);
    void abort();

    /// Called on the io_context when the last pipeline has ended by itself (done or given up).
    void on_all_ended(std::function<void()> handler);

    [[nodiscard]] std::vector<Status> statuses() const;
    [[nodiscard]] std::vector<Summary> summaries() const;  ///< cheaper: without partitions
    [[nodiscard]] std::shared_ptr<Pipeline> find(const std::string& name) const;
    /// For a change of a pipeline's checkpoint: until what is returned is destroyed, the pipeline of that
    /// name stays at rest, or is not started: a reload starts it afterwards. Null while it does not rest.
    [[nodiscard]] std::shared_ptr<const void> hold(const std::string& name);
    [[nodiscard]] kafka::PoolStats pool_stats() const;
    [[nodiscard]] MemoryUse memory() const;

    /// Sources that only ask, over the clients that the pipelines ask with; they must be gone before this is.
    [[nodiscard]] SourceFactory look_up_sources();

    /// 0; 1 when a pipeline FAILED; 75 when one gave up retrying (1 wins).
    [[nodiscard]] int exit_code() const;

    /// After every change of a pipeline worth a metric; any thread, must not block.
    void on_change(std::function<void(const Summary&, const checkpoints::Commit*)> observer);

 private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::pipeline
