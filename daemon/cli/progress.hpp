#pragma once
// A line now and then on standard error, for those who wait. Internal to the module.

#include <cstdint>
#include <ostream>
#include <string>

#include "daemon/base/clock.hpp"

namespace sluice::cli {

/// Says nothing during the first second, then at most one line every two seconds. Confined to one
/// thread.
class Progress {
 public:
    Progress(std::ostream& err, const Clock& clock, std::string what, std::uint64_t total)
        : err_(err), clock_(clock), what_(std::move(what)), total_(total),
          next_(clock.steady() + std::chrono::seconds{1}) {}

    void add(std::uint64_t done) { at(done_ + done); }
    void at(std::uint64_t done);

 private:
    std::ostream& err_;
    const Clock& clock_;
    const std::string what_;
    const std::uint64_t total_;
    std::uint64_t done_ = 0;
    SteadyTime next_;
};

}  // namespace sluice::cli
