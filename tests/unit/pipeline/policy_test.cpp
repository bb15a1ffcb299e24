#include <doctest/doctest.h>

#include "daemon/pipeline/auto_limits.hpp"
#include "daemon/pipeline/backoff.hpp"
#include "daemon/pipeline/plan_options.hpp"

using namespace sluice;
using namespace sluice::pipeline;
using namespace std::chrono_literals;

TEST_CASE("backoff starts at 300 ms, doubles up to its maximum, and gives away at most half") {
    CHECK(backoff(1, 60s, 0) == 300ms);
    CHECK(backoff(2, 60s, 0) == 600ms);
    CHECK(backoff(9, 60s, 0) == 60s);
    CHECK(backoff(1'000'000, 60s, 0) == 60s);
    for (int attempt = 1; attempt < 40; ++attempt) {
        const auto full = backoff(attempt, 60s, 0);
        const auto least = backoff(attempt, 60s, ~0U);
        CHECK(least >= full / 2);
        CHECK(least <= full);
    }
}

TEST_CASE("auto: the first batch is small, later ones are half a minute of work") {
    CHECK(auto_max_offsets(std::nullopt) == 100'000);
    CHECK(auto_max_offsets(50'000.0) == 1'500'000);
    CHECK(auto_max_offsets(1.0) == 10'000);
}

TEST_CASE("auto: a partition is only split when each part is worth a consumer") {
    CHECK_FALSE(auto_min_partitions(1'500'000, 8));
    CHECK(auto_min_partitions(2'000'000, 8) == 2);
    CHECK(auto_min_partitions(100'000'000, 8) == 8);
    CHECK_FALSE(auto_min_partitions(100'000'000, 1));
}

TEST_CASE("auto: a hot partition beside quiet ones is cut, partitions that hardly differ are not") {
    config::Pipeline config;
    config.source.max_offsets_per_trigger = config::Unlimited{};
    config.source.min_partitions = config::Auto{};
    const auto ranges_of = [&](const std::vector<std::int64_t>& backlogs, int workers) {
        std::map<plan::TopicPartition, plan::Position> positions;
        std::vector<plan::PartitionFacts> facts;
        std::uint64_t backlog = 0;
        for (const std::int64_t size : backlogs) {
            const plan::TopicPartition tp{"orders", static_cast<std::int32_t>(facts.size())};
            positions[tp] = {0, -1, "id", -1};
            facts.push_back({tp, 0, size, "id", 0});
            backlog += static_cast<std::uint64_t>(size);
        }
        const plan::PlanInput input{positions, facts, nullptr, Milliseconds::max()};
        const auto planned = plan::plan_batch(input, plan_options(config, backlog, {.workers = workers}, {}));
        REQUIRE(planned);
        std::vector<std::int64_t> sizes;
        for (const auto& range : planned->ranges) sizes.push_back(range.range.until - range.range.from);
        return sizes;
    };
    using Sizes = std::vector<std::int64_t>;
    CHECK(ranges_of({9'000'000, 500'000, 500'000}, 2) == Sizes{4'500'000, 4'500'000, 500'000, 500'000});
    CHECK(ranges_of({5'500'000, 4'500'000}, 2) == Sizes{5'500'000, 4'500'000});
    CHECK(ranges_of({1'500'000, 10, 10}, 2) == Sizes{1'500'000, 10, 10});
    CHECK(ranges_of({4'000'000}, 2) == Sizes{2'000'000, 2'000'000});
    CHECK(ranges_of({20'000'000}, 8) == Sizes(8, 2'500'000));
    CHECK(ranges_of({20'000'000}, 5) == Sizes(5, 4'000'000));
}

TEST_CASE("a bound in bytes is a bound in offsets by the mean record size") {
    CHECK(offsets_for_bytes(1 << 20, std::nullopt) == 1024);
    CHECK(offsets_for_bytes(1000, 100.0) == 10);
    CHECK(offsets_for_bytes(1, 1e9) == 1);
}
