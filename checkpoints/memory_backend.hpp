#pragma once

#include <memory>

#include "checkpoints/backend.hpp"

namespace sluice::checkpoints {

/// Keeps everything in the process; loses it with the process. For tests and the simulation.
std::unique_ptr<Backend> make_memory_backend();

}  // namespace sluice::checkpoints
