#pragma once
// What is done to a sink. Internal to the module.

#include <span>

#include "daemon/sinktest/driver.hpp"

namespace sluice::sinktest {

struct Scenario {
    const char* name;
    /// Errors: as the driver's. Answers why it was not tried, or nothing.
    Result<std::optional<std::string>> (*run)(Driver& driver);
};

/// In the order in which they are run, each on what the ones before have left.
std::span<const Scenario> scenarios();

}  // namespace sluice::sinktest
