#include "daemon/plan/split.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/base/assert.hpp"
#include "daemon/plan/wide.hpp"
#include "daemon/plan/work.hpp"

namespace sluice::plan {
namespace {

Error too_many(Uint128 count, std::size_t ranges_max, std::string_view why) {
    // Counts beyond 64 bits are possible on paper only; their exact value helps nobody.
    const bool writable = count <= static_cast<std::uint64_t>(-1);
    const std::string shown =
        writable ? std::to_string(static_cast<std::uint64_t>(count)) : std::string("over 2^64");
    return {ErrorCode::invalid_argument, "the batch would be cut into " + shown +
                                             " ranges, and at most " + std::to_string(ranges_max) +
                                             " are allowed: " + std::string(why)};
}

Result<void> check(const SplitOptions& options) {
    const auto positive = [](const char* name, std::optional<std::int64_t> value) -> Result<void> {
        if (!value || *value > 0) return {};
        return Error{ErrorCode::invalid_argument, std::string(name) + " is " +
                                                      std::to_string(*value) +
                                                      ": it must be positive, or left out"};
    };
    SLUICE_CHECK(positive("maxRecordsPerPartition", options.max_records_per_partition));
    SLUICE_CHECK(positive("minPartitions", options.min_partitions));
    return positive("longest", options.longest);
}

/// Cuts `piece` into `parts` near-equal ones, smaller ones first. `1 <= parts <= piece.size`.
void cut(const Piece& piece, std::uint64_t parts, std::vector<Piece>& into) {
    Piece part = piece;
    std::uint64_t remaining = piece.size;
    for (; parts > 0; --parts) {
        part.size = remaining / parts;
        into.push_back(part);
        part.from = part.until();
        remaining -= part.size;
    }
}

std::uint64_t ceil_div(std::uint64_t size, std::uint64_t max) {
    return (size - 1) / max + 1;
}

/// `size / total * count`, half rounded up, at least 1. `count < 2^63`, so the product fits.
std::uint64_t share_of(std::uint64_t size, Uint128 total, std::uint64_t count) {
    const Uint128 product = static_cast<Uint128>(size) * count;
    const Uint128 floor = product / total;
    const Uint128 fraction = product - floor * total;
    const Uint128 rounded = fraction >= total - fraction ? floor + 1 : floor;
    // At most `count`, because `size <= total`.
    return std::max<std::uint64_t>(static_cast<std::uint64_t>(rounded), 1);
}

/// Rule 1: pieces of at most `max` offsets.
Result<std::vector<Piece>> cut_to_size(const std::vector<Piece>& pieces, std::uint64_t max,
                                       std::size_t ranges_max) {
    Uint128 count = 0;
    for (const Piece& piece : pieces)
        count += ceil_div(piece.size, max);
    if (count > ranges_max) return too_many(count, ranges_max, "raise maxRecordsPerPartition");
    std::vector<Piece> answer;
    answer.reserve(static_cast<std::size_t>(count));
    for (const Piece& piece : pieces)
        cut(piece, ceil_div(piece.size, max), answer);
    return answer;
}

/// Rule 2: Spark's proportional split. May give fewer than `min`, or a few more.
Result<std::vector<Piece>> cut_in_proportion(std::span<const Work> works, std::size_t ranks,
                                             const std::vector<Piece>& pieces, std::uint64_t min,
                                             std::size_t ranges_max) {
    Uint128 total = 0;
    for (const Piece& piece : pieces)
        total += piece.size;

    // A partition with one small piece keeps all of its pieces whole: Spark's set of small ones is
    // by topic-partition, and the pieces of one partition may straddle the rounding.
    std::vector<bool> stays_whole(ranks);
    std::uint64_t small_count = 0;
    Uint128 rest = total;
    for (const Piece& piece : pieces) {
        if (share_of(piece.size, total, min) != 1) continue;
        stays_whole[works[piece.source].rank] = true;
        ++small_count;
        rest -= piece.size;
    }
    const std::uint64_t wanted = min > small_count ? min - small_count : 1;

    const auto parts_of = [&](const Piece& piece) -> std::uint64_t {
        if (stays_whole[works[piece.source].rank]) return 1;
        // More parts than offsets would only be empty ones.
        return std::min(share_of(piece.size, rest, wanted), piece.size);
    };
    Uint128 count = 0;
    for (const Piece& piece : pieces)
        count += parts_of(piece);
    if (count > ranges_max) return too_many(count, ranges_max, "lower minPartitions");
    std::vector<Piece> answer;
    answer.reserve(static_cast<std::size_t>(count));
    for (const Piece& piece : pieces)
        cut(piece, parts_of(piece), answer);
    return answer;
}

/// Rule 3: halves the largest piece until there are `min`, or every piece is one offset.
void halve_up_to(std::uint64_t min, std::vector<Piece>& pieces) {
    if (pieces.size() >= min || pieces.empty()) return;
    const auto place = [](const Piece& piece) { return std::pair(piece.source, piece.from); };
    const auto smaller = [&](const Piece& a, const Piece& b) {
        return a.size != b.size ? a.size < b.size : place(a) > place(b);
    };
    std::make_heap(pieces.begin(), pieces.end(), smaller);
    while (pieces.size() < min && pieces.front().size >= 2) {
        std::pop_heap(pieces.begin(), pieces.end(), smaller);
        const Piece largest = pieces.back();
        pieces.pop_back();
        cut(largest, 2, pieces);
        std::push_heap(pieces.begin(), pieces.end() - 1, smaller);
        std::push_heap(pieces.begin(), pieces.end(), smaller);
    }
    std::sort(pieces.begin(), pieces.end(),
              [&](const Piece& a, const Piece& b) { return place(a) < place(b); });
}

/// Rule 4: whether anything was cut.
bool cut_longest(std::uint64_t longest, std::size_t ranges_max, std::vector<Piece>& pieces) {
    if (std::none_of(pieces.begin(), pieces.end(), [&](const Piece& piece) { return piece.size > longest; })) return false;
    auto shorter = cut_to_size(pieces, longest, ranges_max);
    if (!shorter) return false;
    pieces = *std::move(shorter);
    return true;
}

/// Java's String.hashCode: over UTF-16 units. Kafka's topics are ASCII, where a unit is a byte; any
/// other text is decoded leniently, since a lane is a preference and never wrong.
std::uint32_t java_hash(std::string_view text) {
    std::uint32_t hash = 0;
    const auto add = [&](std::uint32_t unit) { hash = 31U * hash + unit; };
    for (std::size_t i = 0; i < text.size();) {
        const std::uint32_t lead = static_cast<unsigned char>(text[i++]);
        std::uint32_t point = lead;
        std::size_t more = lead < 0xC0 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
        if (more > 0) point = lead & (0x3FU >> more);
        for (; more > 0 && i < text.size(); --more) {
            point = (point << 6U) | (static_cast<unsigned char>(text[i++]) & 0x3FU);
        }
        if (point < 0x10000) {
            add(point);
        } else {
            add(0xD800U + ((point - 0x10000U) >> 10U));
            add(0xDC00U + ((point - 0x10000U) & 0x3FFU));
        }
    }
    return hash;
}

}  // namespace

Result<Pieces> split_work(std::span<const Work> works, std::size_t ranks,
                          const SplitOptions& options) {
    SLUICE_CHECK(check(options));

    std::vector<Piece> pieces;
    pieces.reserve(works.size());
    Uint128 total = 0;
    for (std::size_t i = 0; i < works.size(); ++i) {
        const std::uint64_t size = size_of(works[i]);
        if (size == 0) continue;
        total += size;
        pieces.push_back({i, works[i].from, size});
    }
    if (pieces.size() > options.ranges_max) {
        return too_many(pieces.size(), options.ranges_max, "read fewer partitions at once");
    }

    const auto min = static_cast<std::uint64_t>(options.min_partitions.value_or(0));
    bool whole = !options.max_records_per_partition && pieces.size() >= min;
    // Known before anything is cut: the answer has at least so many ranges.
    const Uint128 at_least = std::min<Uint128>(min, total);
    if (at_least > options.ranges_max) {
        return too_many(at_least, options.ranges_max, "lower minPartitions");
    }
    if (options.max_records_per_partition) {
        const auto max = static_cast<std::uint64_t>(*options.max_records_per_partition);
        SLUICE_TRY(pieces, cut_to_size(pieces, max, options.ranges_max));
    }
    if (pieces.size() < min && !pieces.empty()) {
        SLUICE_TRY(pieces, cut_in_proportion(works, ranks, pieces, min, options.ranges_max));
        halve_up_to(min, pieces);
    } else if (options.longest &&
               cut_longest(static_cast<std::uint64_t>(*options.longest), options.ranges_max, pieces)) {
        whole = false;
    }
    return Pieces{std::move(pieces), whole};
}

Result<std::vector<SplitRange>> split_ranges(std::span<const OffsetRange> ranges,
                                             const SplitOptions& options) {
    std::vector<const TopicPartition*> names;
    names.reserve(ranges.size());
    for (const OffsetRange& range : ranges)
        names.push_back(&range.topic_partition);
    const auto ranks = ranks_of(names);
    std::vector<Work> works;
    works.reserve(ranges.size());
    for (const OffsetRange& range : ranges) {
        works.push_back({.from = range.from, .until = range.until, .rank = ranks[works.size()]});
    }
    SLUICE_TRY(const Pieces split, split_work(works, ranks.size(), options));
    std::vector<SplitRange> answer;
    answer.reserve(split.pieces.size());
    for (const Piece& piece : split.pieces) {
        const TopicPartition& name = *names[piece.source];
        std::optional<std::size_t> lane;
        if (split.whole && options.lanes > 0) lane = lane_of(name, options.lanes);
        answer.push_back({{name, piece.from, piece.until()}, lane});
    }
    return answer;
}

std::size_t lane_of(const TopicPartition& topic_partition, std::size_t lanes) {
    SLUICE_ASSERT(lanes > 0);
    // Java's TopicPartition.hashCode, in 32 bits that wrap around.
    const std::uint32_t hash = 31U * (31U + static_cast<std::uint32_t>(topic_partition.partition)) +
                               java_hash(topic_partition.topic);
    const std::int64_t as_signed = static_cast<std::int32_t>(hash);
    // More lanes than hashes: the modulus would be the hash itself, or count from the far end.
    const auto modulus =
        static_cast<std::int64_t>(std::min<std::size_t>(lanes, std::numeric_limits<int>::max()));
    return static_cast<std::size_t>((as_signed % modulus + modulus) % modulus);
}

}  // namespace sluice::plan
