#pragma once
// Reads one range to its exact end, through gaps, control records and ends of partitions.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/kafka/consumer_pool.hpp"
#include "daemon/plan/types.hpp"
#include "sluice/sink.h"

namespace sluice::kafka {

/// Takes records of the range in ascending order; they are borrowed until it returns. None at all: a
/// stretch without visible records (aborted ones) is being passed. An error ends the reading with that error.
using RecordHandler = std::function<Result<void>(std::span<const sluice_record>)>;

/// A place where the reading went on with another consumer, and under a newer leader than before it: the log may have been
/// truncated below it meanwhile (find_truncations), which an assignment does not notice.
struct Doubt {
    std::int64_t offset = 0;         ///< the first one that the new consumer read
    std::int32_t leader_epoch = -1;  ///< of the record before it
};

struct RangeCounts {
    std::uint64_t polled = 0;  ///< records handed over
    std::uint64_t gaps = 0;    ///< offsets without a visible record
    std::uint64_t bytes = 0;   ///< keys and values handed over
    std::int32_t first_leader_epoch = -1;  ///< of the first record; -1 when unknown
    std::int32_t last_leader_epoch = -1;   ///< of the last record; -1 when unknown
    std::int64_t last_offset = -1;         ///< of the last record; -1 when there is none
    std::optional<std::int64_t> last_timestamp_ms;
    std::vector<Doubt> doubts;             ///< nearly always none; for the caller to look into
    std::chrono::nanoseconds leasing{};   ///< until a consumer stood at the range's start; by whoever leased it
    std::chrono::nanoseconds fetching{};  ///< in librdkafka, waiting and taking over
};

struct ReadOptions {
    std::size_t chunk_records = 1000;      ///< records handed over together, at most
    std::uint64_t chunk_bytes = 2U << 20;  ///< about; by the size of the records before. One is always handed over
    Milliseconds poll_timeout{20};         ///< no call waits longer before it looks at `stop`
    Milliseconds tail_timeout{5};          ///< the same where less than a chunk is left: gaps never arrive
    Milliseconds progress_timeout{120'000};  ///< nothing at all for so long: `unavailable`, retriable
    Milliseconds short_end_timeout{5'000};   ///< the partition ends before `until` for so long: `out_of_range`
    bool read_on = true;                   ///< Lease::finish
};

/// Blocks until the range is read. `gaps + polled == until - from` when it succeeds.
///
/// Done when a delivered offset reaches until - 1; or the next one is beyond; or the position has
/// passed `until` (control and aborted records at the tail never arrive); or the partition ends at or
/// after `until`. What a call returned beyond `until` stays with the consumer for the next range.
///
/// Errors: `out_of_range` when `from` can't be read there (below the earliest, beyond the end, or a
/// truncated log: librdkafka reports all three alike, so facts must be gathered again to know);
/// `unavailable` (retriable) without progress; `stopping`; what `handler` returned. After any error
/// the consumer is closed by its lease.
Result<RangeCounts> read_range(Lease& lease, const plan::OffsetRange& range,
                               const ReadOptions& options, const RecordHandler& handler,
                               const std::stop_token& stop, const Clock& clock = system_clock());

}  // namespace sluice::kafka
