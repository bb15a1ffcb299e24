#pragma once
// A look at a file before dlopen() maps it: dlopen() checks little, and dies with SIGBUS on a file
// that was cut off. Internal to sink/.

#include "daemon/base/result.hpp"

namespace sluice::sink {

/// Whether the open file is a whole shared object for this machine. Reads headers only.
/// Errors: `configuration`, what it is instead and what to do, without the file, which the caller
/// knows.
Result<void> check_elf(int descriptor);

}  // namespace sluice::sink
