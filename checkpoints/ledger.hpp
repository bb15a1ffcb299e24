#pragma once
// What the entries of a loss ledger mean together. Pure.

#include <cstdint>
#include <vector>

#include "checkpoints/store.hpp"

namespace sluice::checkpoints {

/// How many offsets the entries cover together: what several of them name counts once.
std::uint64_t records_lost(const std::vector<LossEntry>& entries);

/// Of a log that is not there any more: all that it held from the loss on is lost.
bool is_of_a_log_that_is_gone(plan::LossKind kind) noexcept;

/// Whether who goes on without `accepted` goes on without `older` too, an earlier loss of the same
/// partition: of the same kind, and within it; or of a log that is gone by now, and at or past it.
bool settles(const plan::Loss& accepted, const plan::Loss& older) noexcept;

}  // namespace sluice::checkpoints
