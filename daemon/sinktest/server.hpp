#pragma once
// The process with the sink in it: does what it is asked, call by call, through the daemon's own
// adapter. Internal to the module.

#include "daemon/sinktest/wire.hpp"

namespace sluice::sinktest {

/// Until the other end of the socket is closed.
void serve(int socket, const sink::Plugin& plugin, const sink::Settings& settings,
           const Recipe& recipe);

}  // namespace sluice::sinktest
