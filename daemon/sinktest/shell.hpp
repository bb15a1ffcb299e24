#pragma once
// The author's commands. Internal to the module.

#include <string>

#include "daemon/base/result.hpp"

namespace sluice::sinktest {

/// Runs `command` by /bin/sh to its end; what it printed. Errors: `failed` when it did not end with 0.
Result<std::string> run_shell(const std::string& command);
/// The same for a command that leaves processes behind: what it prints goes to the standard error, and it has ended
/// when its shell has, whatever those keep open.
Result<void> run_apart(const std::string& command);

}  // namespace sluice::sinktest
