#pragma once
// A batch that the sink has, and that was never begun from this checkpoint: the checkpoint is older than the output.
// Noted, because a later run would take it for one of its own whose commit a crash cut off, and its records for
// delivered.

#include <cstdint>
#include <string>

#include "checkpoints/store.hpp"
#include "daemon/base/result.hpp"

namespace sluice::pipeline {

Error foreign_error(std::uint64_t batch_id);

/// One entry of the audit, which outlives history. Errors: those of the store.
Result<void> note_foreign(checkpoints::Store& store, const std::string& pipeline, std::uint64_t batch_id, WallTime now);
Result<bool> is_foreign(const checkpoints::Store& store, const std::string& pipeline, std::uint64_t batch_id);

}  // namespace sluice::pipeline
