#pragma once
// One batch, from begin to the sink's commit. What it answers is checkpointed by the caller.

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "checkpoints/store.hpp"
#include "daemon/base/result.hpp"
#include "daemon/pipeline/dead_letters.hpp"
#include "daemon/pipeline/phases.hpp"
#include "daemon/pipeline/refusals.hpp"
#include "daemon/pipeline/source.hpp"
#include "daemon/sink/sink.hpp"

namespace sluice::pipeline {

/// Where ranges of a re-run are read from when part of them is lost for good: range index → first
/// offset that still exists (its `until` when nothing does). What lies before is counted as lost.
using Adjustments = std::map<std::size_t, std::int64_t>;

/// The partitions' leader epochs when their ends were looked up.
using LeaderEpochs = std::map<plan::TopicPartition, std::int32_t>;

/// What the outside may look at while a batch runs. Written by workers, read by anyone.
struct BatchProgress {
    std::atomic<std::uint64_t> polled{0};
    std::atomic<std::int64_t> moved_at_ms{0};  ///< steady clock: the last sign of life
    std::atomic<const char*> doing{""};        ///< "sink begin", "read and write", "sink commit"
    std::atomic<Stage> stage{Stage::sink_begin};  ///< where it is, or failed
    bool begun = false;       ///< the sink said OK to begin(), in any attempt. [strand]
    bool is_foreign = false;  ///< the sink has it, from nobody here: foreign_batch.hpp. [strand]
};

/// What happens to records the sink refuses.
struct RefusalPolicy {
    Refusals& refusals;             ///< of this batch; those known before are left out from the start
    DeadLetters* letters = nullptr;  ///< null: the first refused record stops the pipeline
    /// Writes down what was refused, before the sink commits.
    std::function<Result<void>(const std::vector<checkpoints::RefusedRecord>&)> store;
};

struct BatchRequest {
    std::string pipeline;
    std::string sink_name;  ///< of the pipeline, for its sink: checkpoints::PipelineState::sink_name
    const checkpoints::Plan& plan;
    bool is_rerun = false;
    const Adjustments& adjustments;
    const LeaderEpochs& leader_epochs;  ///< empty for a plan of an earlier process
    const RefusalPolicy& refusal;
    std::size_t lanes = 1;  ///< ranges worked on at the same time
    bool may_be_committed = is_rerun;  ///< else a sink that has it before it was begun is not believed
    std::size_t write_retries = 3;  ///< RETRY from a write is tried again in place so often, briefly
    /// Asked when everything is read and before the sink commits: were the records those of the topics
    /// that were planned? Its error aborts the batch. Empty: nobody asks.
    std::function<boost::asio::awaitable<Result<void>>()> before_commit{};
};

struct BatchOutcome {
    checkpoints::Commit commit;
    std::optional<std::string> receipt;  ///< nullopt: the sink said nothing new
    std::map<plan::TopicPartition, plan::Position> positions;  ///< after the batch
    std::map<plan::TopicPartition, std::int64_t> last_timestamps_ms;  ///< where there was a record
    PhaseTimes times;  ///< those from the sink's begin to its commit
};

/// The plan in a sink's terms, with the tokens of its ranges.
sink::Batch as_sink_batch(const std::string& sink_name, const checkpoints::Plan& plan, bool is_rerun);

/// What to checkpoint for a batch that the sink has, and that nobody counted.
BatchOutcome recovered_outcome(const checkpoints::Plan& plan, std::string receipt, WallTime now);

/// begin → [read → write] × ranges, `lanes` at a time → refused records are safe → commit. On any error the batch is aborted
/// before the error is returned, so that nothing of it is visible and it can be run again.
///
/// A batch that the sink already has is read once more without writing, to count it; when it can't
/// be read any more (or its topics are others now) its state is `recovered`. A batch whose books do not balance is not committed.
///
/// Errors: retriable ones (broker, sink RETRY) mean "again, the same plan"; `out_of_range` means
/// "gather the facts"; `data_loss` never; `fatal` (the sink's word, or a broken contract) stops.
boost::asio::awaitable<Result<BatchOutcome>> run_batch(boost::asio::any_io_executor workers,
                                                       Source& source, sink::Sink& sink,
                                                       BatchRequest request, BatchProgress& progress,
                                                       const Clock& clock, std::stop_token stop);

}  // namespace sluice::pipeline
