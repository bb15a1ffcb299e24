#pragma once
// What a trigger costs as partitions grow: planning, and what the checkpoint writes for it.

#include <cstdint>
#include <filesystem>

namespace sluice::bench {

struct TriggerCost {
    double plan_ms = 0;           ///< by the planner
    double store_ms = 0;          ///< PLAN and COMMIT, synced
    double written_kib = 0;       ///< by both, to the checkpoints' log
};

/// One trigger of a pipeline with `partitions` partitions, of which `busy` have records to read; the mean of
/// `triggers`. Without a broker; the checkpoints go below `folder`. Throws.
TriggerCost cost_of_trigger(const std::filesystem::path& folder, std::int32_t partitions, std::int32_t busy,
                            int triggers);

}  // namespace sluice::bench
