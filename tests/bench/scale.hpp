#pragma once
// What a trigger costs as partitions grow: planning, what the checkpoint writes for it, and all of it.

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

struct PipelineCost {
    double wall_ms = 0;  ///< from one trigger to the next, its batch of `busy` records committed
    double cpu_ms = 0;   ///< of the process for it
    double scrape_ms = 0;  ///< of the metrics, afterwards
};

/// The same with a whole pipeline around it: look-up (of a Kafka in memory, which costs next to nothing),
/// plan, batch, checkpoint, status and metrics. Throws.
PipelineCost cost_of_pipeline(const std::filesystem::path& folder, std::int32_t partitions, std::int32_t busy,
                              int triggers);

}  // namespace sluice::bench
