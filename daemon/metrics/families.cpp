#include "daemon/metrics/families.hpp"

#include <array>

#include "daemon/base/assert.hpp"

namespace sluice::metrics {
namespace {

constexpr auto family_count = static_cast<std::size_t>(Family::count_);

constexpr std::array<FamilyInfo, family_count> table{{
    {Family::build_info, "sluice_build_info", Type::gauge, "version commit",
     "Always 1; the labels say what is running."},
    {Family::pipeline_state, "sluice_pipeline_state", Type::gauge, "pipeline state",
     "1 for the state a pipeline is in, 0 for all others."},
    {Family::records, "sluice_records_total", Type::counter, "pipeline",
     "Records the sink kept, in batches that are committed."},
    {Family::bytes, "sluice_bytes_total", Type::counter, "pipeline",
     "Bytes of keys and values of the records read in batches that are committed."},
    {Family::batches, "sluice_batches_total", Type::counter, "pipeline outcome",
     "Attempts at batches that ended, by outcome. An aborted one is tried again, or the pipeline FAILED; abandoned: given up "
     "over data loss (failOnDataLoss: false)."},
    {Family::batch_duration, "sluice_batch_duration_seconds", Type::histogram, "pipeline phase",
     "Time spent in each phase of a batch. lease, fetch and write are those of all its ranges together: "
     "several workers are at work at once."},
    {Family::planned_offsets, "sluice_planned_offsets_total", Type::counter, "pipeline",
     "Offsets in the plans of batches that are committed: polled + gaps + lost."},
    {Family::polled_records, "sluice_polled_records_total", Type::counter, "pipeline",
     "Records seen by consumers inside the planned ranges: kept + filtered + dead-lettered."},
    {Family::gap_offsets, "sluice_gap_offsets_total", Type::counter, "pipeline",
     "Planned offsets without a visible record: compaction, aborted transactions, markers."},
    {Family::filtered_records, "sluice_filtered_records_total", Type::counter, "pipeline",
     "Records left out on purpose."},
    {Family::dead_letter_records, "sluice_dead_letter_records_total", Type::counter, "pipeline",
     "Records the sink rejected that went to the dead letters."},
    {Family::lost_records, "sluice_lost_records_total", Type::counter, "pipeline kind",
     "Offsets that were promised, can't be read any more and were stepped over, by the pipeline "
     "(failOnDataLoss: false) or by losses accept, by kind of loss; an upper bound."},
    {Family::unaccepted_losses, "sluice_unaccepted_losses", Type::gauge, "pipeline",
     "Entries of the loss ledger that wait for losses accept; absent until the ledger was read."},
    {Family::retries, "sluice_retries_total", Type::counter, "pipeline stage",
     "Attempts after the first one, by what failed and is tried again."},
    {Family::restarts, "sluice_restarts_total", Type::counter, "pipeline",
     "Starts of a pipeline by itself after it FAILED."},
    {Family::last_commit, "sluice_last_commit_timestamp_seconds", Type::gauge, "pipeline",
     "When the newest batch was committed, since 1970; absent before the first one."},
    {Family::backlog, "sluice_backlog_offsets", Type::gauge, "pipeline topic partition",
     "Offsets between the position and the partition's end; kept while paused or failed, absent "
     "while unknown."},
    {Family::position, "sluice_position_offset", Type::gauge, "pipeline topic partition",
     "The next offset to read, as checkpointed."},
    {Family::last_record, "sluice_last_record_timestamp_seconds", Type::gauge,
     "pipeline topic partition", "Timestamp of the newest record that was committed, since 1970."},
    {Family::retention_headroom, "sluice_retention_headroom_seconds", Type::gauge,
     "pipeline topic partition",
     "Time until retention.ms may delete unread records, at least; only while paused, failed or "
     "behind, absent while unknown; retention.bytes is not foreseen."},
    {Family::pool_hits, "sluice_consumer_pool_hits_total", Type::counter, "kind",
     "Leases served by a consumer that was there, by kind: standing at the range's start, "
     "unassigned, or moved from elsewhere."},
    {Family::pool_misses, "sluice_consumer_pool_misses_total", Type::counter, "",
     "Leases that had to make a new consumer."},
    {Family::pool_evictions, "sluice_consumer_pool_evictions_total", Type::counter, "",
     "Consumers closed to make room, or for idleness."},
    {Family::pool_size, "sluice_consumer_pool_size", Type::gauge, "", "Consumers there are now."},
    {Family::pool_unassigned, "sluice_consumer_pool_unassigned_total", Type::counter, "",
     "Idle consumers that gave up what they had fetched, so that memoryMax holds."},
    {Family::pool_memory_waits, "sluice_consumer_pool_memory_waits_total", Type::counter, "",
     "Leases that waited for memory although there was a consumer for them."},
    {Family::pool_closed, "sluice_consumer_pool_closed_total", Type::counter, "",
     "Consumers closed, for whatever reason."},
    {Family::pool_lifetime, "sluice_consumer_pool_lifetime_seconds_total", Type::counter, "",
     "Time that the closed consumers had lived, together."},
    {Family::memory_max, "sluice_memory_max_bytes", Type::gauge, "", "memoryMax."},
    {Family::memory_held, "sluice_memory_held_bytes", Type::gauge, "holder",
     "Who holds it: consumers (fetched, not read yet; an estimate), in_flight (chunks that sinks are writing, and what is done with and not freed yet) "
     "and sinks (in buffers of their own, as far as they say)."},
    {Family::refused_updates, "sluice_metrics_refused_updates_total", Type::counter, "",
     "Updates of partitions that have no series, because the limit of series was reached."},
    {Family::process_start, "process_start_time_seconds", Type::gauge, "",
     "When this process started, since 1970."},
    {Family::process_cpu, "process_cpu_seconds_total", Type::counter, "",
     "User and system time of this process."},
    {Family::process_resident, "process_resident_memory_bytes", Type::gauge, "",
     "Memory of this process that is in RAM."},
    {Family::process_open_fds, "process_open_fds", Type::gauge, "", "Open file descriptors."},
    {Family::process_max_fds, "process_max_fds", Type::gauge, "",
     "Most file descriptors this process may open."},
}};

constexpr bool in_order() {
    for (std::size_t i = 0; i < family_count; ++i) {
        if (table[i].family != static_cast<Family>(i)) return false;
    }
    return true;
}
static_assert(in_order(), "the table must list the families in the order of the enumeration");

}  // namespace

std::span<const FamilyInfo> families() noexcept { return table; }

const FamilyInfo& info(Family family) noexcept {
    SLUICE_ASSERT(family != Family::count_);
    return table[static_cast<std::size_t>(family)];
}

}  // namespace sluice::metrics
