#include <doctest/doctest.h>

#include "daemon/base/clock.hpp"
#include "daemon/base/text.hpp"

using namespace sluice;
using namespace std::chrono_literals;

TEST_CASE("parse_duration takes a whole number with its unit and nothing else") {
    CHECK(*parse_duration("250ms") == 250ms);
    CHECK(*parse_duration("5s") == 5s);
    CHECK(*parse_duration("10m") == 10min);
    CHECK(*parse_duration("31d") == 31 * 24h);
    for (const char* wrong : {"", "5", "s", "-5s", "1.5s", "5 s", "5S", "99999999999999999999s",
                              "9223372036854775807d"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_duration(wrong));
    }
}

TEST_CASE("parse_size knows powers of two and of ten") {
    CHECK(*parse_size("512") == 512);
    CHECK(*parse_size("64KiB") == 65536);
    CHECK(*parse_size("1GB") == 1'000'000'000);
    for (const char* wrong : {"", "MiB", "-1", "1.5GiB", "1 MiB", "9999999999GiB"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_size(wrong));
    }
}

TEST_CASE("durations, sizes and counts are written as people read them") {
    CHECK(format_duration(300'000ms) == "5m");
    CHECK(format_duration(1500ms) == "1500ms");
    CHECK(format_duration(0ms) == "0s");
    CHECK(format_size(512) == "512 B");
    CHECK(format_size(1536) == "1.5 KiB");
    CHECK(format_count(1234567) == "1,234,567");
    CHECK(format_count(-1234) == "-1,234");
    CHECK(format_count(999) == "999");
}

TEST_CASE("nearest finds a misspelt word, and nothing for a strange one") {
    const std::vector<std::string> names{"subscribe", "subscribePattern", "assign"};
    CHECK(nearest("subscibe", names) == "subscribe");
    CHECK(nearest("SUBSCRIBE", names) == "subscribe");
    CHECK_FALSE(nearest("compression", names));
}

TEST_CASE("json_quoted escapes, and replaces what is not UTF-8") {
    CHECK(json_quoted("a\"b\\c\n\x01") == R"("a\"b\\c\n\u0001")");
    CHECK(json_quoted("\xff") == "\"\xEF\xBF\xBD\"");
    CHECK(json_quoted("\xED\xA0\x80") == "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
    CHECK(json_quoted("größer") == "\"größer\"");
}

TEST_CASE("is_valid_utf8 refuses overlong forms, surrogates and cut sequences") {
    CHECK(is_valid_utf8("größer \xF0\x9F\x98\x80"));
    for (const char* wrong : {"\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xC3"}) {
        CHECK_FALSE(is_valid_utf8(wrong));
    }
}

TEST_CASE("to_iso8601 is UTC with milliseconds") {
    CHECK(to_iso8601(from_epoch_ms(0)) == "1970-01-01T00:00:00.000Z");
    CHECK(to_iso8601(from_epoch_ms(1'793'520'000'123)) == "2026-11-01T08:00:00.123Z");
    CHECK(to_iso8601(from_epoch_ms(-1)) == "1969-12-31T23:59:59.999Z");
}
