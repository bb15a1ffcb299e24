#pragma once
// What the steps of a plan work on, opaque outside plan/: numbers without names. Copying
// the names of 100,000 partitions from step to step took longer than planning them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/plan/split.hpp"
#include "daemon/plan/types.hpp"
#include "daemon/plan/wide.hpp"

namespace sluice::plan {

/// The offsets of one range; whoever made it knows its name.
struct Work {
    std::int64_t from = 0;
    std::int64_t until = 0;
    std::int64_t last_advanced = -1;  ///< as in Backlog
    /// Place of its partition in the order of topic and partition; the same one only for the same
    /// partition. Below the `ranks` given beside it.
    std::size_t rank = 0;
};

/// A part of one `Work`; in answers ordered by `source`, then `from`.
struct Piece {
    std::size_t source = 0;  ///< index of the work it was cut from
    std::int64_t from = 0;
    std::uint64_t size = 0;  ///< never 0

    [[nodiscard]] std::int64_t until() const noexcept {
        // Unsigned, because a size above 2^63 is no signed number although the sum is.
        return static_cast<std::int64_t>(static_cast<std::uint64_t>(from) + size);
    }
};

/// size_of without a name.
inline std::uint64_t size_of(const Work& work) noexcept {
    if (work.until <= work.from) return 0;
    return static_cast<std::uint64_t>(work.until) - static_cast<std::uint64_t>(work.from);
}

/// The ranks of these partitions, in the same order.
std::vector<std::size_t> ranks_of(std::span<const TopicPartition* const> partitions);

/// limit_offsets: moves each `until`.
Result<void> limit_work(std::int64_t max_offsets, std::span<Work> available);

struct Pieces {
    std::vector<Piece> pieces;
    bool whole = false;  ///< neither rule was at work: lanes may be named
};
/// split_ranges; all ranks are below `ranks`.
Result<Pieces> split_work(std::span<const Work> works, std::size_t ranks,
                          const SplitOptions& options);

/// should_wait, of a sum.
bool should_wait(Int128 fresh, std::int64_t min_offsets, Milliseconds elapsed,
                 Milliseconds max_trigger_delay) noexcept;

}  // namespace sluice::plan
