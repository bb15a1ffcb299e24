#pragma once
// The reference page of the configuration, made from the tables that the parser uses.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/sink/plugin.hpp"

namespace sluice::config {

/// conf/REFERENCE.md as it must be: one table per section. `conf_reference PATH` writes it.
std::string reference_markdown();

/// `readme` of a plugin with the table of its options between the lines `<!-- options -->` and
/// `<!-- end of options -->`; nullopt when it has no such lines. `option_tables` writes it.
std::optional<std::string> with_option_table(std::string_view readme,
                                             const std::vector<sink::Option>& options);

}  // namespace sluice::config
