// sluiced: the command line of the daemon.

#include <sys/resource.h>

#include <boost/program_options.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "daemon/base/log.hpp"
#include "daemon/daemon.hpp"

namespace {

namespace po = boost::program_options;
using namespace sluice;

constexpr int exit_usage = 64;

std::string default_config() {
    const char* const named = std::getenv("SLUICE_CONFIG");
    return named != nullptr ? named : "/etc/sluice/sluice.yaml";
}

int usage_error(const std::string& message) {
    std::cerr << "sluiced: " << message << "\nTry: sluiced --help\n";
    return exit_usage;
}

/// A core would hold passwords and records. A limit of 1 byte, not of 0: that alone counts where cores are piped to a
/// program, too (core(5)). The hard limit stays, for who wants one: prlimit --core=unlimited --pid PID.
void allow_no_core() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max == 0) return;
    limit.rlim_cur = 1;
    if (::setrlimit(RLIMIT_CORE, &limit) != 0) log::warning("core dumps could not be turned off");
}

}  // namespace

int main(int argc, char** argv) {
    po::options_description described("sluiced: tails Kafka topics in planned batches into sinks.\n\n"
                                      "Usage: sluiced [--config PATH] [options]\n\nOptions");
    described.add_options()("help,h", "this text")("version,V", "the version")(
        "config", po::value<std::string>()->default_value(default_config()),
        "YAML file, or a directory of them ($SLUICE_CONFIG)")("check",
                                                               "validate the configuration and end")(
        "data-dir", po::value<std::string>(), "instead of the configuration's dataDir")(
        "plugin-dir", po::value<std::string>(), "instead of the configuration's pluginDir")(
        "log-format", po::value<std::string>()->default_value("text"), "text, json or journal")(
        "log-level", po::value<std::string>()->default_value("info"),
        "debug, info, warning, error or off");
    po::variables_map given;
    try {
        po::store(po::command_line_parser(argc, argv)
                      .options(described)
                      .positional(po::positional_options_description())
                      .style(po::command_line_style::default_style & ~po::command_line_style::allow_guessing)
                      .run(),
                  given);
        po::notify(given);
    } catch (const po::error& error) {
        return usage_error(error.what());
    }
    if (given.count("help") != 0) {
        std::cout << described << "\nConfiguration, signals and exit codes: README.md\n";
        return 0;
    }
    if (given.count("version") != 0) {
        std::cout << "sluiced " << SLUICE_VERSION << '\n';
        return 0;
    }

    const std::string format_name = given["log-format"].as<std::string>();
    log::Format format = log::Format::text;
    if (format_name == "json") {
        format = log::Format::json;
    } else if (format_name == "journal") {
        format = log::Format::journal;
    } else if (format_name != "text") {
        return usage_error("--log-format takes text, json or journal, not '" + format_name + "'");
    }
    log::Level level = log::Level::info;
    if (!log::parse_level(given["log-level"].as<std::string>(), level)) {
        return usage_error("--log-level takes debug, info, warning, error or off");
    }
    log::configure(format, level);
    allow_no_core();

    DaemonOptions options;
    options.config = given["config"].as<std::string>();
    options.check_only = given.count("check") != 0;
    if (given.count("data-dir") != 0) options.data_dir = given["data-dir"].as<std::string>();
    if (given.count("plugin-dir") != 0) options.plugin_dir = given["plugin-dir"].as<std::string>();
    return run_daemon(options);
}
