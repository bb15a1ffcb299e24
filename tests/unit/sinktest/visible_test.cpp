#include "daemon/sinktest/visible.hpp"

#include <doctest/doctest.h>

namespace sluice::sinktest {

TEST_CASE("a line of the reader is three words, or a JSON object with what is to be compared") {
    const Visible seen = parse_visible(
        "orders 0 5000000000\n\n"
        "orders\t2\t7\n"
        R"({"topic":"orders","partition":1,"offset":9,"key":null,"value":"a\u0000b","headers":[]})" "\n"
        R"({"topic":"orders","partition":1,"offset":10,"keyBase64":"AAH/\n","value":{"id":1}})");
    REQUIRE(seen.records.size() == 4);
    CHECK(seen.other_lines == 0);
    CHECK(seen.records[0].id == RecordId{"orders", 0, 5'000'000'000});
    CHECK_FALSE(seen.records[0].value.has_value());
    CHECK(seen.records[1].id == RecordId{"orders", 2, 7});
    CHECK(seen.records[2].key == std::optional<Bytes>(Bytes(std::nullopt)));
    CHECK(seen.records[2].value == std::optional<Bytes>(Bytes(std::string("a\0b", 3))));
    CHECK(seen.records[3].key == std::optional<Bytes>(Bytes(std::string("\0\1\xff", 3))));
    CHECK_FALSE(seen.records[3].value.has_value());
}

TEST_CASE("headers and the timestamp are compared where the line has them in their form") {
    const Visible seen = parse_visible(
        R"({"topic":"o","partition":0,"offset":1,"timestamp":-9223372036854775808,)"
        R"("headers":[["a","1"],["a",null],["",{"base64":"/w=="}]]})" "\n"
        R"({"topic":"o","partition":0,"offset":2,"timestamp":null,"headers":{"a":"1"}})" "\n"
        R"({"topic":"o","partition":0,"offset":3,"timestamp":"2024-01-01"})" "\n");
    REQUIRE(seen.records.size() == 3);
    using Headers = std::vector<std::pair<std::string, Bytes>>;
    CHECK(seen.records[0].headers == Headers{{"a", "1"}, {"a", std::nullopt}, {"", "\xff"}});
    CHECK(seen.records[0].timestamp_ms == std::optional(std::optional<std::int64_t>(INT64_MIN)));
    CHECK_FALSE(seen.records[1].headers.has_value());
    REQUIRE(seen.records[1].timestamp_ms.has_value());
    CHECK_FALSE(seen.records[1].timestamp_ms->has_value());
    CHECK_FALSE(seen.records[2].timestamp_ms.has_value());
}

TEST_CASE("a line that is no record is counted, and the first one kept") {
    const Visible seen = parse_visible("orders 0\n{\"topic\":\"orders\",\"part\norders 0 x\norders 0 1\n");
    CHECK(seen.records.size() == 1);
    CHECK(seen.other_lines == 3);
    CHECK(seen.first_other_line == "orders 0");
}

}  // namespace sluice::sinktest
