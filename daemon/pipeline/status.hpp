#pragma once
// What a pipeline says of itself. RUNNING is said only of what moves.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/error.hpp"
#include "daemon/pipeline/phases.hpp"
#include "daemon/plan/data_loss.hpp"
#include "daemon/plan/types.hpp"

namespace sluice::pipeline {

enum class State {
    starting,   ///< contacting the cluster and the sink, up to the first trigger's look-up
    running,    ///< a batch is being read and written, or backlog is waiting for a trigger that is not overdue
    caught_up,  ///< everything there was at the last trigger is committed
    retrying,   ///< something failed or was refused that may pass; retry_at says when it is tried again, none while it is
    stalled,    ///< nothing has moved for `stalledAfter` (a minute): in the open batch, or before one, with a trigger overdue
    paused,
    stopped,
    failed,     ///< given up; `reason` says what to do, retry_at when it starts again by itself, if it does
    done,       ///< availableNow or once: everything asked for is committed
};
/// "STARTING", "RUNNING", "CAUGHT_UP" …
std::string_view name_of(State state) noexcept;

struct PartitionStatus {
    std::int64_t position = 0;
    std::optional<std::int64_t> latest;  ///< at the last trigger; none before the first
    std::optional<std::int64_t> last_record_ms;  ///< timestamp of the last record committed by this process
};

/// A pipeline as a whole: as large for many partitions as for one.
struct Summary {
    std::string name;
    State state = State::starting;
    std::string reason;  ///< why retrying, stalled or failed; empty otherwise
    std::optional<ErrorCode> error_code;
    WallTime since{};    ///< of the state
    int attempt = 0;     ///< of the step that is retried; of the restart, when FAILED
    std::optional<WallTime> retry_at;
    std::optional<WallTime> next_trigger;
    std::optional<std::uint64_t> batch_id;      ///< the one being run
    std::uint64_t batch_offsets = 0;            ///< planned for it
    std::uint64_t batch_polled = 0;             ///< records read of it so far
    std::optional<std::uint64_t> last_committed;
    std::optional<WallTime> last_commit_at;
    std::uint64_t records_committed = 0;        ///< since the process started
    std::uint64_t bytes_committed = 0;
    std::uint64_t batches_committed = 0;
    std::uint64_t batches_aborted = 0;          ///< attempts that failed; each is followed by another one, or by FAILED
    std::uint64_t batches_abandoned = 0;        ///< given up over data loss (failOnDataLoss: false)
    std::map<Stage, std::uint64_t> retries;     ///< since the process started, like all of these
    std::map<plan::LossKind, std::uint64_t> records_lost;  ///< accepted, by it or an operator; since the process started
    std::optional<std::uint64_t> unaccepted_losses;  ///< ledger entries that wait for an operator; none: not read yet
    std::uint64_t records_dead_lettered = 0;
    PhaseTimes phases;                          ///< of the batch that was committed last
    std::uint64_t restarts = 0;                 ///< after a failure, by itself; since the process started
    std::optional<std::uint64_t> backlog;       ///< offsets, as of the last trigger, minus what was committed since; none before it
    std::string plugin;
    std::string guarantee;  ///< of the sink with its options: "exactly-once" …
    std::string cluster_id;
};

struct Status : Summary {
    std::map<plan::TopicPartition, PartitionStatus> partitions;
    /// How long at least what lies unread is kept; without partitions where that is unknown, or where
    /// nothing is unread. Looked up once a minute while reads_too_little().
    std::map<plan::TopicPartition, Milliseconds> headroom;
};

/// Who holds what `memoryMax` bounds, as far as it is counted; in bytes.
struct MemoryUse {
    std::uint64_t max = 0;            ///< memoryMax
    std::uint64_t consumers_max = 0;  ///< the consumers' part of it
    std::uint64_t consumers = 0;      ///< fetched and not read yet; an estimate
    std::uint64_t in_flight = 0;      ///< in chunks that sinks are writing, or that are done with and not freed yet
    std::uint64_t sinks = 0;          ///< in buffers of the sinks' own, as far as they say so
};

/// Whether unread records may grow old: retention has to be watched. Not of a pipeline that keeps up.
bool reads_too_little(const Summary& summary) noexcept;

}  // namespace sluice::pipeline
