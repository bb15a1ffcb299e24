#include <doctest/doctest.h>

#include "daemon/pipeline/auto_limits.hpp"
#include "daemon/pipeline/backoff.hpp"

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

TEST_CASE("a bound in bytes is a bound in offsets by the mean record size") {
    CHECK(offsets_for_bytes(1 << 20, std::nullopt) == 1024);
    CHECK(offsets_for_bytes(1000, 100.0) == 10);
    CHECK(offsets_for_bytes(1, 1e9) == 1);
}
