#pragma once
// One range of a batch on one worker: open a writer, read into it, close it, keep the books.

#include <chrono>
#include <stop_token>

#include "checkpoints/store.hpp"
#include "daemon/base/result.hpp"
#include "daemon/pipeline/batch_run.hpp"
#include "daemon/pipeline/source.hpp"
#include "daemon/sink/sink.hpp"

namespace sluice::pipeline {

struct RangeOutcome {
    checkpoints::RangeBooks books;
    std::int32_t last_leader_epoch = -1;  ///< as in kafka::RangeCounts
    std::int64_t last_offset = -1;        ///< as in kafka::RangeCounts
    std::optional<std::int64_t> last_timestamp_ms;
    std::chrono::nanoseconds leasing{};
    std::chrono::nanoseconds fetching{};
    std::chrono::nanoseconds writing{};
};

struct RangeRequest {
    const checkpoints::Plan& plan;
    const plan::PlannedRange& range;  ///< of the plan, at `index`
    const std::string& pipeline;
    std::uint32_t index = 0;
    std::int64_t start = 0;   ///< range.from, or later when what lies before is lost
    bool read_on = true;
    bool writes = true;       ///< false: only counted, because the sink already has the batch
    std::string token;
    std::size_t write_retries = 3;
    const RefusalPolicy& refusal;
};

/// Blocks on a worker. Errors as in run_batch; the writer is closed whatever happens.
Result<RangeOutcome> run_range(Source& source, sink::Sink& sink, const RangeRequest& request,
                               BatchProgress& progress, const Clock& clock,
                               const std::stop_token& stop);

/// REJECT that loses the batch, as an error: notes what was refused, so that the next attempt leaves it
/// out. Fatal where no record may be refused; retriable after back-off when the sink named none.
Error lose_batch(std::string_view call, const std::string& message,
                 const std::vector<sink::Refused>& refused, const RefusalPolicy& refusal,
                 const std::string& pipeline, const checkpoints::Plan& plan);

/// A sink's answer as an error: RETRY is retriable, everything else but OK is fatal.
Error sink_error(std::string_view call, const std::string& message, sink::Status status);

}  // namespace sluice::pipeline
