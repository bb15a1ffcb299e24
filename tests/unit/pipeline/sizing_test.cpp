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
    const auto little = advise({{1'000'000.0, 100.0}, 1'000'000, {4, 512 * mib}});
    CHECK_FALSE(little[2].value);  // that is all there is
}

TEST_CASE("without a batch seen the advice is what auto begins with, and admits it") {
    const auto advice = advise({{}, 10'000'000, {2, 64 * mib}});
    CHECK(advice[0].value == 100'000);
    CHECK(says(advice[0], "no batch"));
    CHECK(advice[1].value == static_cast<std::int64_t>(64 * mib / 2 / 2048));
    CHECK(says(advice[1], "for want of any"));
}
