// Every small plan there is: up to 3 partitions, offsets up to 5.

#include <doctest/doctest.h>

#include "tests/property/invariants.hpp"

using namespace sluice::plan;
using namespace sluice::plan::property;

namespace {

constexpr std::int64_t small_max = 5;

/// Calls `visit` with every list of up to `partitions` ranges of offsets 0 to 5, inverted and empty
/// ones among them.
template <class Visit>
void each_plan(std::size_t partitions, std::vector<OffsetRange>& ranges, Visit visit) {
    visit(ranges);
    if (ranges.size() == partitions) return;
    const auto partition = static_cast<std::int32_t>(ranges.size());
    for (std::int64_t from = 0; from <= small_max; ++from) {
        for (std::int64_t until = 0; until <= small_max; ++until) {
            ranges.push_back({{"t", partition}, from, until});
            each_plan(partitions, ranges, visit);
            ranges.pop_back();
        }
    }
}

/// The same with one inverted range standing for all of them, and `from` at 0 or near the end of
/// what an offset can be: splitting looks at sizes, so nothing else can make a difference.
template <class Visit>
void each_split(std::size_t partitions, std::vector<OffsetRange>& ranges, Visit visit) {
    visit(ranges);
    if (ranges.size() == partitions) return;
    const auto partition = static_cast<std::int32_t>(ranges.size());
    const std::int64_t base = partition == 1 ? INT64_MAX - small_max : 0;
    for (std::int64_t size = -1; size <= small_max; ++size) {
        ranges.push_back({{"t", partition}, base, base + size});
        each_split(partitions, ranges, visit);
        ranges.pop_back();
    }
}

std::string told(std::span<const OffsetRange> ranges) {
    std::string text;
    for (const OffsetRange& range : ranges)
        text += shown(range) + ' ';
    return text;
}

}  // namespace

TEST_CASE("every small backlog is limited exactly, at every limit") {
    std::vector<OffsetRange> none;
    std::size_t plans = 0;
    std::vector<Backlog> available;
    each_plan(3, none, [&](const std::vector<OffsetRange>& ranges) {
        available.clear();
        // Three different waits, the last partition's the longest.
        for (const OffsetRange& range : ranges) {
            available.push_back({range, 1 - range.topic_partition.partition});
        }
        // Above the backlog all limits are one.
        const auto backlog = static_cast<std::int64_t>(sum_of(ranges));
        for (std::int64_t limit = 1; limit <= backlog + 1; ++limit) {
            ++plans;
            const auto limited = limit_offsets(limit, available);
            REQUIRE(limited);
            const std::string broken = broken_limit(limit, available, *limited);
            if (!broken.empty()) FAIL(broken, ", limit ", limit, ", of ", told(ranges));
        }
    });
    CHECK(plans > 150'000);
}

TEST_CASE("every wait decides whose turn it is when the limit is below one each") {
    // All ways in which three partitions of all sizes can have waited.
    for (std::size_t code = 0; code < 27 * 125; ++code) {
        std::vector<Backlog> available;
        std::size_t rest = code;
        for (std::int32_t partition = 0; partition < 3; ++partition) {
            const auto size = static_cast<std::int64_t>(rest % 5) + 1;
            const auto waited = static_cast<std::int64_t>(rest / 5 % 3) - 1;
            rest /= 15;
            available.push_back({{{"t", partition}, 7, 7 + size}, waited});
        }
        for (std::int64_t limit = 1; limit < 3; ++limit) {
            const auto limited = limit_offsets(limit, available);
            REQUIRE(limited);
            CHECK(broken_limit(limit, available, *limited).empty());
            // Whoever was served comes before everyone who was not, in the order of the rule.
            const auto key = [&](std::size_t i) {
                return std::tuple(available[i].last_advanced,
                                  -static_cast<std::int64_t>(size_of(available[i].range)), i);
            };
            for (std::size_t served = 0; served < 3; ++served) {
                for (std::size_t left = 0; left < 3; ++left) {
                    if (size_of((*limited)[served]) == 0 || size_of((*limited)[left]) > 0) continue;
                    CHECK(key(served) < key(left));
                }
            }
        }
    }
}

TEST_CASE("every small plan is split without a gap or an overlap, at every maximum and minimum") {
    std::vector<OffsetRange> none;
    std::size_t plans = 0;
    each_split(3, none, [&](const std::vector<OffsetRange>& ranges) {
        for (std::int64_t max = 0; max <= small_max + 1; ++max) {
            for (std::int64_t min = 0; min <= 3 * small_max + 1; ++min) {
                ++plans;
                SplitOptions options;
                if (max > 0) options.max_records_per_partition = max;
                if (min > 0) options.min_partitions = min;
                const auto pieces = split_ranges(ranges, options);
                REQUIRE(pieces);
                const std::string broken = broken_split(ranges, options, *pieces);
                if (!broken.empty()) {
                    FAIL(broken, ", max ", max, ", min ", min, ", of ", told(ranges));
                }
            }
        }
    });
    CHECK(plans > 40'000);
}

TEST_CASE("every small history of two partitions is planned without a gap that is no loss") {
    // Each partition: a position of 0 to 5 or none, and every pair of earliest and latest.
    struct Past {
        std::int64_t position;  // -1: none
        std::int64_t earliest;
        std::int64_t latest;
    };
    std::vector<Past> pasts;
    for (std::int64_t position = -1; position <= small_max; ++position) {
        for (std::int64_t latest = 0; latest <= small_max; ++latest) {
            for (std::int64_t earliest = 0; earliest <= latest; ++earliest) {
                pasts.push_back({position, earliest, latest});
            }
        }
    }
    const std::vector<PlanOptions> asked{
        {},
        {.max_offsets = 1},
        {.max_offsets = 3, .split = {.max_records_per_partition = 2, .min_partitions = 3}},
        {.split = {.min_partitions = 5}}};
    for (const Past& first : pasts) {
        for (const Past& second : pasts) {
            std::map<TopicPartition, Position> positions;
            std::vector<PartitionFacts> facts;
            for (const Past& past : {first, second}) {
                const TopicPartition partition{"t", static_cast<std::int32_t>(facts.size())};
                if (past.position >= 0) {
                    positions[partition] = {past.position, 1, "id", past.position};
                }
                facts.push_back({partition, past.earliest, past.latest, "id", 2});
            }
            for (const PlanOptions& options : asked) {
                const auto outcome = plan_batch({.positions = positions, .facts = facts}, options);
                REQUIRE(outcome);
                const std::string broken = broken_plan(positions, facts, options, *outcome);
                if (broken.empty()) continue;
                FAIL(broken, ": ", first.position, " of ", first.earliest, "..", first.latest,
                     " and ", second.position, " of ", second.earliest, "..", second.latest);
            }
        }
    }
}
