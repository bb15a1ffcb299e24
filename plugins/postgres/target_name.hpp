#pragma once
// What the table is called where nobody may see the connection string.

#include <string>

#include "plugins/postgres/options.hpp"

namespace sluice::plugins::postgres {

/// "host:port/database schema.table", read out of `connection`, of which nothing else is shown. What it
/// leaves to libpq (variables of the environment, a service's file) is not looked up. Empty when libpq
/// cannot read it.
std::string target_name(const Options& options);

}  // namespace sluice::plugins::postgres
