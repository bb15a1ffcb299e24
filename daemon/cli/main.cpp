#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "daemon/base/log.hpp"
#include "daemon/cli/tool.hpp"

int main(int count, char** values) {
    // `sluice status | head`: the pipe's end is an error of the output, not a signal.
    std::signal(SIGPIPE, SIG_IGN);
    sluice::log::configure(sluice::log::Format::text, sluice::log::Level::error);
    const std::vector<std::string> arguments(values + 1, values + count);
    return sluice::cli::run_tool(arguments, std::cin, std::cout, std::cerr);
}
