#pragma once
// The checkpoint store in memory, where each write may be the last thing a process does, may fail, or
// may be told to have failed although it was written. The judge hears of what became durable.

#include <memory>

#include "checkpoints/store.hpp"
#include "tests/simulation/judge.hpp"
#include "tests/simulation/world.hpp"

namespace sluice::simulation {

std::unique_ptr<checkpoints::Store> guard(World& world, Judge& judge,
                                          std::unique_ptr<checkpoints::Store> inner);

}  // namespace sluice::simulation
