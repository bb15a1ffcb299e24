#include "daemon/plan/cap.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <tuple>

#include "daemon/plan/wide.hpp"

namespace sluice::plan {
namespace {

/// One partition with backlog.
struct Share {
    std::size_t index = 0;   ///< in `available`
    std::size_t rank = 0;    ///< among all by topic, partition: comparing strings once is enough
    std::uint64_t size = 0;  ///< never 0
    Uint128 fraction = 0;    ///< of one offset, over the common divisor; the floor is given already
};

/// The place of each entry in the order of topic and partition; entries alike keep their order.
std::vector<std::size_t> ranks_of(std::span<const Backlog> available) {
    const auto key = [&](std::size_t i) -> const TopicPartition& {
        return available[i].range.topic_partition;
    };
    std::vector<std::size_t> order(available.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto before = [&](std::size_t a, std::size_t b) { return key(a) < key(b); };
    // The planner's own order is the sorted one: then every rank is the index.
    if (std::is_sorted(order.begin(), order.end(), before)) return order;
    std::stable_sort(order.begin(), order.end(), before);
    std::vector<std::size_t> ranks(available.size());
    for (std::size_t rank = 0; rank < order.size(); ++rank)
        ranks[order[rank]] = rank;
    return ranks;
}

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
void give_one_to_the_longest_waiting(std::uint64_t limit, std::span<const Backlog> available,
                                     std::vector<Share>& shares, std::vector<OffsetRange>& ranges) {
    for (const Share& share : shares)
        ranges[share.index].until = ranges[share.index].from;
    const auto waited_longer = [&](const Share& a, const Share& b) {
        return std::tuple(available[a.index].last_advanced, b.size, a.rank) <
               std::tuple(available[b.index].last_advanced, a.size, b.rank);
    };
    for (const Share& share : take_first(shares, limit, waited_longer))
        ++ranges[share.index].until;
}

/// One offset for each, the rest in proportion to what remains of each backlog. `total > limit`.
void give_in_proportion(std::uint64_t limit, Uint128 total, std::vector<Share>& shares,
                        std::vector<OffsetRange>& ranges) {
    const Uint128 rest = limit - shares.size();
    const Uint128 remaining = total - shares.size();
    Uint128 left_over = rest;
    for (Share& share : shares) {
        // Below 2^63 * 2^64, so the product fits; the quotient is at most size - 1.
        const Uint128 product = rest * (share.size - 1);
        const Uint128 floor = product / remaining;
        share.fraction = product - floor * remaining;
        left_over -= floor;
        OffsetRange& range = ranges[share.index];
        range.until = range.from + 1 + static_cast<std::int64_t>(floor);
    }
    // What the floors leave is the sum of the fractions: fewer offsets than there are fractions
    // above zero, so nobody gets more than its backlog.
    const auto larger_fraction = [](const Share& a, const Share& b) {
        return std::tuple(b.fraction, a.rank) < std::tuple(a.fraction, b.rank);
    };
    const auto first = take_first(shares, static_cast<std::size_t>(left_over), larger_fraction);
    for (const Share& share : first)
        ++ranges[share.index].until;
}

}  // namespace

Result<std::vector<OffsetRange>> limit_offsets(std::int64_t max_offsets,
                                               std::span<const Backlog> available) {
    if (max_offsets <= 0) {
        return Error{
            ErrorCode::invalid_argument,
            "the limit of offsets per trigger is " + std::to_string(max_offsets) +
                ": it must be positive (leave it out, or write `unlimited`, for no limit)"};
    }
    const auto limit = static_cast<std::uint64_t>(max_offsets);

    std::vector<OffsetRange> ranges;
    std::vector<Share> shares;
    ranges.reserve(available.size());
    shares.reserve(available.size());
    Uint128 total = 0;
    for (std::size_t i = 0; i < available.size(); ++i) {
        ranges.push_back(available[i].range);
        const std::uint64_t size = size_of(available[i].range);
        if (size == 0) continue;
        total += size;
        shares.push_back({.index = i, .size = size});
    }
    if (total <= limit) return ranges;

    const auto ranks = ranks_of(available);
    for (Share& share : shares)
        share.rank = ranks[share.index];
    if (limit < shares.size()) {
        give_one_to_the_longest_waiting(limit, available, shares, ranges);
    } else {
        give_in_proportion(limit, total, shares, ranges);
    }
    return ranges;
}

}  // namespace sluice::plan
