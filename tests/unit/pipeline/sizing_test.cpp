#include "daemon/pipeline/sizing.hpp"

#include <doctest/doctest.h>

using namespace sluice;
using namespace sluice::pipeline;

namespace {

constexpr std::uint64_t mib = 1ULL << 20;

bool says(const Advice& advice, const char* text) { return advice.why.find(text) != std::string::npos; }

}  // namespace

TEST_CASE("advice goes by the size and the rate of the records that were seen, and says so") {
    const auto advice = advise({{50'000.0, 200.0}, 10'000'000, {4, 512 * mib}});
    REQUIRE(advice.size() == 3);
    CHECK(advice[0].option == "maxOffsetsPerTrigger");
    CHECK(advice[0].value == 1'500'000);
    CHECK(says(advice[0], "50,000 records/s"));
    CHECK(advice[1].option == "maxRecordsPerPartition");
    CHECK(advice[1].value == static_cast<std::int64_t>(512 * mib / 4 / 400));
    CHECK(says(advice[1], "records of 200 bytes"));
    CHECK(says(advice[1], "512.0 MiB / 4"));
    CHECK(advice[2].option == "minPartitions");
    CHECK_FALSE(advice[2].value);  // 1.5 M offsets in a batch
}

TEST_CASE("a partition is to be split where a batch is large enough for two workers") {
    const auto fast = advise({{1'000'000.0, 100.0}, 40'000'000, {4, 512 * mib}});
    CHECK(fast[0].value == 30'000'000);
    CHECK(fast[2].value == 4);
    CHECK(says(fast[2], "more ranges than workers would only wait"));
    const auto little = advise({{1'000'000.0, 100.0}, 1'000'000, {4, 512 * mib}});
    CHECK_FALSE(little[2].value);  // that is all there is
    CHECK(says(little[2], "less than a million for each of two"));
    const auto alone = advise({{1'000'000.0, 100.0}, 40'000'000, {1, 512 * mib}});
    CHECK_FALSE(alone[2].value);
    CHECK(says(alone[2], "one worker"));
}

TEST_CASE("a range is no longer than its worker's memory holds, however large records are") {
    const auto large = advise({{100.0, 5e6}, 10'000, {4, 512 * mib}});
    CHECK(large[1].value == 13);
    CHECK(says(large[1], "holds about so many records of 5,000,000 bytes"));
}

TEST_CASE("a range that memory holds but that is too short to go to is not advised, and the advice says so") {
    const auto little = advise({{100'000.0, 1024.0}, 10'000, {4, 8 * mib}});
    CHECK(little[1].value == 10'000);
    CHECK(says(little[1], "holds about 1,024 records of 1,024 bytes"));
    CHECK(says(little[1], "shorter ranges than this cost more"));
    CHECK_FALSE(says(little[1], "so many"));
    const auto larger = advise({{100'000.0, 102'400.0}, 10'000, {4, 8 * mib}});
    CHECK(larger[1].value == 102);  // 10 MiB of them
    CHECK(says(larger[1], "holds about 10 records"));
}

TEST_CASE("without a batch seen the advice is what auto begins with, and admits it") {
    const auto advice = advise({{}, 10'000'000, {2, 64 * mib}});
    CHECK(advice[0].value == 100'000);
    CHECK(says(advice[0], "no batch"));
    CHECK(advice[1].value == static_cast<std::int64_t>(64 * mib / 2 / 2048));
    CHECK(says(advice[1], "for want of any"));
}
