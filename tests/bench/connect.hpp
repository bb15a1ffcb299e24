#pragma once
// Kafka Connect's FileStreamSink on the same topic, for `--peers`.

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/bench/process.hpp"

namespace sluice::bench {

struct ConnectRun {
    std::filesystem::path jars;    ///< of `kafka.sh fetch-connect`
    std::filesystem::path folder;  ///< emptied
    std::string bootstrap;
    std::string topic;
    int tasks = 2;
    std::uint64_t bytes = 0;  ///< of the values, each with its line end: then it is done
};

/// From the start of a standalone worker until its file is complete; it ends only where it
/// can't work. Throws when it did, with what it said, and when nothing comes for three minutes.
Cost run_connect(const ConnectRun& run);

}  // namespace sluice::bench
