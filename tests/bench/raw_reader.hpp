#pragma once
// librdkafka as fast as it goes, without anything around it: what sluice is measured against.

#include <cstdint>
#include <string>

namespace sluice::bench {

struct RawRead {
    std::string bootstrap;
    std::string topic;
    int partitions = 1;
    int clients = 1;
    int fetch_bytes = 10 << 20;  ///< at once and a partition; less is faster where records are compressed
    std::string out;  ///< a folder: values, one a line, a file for each partition, on disk at the end
};

/// Reads every partition from offset 0 to the end it had at the start; a thread and a client for every
/// `partitions / clients` of them, or for equal pieces of each where there are more clients. Answers how
/// many records that were. Throws std::runtime_error.
std::int64_t read_raw(const RawRead& read);

}  // namespace sluice::bench
