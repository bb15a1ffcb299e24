#pragma once
// Every metric there is, declared once: name, type, labels, help. Names never change under a
// configuration switch, because dashboards and alerts are written against them.

#include <cstddef>
#include <span>
#include <string_view>

namespace sluice::metrics {

enum class Type { counter, gauge, histogram };

/// In the order of the exposition.
enum class Family : std::size_t {
    build_info,
    pipeline_state,
    records,
    bytes,
    batches,
    batch_duration,
    planned_offsets,
    polled_records,
    gap_offsets,
    filtered_records,
    dead_letter_records,
    lost_records,
    unaccepted_losses,
    retries,
    restarts,
    last_commit,
    backlog,
    position,
    last_record,
    retention_headroom,
    pool_hits,
    pool_misses,
    pool_evictions,
    pool_size,
    pool_unassigned,
    pool_memory_waits,
    pool_closed,
    pool_lifetime,
    memory_max,
    memory_held,
    refused_updates,
    process_start,
    process_cpu,
    process_resident,
    process_open_fds,
    process_max_fds,
    count_,
};

struct FamilyInfo {
    Family family;
    std::string_view name;
    Type type;
    std::string_view labels;  ///< names, separated by one space; "" for none
    std::string_view help;
};

/// One entry per Family, in its order. For the reference page, and for tests.
std::span<const FamilyInfo> families() noexcept;
const FamilyInfo& info(Family family) noexcept;

}  // namespace sluice::metrics
