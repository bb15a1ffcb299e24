#include "daemon/pipeline/foreign_batch.hpp"

#include <algorithm>

namespace sluice::pipeline {
namespace {

constexpr const char* action = "batch found in the sink that was never begun";

std::string detail_of(std::uint64_t batch_id) { return "batch " + std::to_string(batch_id); }

}  // namespace

Error foreign_error(std::uint64_t batch_id) {
    return {ErrorCode::fatal,
            "the sink already has batch " + std::to_string(batch_id) +
                ", which was never run from this checkpoint: the checkpoint is older than the output. Restore the "
                "checkpoint that belongs to it, or give the pipeline another target"};
}

Result<void> note_foreign(checkpoints::Store& store, const std::string& pipeline, std::uint64_t batch_id, WallTime now) {
    checkpoints::Store::Move nothing_moves;
    nothing_moves.audit = {now, action, detail_of(batch_id)};
    return store.put_move(pipeline, nothing_moves);
}

Result<bool> is_foreign(const checkpoints::Store& store, const std::string& pipeline, std::uint64_t batch_id) {
    SLUICE_TRY(const auto entries, store.audit(pipeline));
    return std::any_of(entries.begin(), entries.end(), [&](const checkpoints::ControlEntry& entry) {
        return entry.action == action && entry.detail == detail_of(batch_id);
    });
}

}  // namespace sluice::pipeline
