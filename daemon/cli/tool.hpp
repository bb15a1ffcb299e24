#pragma once
// The whole tool as a function, for main() and for tests.

#include <istream>
#include <ostream>
#include <span>
#include <string>

#include "daemon/base/clock.hpp"
#include "daemon/cli/connection.hpp"

namespace sluice::cli {

/// `arguments` without the program's name; `defaults` says where to look when they don't. Answers the
/// exit code (design: 0, 1, 2 found something, 64, 69, 70, 74, 75, 78); errors go to `err` as
/// "sluice: …". Never throws.
int run_tool(std::span<const std::string> arguments, std::istream& in, std::ostream& out,
             std::ostream& err, const ConnectionOptions& defaults = {},
             const Clock& clock = system_clock());

}  // namespace sluice::cli
