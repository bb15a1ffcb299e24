#pragma once
// What keeping consumers brings: the same batches read with the pool, and with its consumers closed
// after each.

#include <string>
#include <vector>

namespace sluice::bench {

struct PoolRun {
    std::vector<double> records_per_second;  ///< of each batch after the first
    std::vector<double> lease_ms;            ///< until a consumer stood at the batch's start
    std::vector<double> first_record_ms;     ///< from asking for one until a record was there
};

/// Reads `batches` batches of `size` records of partition 0 in this process, one after the other. Throws.
PoolRun read_batches(const std::string& bootstrap, const std::string& topic, int batches, int size, bool keeps);

}  // namespace sluice::bench
