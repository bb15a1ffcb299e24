#pragma once
// Which range of a batch a lane takes next. Pure.

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "daemon/plan/planner.hpp"

namespace sluice::pipeline {

/// Gives out the ranges of a plan to lanes, each range once. A lane goes on with the range that begins
/// where its last one ended, because the consumer that stands there need not move, and need not wait
/// for the fetch that it has under way. Otherwise it takes the first range of the plan that no lane is on
/// its way to; when there is none, the second half of the longest stretch that another lane has left.
/// One lane alone takes all ranges in the order of the plan, if the pieces of a partition follow each
/// other there.
class RangeOrder {
 public:
    RangeOrder(std::span<const plan::PlannedRange> ranges, std::size_t lanes);

    struct Next {
        std::size_t index = 0;  ///< of the plan
        bool read_on = false;   ///< the consumer should stay: its lane goes on there, or the next batch will
    };
    /// The next range of `lane`; nullopt when all are given out.
    std::optional<Next> take(std::size_t lane);

 private:
    /// Ranges [next, end) of the plan, each beginning where the one before it ends.
    struct Stretch {
        std::size_t next = 0;
        std::size_t end = 0;
    };
    Next advance(Stretch& stretch);

    std::vector<Stretch> untouched_;  ///< in the order of the plan, from first_untouched_ on
    std::size_t first_untouched_ = 0;
    std::vector<Stretch> of_lane_;
    std::vector<bool> last_of_partition_;
};

}  // namespace sluice::pipeline
