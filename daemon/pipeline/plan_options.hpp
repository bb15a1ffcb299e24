#pragma once
// From a pipeline's configuration and what its batches showed to the planner's options: one function
// for the trigger that runs and for the one that is only shown (`sluice plan`). Pure.

#include <cstdint>
#include <map>
#include <optional>
#include <span>

#include "checkpoints/store.hpp"
#include "daemon/config/config.hpp"
#include "daemon/plan/planner.hpp"

namespace sluice::pipeline {

/// What committed batches showed: exponentially weighted means, the newest counting most.
struct Observed {
    std::optional<double> records_per_second;
    std::optional<double> mean_bytes;  ///< of a record

    void learn(const checkpoints::Commit& commit);
};

/// Offsets between positions and ends; partitions without a position count from their earliest.
/// `facts` sorted.
std::uint64_t known_backlog(const std::map<plan::TopicPartition, plan::Position>& positions,
                            std::span<const plan::PartitionFacts> facts);

/// What a batch may use of the process.
struct Capacity {
    int workers = 1;
    std::uint64_t memory_max = 512ULL << 20;  ///< memoryMax
};

/// `backlog` is what the trigger finds before any cap, in offsets.
plan::PlanOptions plan_options(const config::Pipeline& config, std::uint64_t backlog, const Capacity& capacity,
                               const Observed& observed);

}  // namespace sluice::pipeline
