#pragma once
// What check_elf(), read_table() and the loader answer. Internal to sink/.

#include <string>
#include <utility>

#include "daemon/base/error.hpp"

namespace sluice::sink {

/// A plugin's file or table that is not what it must be: what is wrong and what to do.
inline Error wrong(std::string message) { return {ErrorCode::configuration, std::move(message)}; }

}  // namespace sluice::sink
