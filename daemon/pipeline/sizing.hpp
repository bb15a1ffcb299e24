#pragma once
// What to write for the options that size a batch, from what its batches showed. Pure; by the functions
// that `auto` goes by.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/pipeline/plan_options.hpp"

namespace sluice::pipeline {

struct SizingInput {
    Observed observed;          ///< of the batches on record
    std::uint64_t backlog = 0;  ///< offsets, before any cap
    Capacity capacity;
};

struct Advice {
    std::string option;                 ///< as written under source
    std::optional<std::int64_t> value;  ///< nullopt: better left out
    std::string why;                    ///< one sentence
};

/// maxOffsetsPerTrigger, maxRecordsPerPartition and minPartitions, in this order.
std::vector<Advice> advise(const SizingInput& input);

}  // namespace sluice::pipeline
