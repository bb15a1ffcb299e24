#pragma once
// The calls that a batch may be written by, in an order that sink.h allows. Pure. Internal to the
// module.

#include <cstdint>
#include <vector>

#include "daemon/sinktest/random.hpp"
#include "daemon/sinktest/wire.hpp"

namespace sluice::sinktest {

struct Step {
    Op op = Op::begin;
    std::uint32_t range = 0;  ///< of open_writer, write, close_writer
    std::int64_t from = 0;    ///< of write
    std::int64_t until = 0;
};

enum class Order {
    one_by_one,   ///< a range is closed before the next one is opened
    interleaved,  ///< the calls of all writers in any order
    parallel,     ///< a thread per range
};

/// From begin() to commit(), each range written in calls of random sizes. Writers of an ordered sink
/// come one by one, whatever is asked for.
std::vector<Step> steps_of(const sink::Batch& batch, Order order, bool is_ordered_sink, Random& random);

/// "commit() of batch 7", "writer_write() of range 2, offsets [5, 9), of batch 7".
std::string to_string(const Step& step, std::uint64_t batch);

}  // namespace sluice::sinktest
