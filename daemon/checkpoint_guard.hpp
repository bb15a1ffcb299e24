#pragma once
// Does the checkpoint belong to this configuration? Asked before the first pipeline starts, and before
// a reload is taken.

#include "checkpoints/store.hpp"
#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"

namespace sluice {

/// Carries out `renamedFrom`, and refuses a pipeline that writes where another one, which is in the
/// checkpoint but not in the configuration, wrote before: a pipeline renamed without saying so would
/// read everything again.
/// Errors: `configuration` with the line to write; those of the store.
Result<void> match_checkpoint(checkpoints::Store& store, const config::Config& config);

}  // namespace sluice
