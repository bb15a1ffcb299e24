#pragma once
// The reference page of the configuration, made from the tables that the parser uses.

#include <string>

namespace sluice::config {

/// conf/REFERENCE.md as it must be: one table per section. `conf_reference PATH` writes it.
std::string reference_markdown();

}  // namespace sluice::config
