#include "daemon/plan/cap.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <tuple>

#include "daemon/plan/wide.hpp"
#include "daemon/plan/work.hpp"

namespace sluice::plan {
namespace {

/// One partition with backlog.
struct Share {
    std::size_t index = 0;   ///< in `available`
    std::uint64_t size = 0;  ///< never 0
    Uint128 fraction = 0;    ///< of one offset, over the common divisor; the floor is given already
};

/// Moves the `count` shares that come first by `before` to the front, in no particular order.
template <class Before>
std::span<Share> take_first(std::vector<Share>& shares, std::size_t count, Before before) {
    if (count < shares.size()) {
        const auto middle = shares.begin() + static_cast<std::ptrdiff_t>(count);
        std::nth_element(shares.begin(), middle, shares.end(), before);
    }
    return std::span(shares).first(count);
}

/// Too little for everyone: one offset each to those that waited longest.
void give_one_to_the_longest_waiting(std::uint64_t limit, std::span<Work> available,
                                     std::vector<Share>& shares) {
    const auto waited_longer = [&](const Share& a, const Share& b) {
        const Work& work_a = available[a.index];
        const Work& work_b = available[b.index];
        return std::tuple(work_a.last_advanced, b.size, work_a.rank, a.index) <
               std::tuple(work_b.last_advanced, a.size, work_b.rank, b.index);
    };
    const auto first = take_first(shares, limit, waited_longer);
    for (const Share& share : shares)
        available[share.index].until = available[share.index].from;
    for (const Share& share : first)
        ++available[share.index].until;
}

/// One offset for each, the rest in proportion to what remains of each backlog. `total > limit`.
void give_in_proportion(std::uint64_t limit, Uint128 total, std::span<Work> available,
                        std::vector<Share>& shares) {
    const Uint128 rest = limit - shares.size();
    const Uint128 remaining = total - shares.size();
    Uint128 left_over = rest;
    for (Share& share : shares) {
        // Below 2^63 * 2^64, so the product fits; the quotient is at most size - 1.
        const Uint128 product = rest * (share.size - 1);
        const Uint128 floor = product / remaining;
        share.fraction = product - floor * remaining;
        left_over -= floor;
        Work& work = available[share.index];
        work.until = work.from + 1 + static_cast<std::int64_t>(floor);
    }
    // What the floors leave is the sum of the fractions: fewer offsets than there are fractions
    // above zero, so nobody gets more than its backlog.
    const auto larger_fraction = [&](const Share& a, const Share& b) {
        return std::tuple(b.fraction, available[a.index].rank, a.index) <
               std::tuple(a.fraction, available[b.index].rank, b.index);
    };
    const auto first = take_first(shares, static_cast<std::size_t>(left_over), larger_fraction);
    for (const Share& share : first)
        ++available[share.index].until;
}

}  // namespace

Result<void> limit_work(std::int64_t max_offsets, std::span<Work> available) {
    if (max_offsets <= 0) {
        return Error{
            ErrorCode::invalid_argument,
            "the limit of offsets per trigger is " + std::to_string(max_offsets) +
                ": it must be positive (leave it out, or write `unlimited`, for no limit)"};
    }
    const auto limit = static_cast<std::uint64_t>(max_offsets);

    std::vector<Share> shares;
    shares.reserve(available.size());
    Uint128 total = 0;
    for (std::size_t i = 0; i < available.size(); ++i) {
        const std::uint64_t size = size_of(available[i]);
        if (size == 0) continue;
        total += size;
        shares.push_back({.index = i, .size = size});
    }
    if (total <= limit) return {};
    if (limit < shares.size()) {
        give_one_to_the_longest_waiting(limit, available, shares);
    } else {
        give_in_proportion(limit, total, available, shares);
    }
    return {};
}

Result<std::vector<OffsetRange>> limit_offsets(std::int64_t max_offsets,
                                               std::span<const Backlog> available) {
    std::vector<const TopicPartition*> names;
    names.reserve(available.size());
    for (const Backlog& backlog : available)
        names.push_back(&backlog.range.topic_partition);
    const auto ranks = ranks_of(names);
    std::vector<Work> works;
    works.reserve(available.size());
    for (const auto& [range, last_advanced] : available) {
        works.push_back({range.from, range.until, last_advanced, ranks[works.size()]});
    }
    SLUICE_CHECK(limit_work(max_offsets, works));
    std::vector<OffsetRange> ranges;
    ranges.reserve(works.size());
    for (const Work& work : works) {
        ranges.push_back({*names[ranges.size()], work.from, work.until});
    }
    return ranges;
}

}  // namespace sluice::plan
