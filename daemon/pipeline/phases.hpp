#pragma once
// Where the time of a batch went, and where one failed.

#include <chrono>

namespace sluice::pipeline {

/// What failed and is tried again. A sink's `open`, and its close of a writer, are open and sink_write.
enum class Stage { open, look_up, read, sink_begin, sink_write, sink_commit, checkpoint };

/// 0 where a phase did not happen: a plan that is run again was not planned by this process.
struct PhaseTimes {
    using Time = std::chrono::nanoseconds;

    Time initial_offsets{};  ///< startingOffsets against the cluster: once, before the first batch
    Time latest_offsets{};   ///< the subscription's partitions, their ends and ids
    Time plan{};             ///< data loss, minimum, cap
    Time split{};            ///< into ranges
    // Of all ranges together, so these are times of workers, of which several are at work at once.
    Time lease{};            ///< until a consumer stood at the start of a range
    Time fetch{};            ///< in librdkafka: waiting for records, and taking them over
    Time write{};            ///< in the sink's writers
    Time read{};             ///< from the sink's begin until everything was read and written
    Time sink_commit{};
    Time checkpoint{};       ///< PLAN and COMMIT, synced
    Time total{};            ///< from the sink's begin to its commit
};

}  // namespace sluice::pipeline
