#pragma once
// Does the checkpoint belong to this configuration? Asked before the first pipeline starts, and before
// a reload is taken.

#include <string>
#include <vector>

#include "checkpoints/store.hpp"
#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"

namespace sluice {

/// A pipeline's checkpoints that are to be those of another name.
struct Rename {
    std::string from;
    std::string to;
};

/// What `renamedFrom` asks for and is not done yet. Changes nothing.
/// Refuses a pipeline that writes where another one, which is in the checkpoint but not in the
/// configuration, wrote before: renamed without saying so, it would read everything again. And a new one
/// under the name by which a sink knows another one, since that was renamed: each would take the other's
/// batches for its own.
/// Errors: `configuration` with the line to write; those of the store.
Result<std::vector<Rename>> match_checkpoint(const checkpoints::Store& store, const config::Config& config);

/// All, or none. No pipeline of these names may be running. Errors: those of the store.
Result<void> carry_out(checkpoints::Store& store, const std::vector<Rename>& renames);

}  // namespace sluice
