// The pure parts: names, checksums.
#include <doctest/doctest.h>
#include <zlib.h>

#include <random>
#include <string>

#include "plugins/file/crc32.hpp"
#include "plugins/file/errors.hpp"
#include "plugins/file/names.hpp"

using namespace sluice::plugins::file;

TEST_CASE("crc32 is zlib's for every length, alignment and beginning") {
    std::mt19937 random(1);
    std::string bytes(1000, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    for (std::size_t size = 0; size < 600; ++size) {
        const std::size_t at = random() % 64;
        const auto before = static_cast<std::uint32_t>(random());
        const auto zlib = ::crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data() + at), size);
        REQUIRE(crc32(before, std::string_view(bytes).substr(at, size)) == zlib);
    }
    CHECK(crc32(0, "123456789") == 0xCBF43926);
}

TEST_CASE("padded numbers have 20 digits, whatever the number") {
    CHECK(padded(0) == "00000000000000000000");
    CHECK(padded_pair(7, 18'446'744'073'709'551'615U) ==
          "00000000000000000007-18446744073709551615");
}

TEST_CASE("topic_directory keeps names apart from each other and inside path") {
    CHECK(topic_directory("orders.v1_a-b") == "orders.v1_a-b");
    CHECK(topic_directory(".orders") == "%2Eorders");
    CHECK(topic_directory("_batches") == "%5Fbatches");
    CHECK(topic_directory("_schemas") == "_schemas");
    CHECK(topic_directory("a/../b") == "a%2F..%2Fb");
    CHECK_THROWS_AS(topic_directory(".."), Fatal);
    CHECK_THROWS_AS(topic_directory(""), Fatal);
}

TEST_CASE("a staging directory's name tells its batch, and no other name does") {
    std::uint64_t batch = 0;
    REQUIRE(parse_staging_name(staging_name(812), batch));
    CHECK(batch == 812);
    CHECK_FALSE(parse_staging_name(".batch-", batch));
    CHECK_FALSE(parse_staging_name(".batch-8x", batch));
    CHECK_FALSE(parse_staging_name(".cut-8", batch));
}

TEST_CASE("plan_fingerprint differs when any range does") {
    const auto print = [](std::int64_t from, std::int64_t until, std::int32_t partition) {
        const std::string topic = "orders";
        const sluice_range raw{{topic.data(), topic.size()}, partition, 0, from, until, {nullptr, 0}};
        return plan_fingerprint(sluice::Ranges(&raw, 1));
    };
    CHECK(print(0, 5, 0).size() == 16);
    CHECK(print(0, 5, 0) == print(0, 5, 0));
    CHECK(print(0, 5, 0) != print(0, 6, 0));
    CHECK(print(0, 5, 0) != print(1, 5, 0));
    CHECK(print(0, 5, 0) != print(0, 5, 1));
}
