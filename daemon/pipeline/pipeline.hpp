#pragma once
// The trigger loop of one pipeline.

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/strand.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "checkpoints/store.hpp"
#include "daemon/config/config.hpp"
#include "daemon/pipeline/alarm.hpp"
#include "daemon/pipeline/dead_letters.hpp"
#include "daemon/pipeline/source.hpp"
#include "daemon/pipeline/status.hpp"
#include "daemon/sink/plugin.hpp"

namespace sluice::pipeline {

/// What all pipelines of a daemon share; outlives them.
struct Environment {
    boost::asio::any_io_executor io;
    // Blocking calls wait where they hold up only their like: a cluster that is away keeps a look-up for
    // seconds, and nobody's checkpoint with it.
    boost::asio::any_io_executor lookups;  ///< what asks the brokers
    boost::asio::any_io_executor disk;     ///< what calls the store
    boost::asio::any_io_executor workers;  ///< ranges and plugin calls
    checkpoints::Store& store;
    const Clock& clock;
    int worker_count = 1;
    std::uint64_t memory_max = 512ULL << 20;  ///< memoryMax
    std::atomic<std::uint64_t> sink_memory_max{0};  ///< what each pipeline's sink may buffer; 0: no bound
    std::atomic<int> busy{0};  ///< pipelines that run a batch: they share the workers
    /// After every change worth a metric; called on the pipeline's strand, must not block.
    std::function<void(const Summary&, const checkpoints::Commit*)> observer = {};
    AlarmFactory make_alarm = make_steady_alarm;  ///< what pauses are waited for with
    std::function<std::unique_ptr<DeadLetters>(const config::Pipeline&, std::uint64_t memory_max)> make_dead_letters =
        pipeline::make_dead_letters;
    std::function<std::uint32_t()> random_seed = {};  ///< of the jitter; empty: the machine's
};

/// Life: constructed, run() once, destroyed after run() has ended. Requests are safe from any thread;
/// everything else of it is confined to its strand. A crash loses nothing that is not in the store.
class Pipeline {
 public:
    Pipeline(Environment& environment, config::Pipeline config,
             std::shared_ptr<const sink::Plugin> plugin, SourceFactory make_source);
    ~Pipeline();
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    /// Runs until it is done (availableNow, once), given up, or stopped by shut_down(). A failed
    /// pipeline under processingTime waits here for `restart`. Never throws.
    boost::asio::awaitable<void> run();

    /// The strand run() must be spawned on.
    [[nodiscard]] const boost::asio::strand<boost::asio::any_io_executor>& strand() const;

    /// Starts nothing new; a running batch may commit. run() ends soon after it has.
    void shut_down();
    /// Aborts the running batch too; it is run again from its plan at the next start.
    void abort();

    /// Written down, so that it outlives a restart of the daemon; takes effect when the running batch
    /// has committed.
    void set_run_state(checkpoints::RunState state);
    /// Leaves FAILED or a back-off behind at once; otherwise reopens source and sink.
    void restart();

    /// For a change of its checkpoint by somebody else. At rest (PAUSED, STOPPED, FAILED, ended) it stays
    /// there until release(), whatever is asked of it meanwhile, but for its end; false while it does not
    /// rest. One holder at a time; safe from any thread.
    bool hold();
    void release();  ///< reads its ledger again: blocks on the disk

    [[nodiscard]] Status status() const;  ///< copies what is known of every partition
    [[nodiscard]] Summary summary() const;

    /// Bytes that its sink says it has buffered, and those of dead letters under way. Safe from any thread.
    [[nodiscard]] std::uint64_t sink_memory() const;

    /// What housekeeping found out of how long unread records last; shown by status() from now on.
    /// Safe from any thread.
    void set_headroom(std::map<plan::TopicPartition, Milliseconds> headroom);
    [[nodiscard]] const config::Pipeline& config() const;

    /// Why run() ended: 0 done or shut down, 1 failed, 75 gave up retrying.
    [[nodiscard]] int exit_code() const;
    [[nodiscard]] bool has_ended() const;

 private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::pipeline
