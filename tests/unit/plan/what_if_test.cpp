#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "daemon/cli/what_if.hpp"

using namespace sluice;
using sluice::cli::what_if;

namespace {

/// The message of the error that `json` is answered with; each must be the caller's own mistake.
std::string refusal(std::string_view json) {
    const auto answer = what_if(json);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == ErrorCode::invalid_argument);
    CHECK_FALSE(answer.error().retriable);
    return answer.error().message;
}

bool says(const std::string& message, std::string_view words) {
    const bool found = message.find(words) != std::string::npos;
    if (!found) MESSAGE(message);
    return found;
}

std::string range(std::string_view fields) {
    return R"({"ranges": [{)" + std::string(fields) + "}]}";
}

}  // namespace

TEST_CASE("what_if splits ranges and names the preferred executor") {
    CHECK(*what_if(R"({"ranges": [{"topic": "t1", "partition": 1, "from": 1, "until": 2}],
                       "executors": ["a"]})") ==
          R"({"ranges":[{"topic":"t1","partition":1,"from":1,"until":2,"preferred":"a"}]})");
    CHECK(*what_if(R"({"ranges": [{"topic": "t1", "partition": 1, "from": 1, "until": 2}],
                       "executors": []})") ==
          R"({"ranges":[{"topic":"t1","partition":1,"from":1,"until":2,"preferred":null}]})");
    CHECK(*what_if(R"({"ranges": []})") == R"({"ranges":[]})");
}

TEST_CASE("what_if limits and delays") {
    CHECK(*what_if(R"({"from": {"t": {"0": 0}}, "until": {"t": {"0": 9}}, "limit": 4})") ==
          R"({"until":{"t":{"0":4}}})");
    CHECK(*what_if(R"({"from": {}, "until": {}, "limit": 4})") == R"({"until":{}})");
    CHECK(*what_if(R"({"from": {}, "latest": {"t": {"0": 9}}, "minOffsets": 10,
                       "elapsedMs": 0, "maxTriggerDelayMs": 1})") == R"({"skip":true})");
}

TEST_CASE("what_if keeps every digit of the largest offsets") {
    CHECK(*what_if(range(R"("topic":"t","partition":2147483647,)"
                         R"("from":9007199254740993,"until":9223372036854775807)")) ==
          R"({"ranges":[{"topic":"t","partition":2147483647,)"
          R"("from":9007199254740993,"until":9223372036854775807}]})");
}

TEST_CASE("what_if lists partitions in the order of their numbers") {
    CHECK(*what_if(R"({"from": {}, "until": {"t": {"10": 1, "9": 2}}, "limit": 4})") ==
          R"({"until":{"t":{"9":2,"10":1}}})");
}

TEST_CASE("what_if says where a text stops being JSON") {
    CHECK(says(refusal(""), "not JSON at byte 0"));
    CHECK(says(refusal("{"), "not JSON at byte 1"));
    CHECK(says(refusal("{]"), "not JSON at byte 1"));
    CHECK(says(refusal(R"({"ranges": []} x)"), "not JSON at byte 15"));
    CHECK(says(refusal(R"({"ranges": []}{})"), "follows the end"));
    CHECK(says(refusal("{\"ran\xFFges\": []}"), "not JSON"));
    CHECK(says(refusal(R"({"ranges": [],})"), "not JSON"));
    CHECK(says(refusal(R"({"limit": 01})"), "not JSON"));
    CHECK(says(refusal(R"({"limit": NaN})"), "not JSON"));
}

TEST_CASE("what_if takes one object that asks one thing") {
    for (const char* json : {"[]", "null", "3", "\"ranges\"", "true", "1.5"}) {
        CHECK(says(refusal(json), "accepted is one object with"));
    }
    CHECK(says(refusal("[]"), "the input is an array"));
    CHECK(says(refusal("{}"), R"("ranges" (how ranges are split), or "limit")"));
    CHECK(says(refusal(R"({"from": {}, "until": {}})"), "no key says what is asked"));
    CHECK(says(refusal(R"({"ranges": [], "limit": 3})"), R"("ranges" and "limit" ask two)"));
}

TEST_CASE("what_if names an unknown key, and the one that was meant") {
    CHECK(says(refusal(R"({"ranges": [], "minPartition": 3})"),
               R"(unknown key "minPartition": did you mean "minPartitions"?)"));
    CHECK(says(refusal(R"({"ranges": [], "zzzzzzzzzz": 3})"),
               "ranges, minPartitions, maxRecordsPerPartition, executors"));
    CHECK(says(refusal(R"({"from": {}, "until": {}, "limit": 3, "lastAdvanced": {}})"),
               R"(did you mean "last_advanced"?)"));
    CHECK(says(refusal(R"({"from": {}, "latest": {}, "minOffsets": 3, "elapsedMs": 0,
                           "maxTriggerDelayMs": 3, "until": {}})"),
               R"(unknown key "until")"));
    CHECK(says(refusal(range(R"("topic":"t","partition":0,"from":0,"until":1,"untill":1)")),
               R"(unknown key "untill" in ranges[0]: did you mean "until"?)"));
}

TEST_CASE("what_if refuses a short question with a very long answer") {
    CHECK(says(refusal(R"({"ranges": [{"topic":"t","partition":0,"from":0,"until":9000000000}],)"
                       R"( "maxRecordsPerPartition": 50000})"),
               "180000 ranges, and at most 100000"));
}

TEST_CASE("what_if shortens a key that is very long") {
    const auto message = refusal(R"({"ranges": [], ")" + std::string(100'000, 'x') + R"(": 1})");
    CHECK(says(message, "…"));
    CHECK(message.size() < 300);
}

TEST_CASE("what_if names a missing key and what it accepts") {
    CHECK(says(refusal(range(R"("partition":0,"from":0,"until":1)")),
               R"(key "topic" is missing in ranges[0]: accepted is the name of a topic)"));
    CHECK(says(refusal(range(R"("topic":"t","from":0,"until":1)")), R"("partition" is missing)"));
    CHECK(says(refusal(range(R"("topic":"t","partition":0,"until":1)")), R"("from" is missing)"));
    CHECK(says(refusal(range(R"("topic":"t","partition":0,"from":0)")), R"("until" is missing)"));
    CHECK(says(refusal(R"({"until": {}, "limit": 1})"),
               R"(key "from" is missing: accepted is a map {topic: {partition: offset}})"));
    CHECK(says(refusal(R"({"from": {}, "limit": 1})"), R"("until" is missing)"));
    const std::string delay = R"({"from": {}, "latest": {}, "minOffsets": 1)";
    CHECK(says(refusal(delay + R"(, "elapsedMs": 1})"), R"("maxTriggerDelayMs" is missing)"));
    CHECK(says(refusal(delay + R"(, "maxTriggerDelayMs": 1})"), R"("elapsedMs" is missing)"));
    CHECK(says(refusal(R"({"from": {}, "minOffsets": 1, "elapsedMs": 1})"),
               R"("latest" is missing)"));
}

TEST_CASE("what_if names a key of the wrong type and what it accepts") {
    CHECK(says(refusal(R"({"ranges": {}})"), "ranges is an object: accepted is a list of {topic"));
    CHECK(says(refusal(R"({"ranges": [3]})"), "ranges[0] is a number: accepted is an object"));
    CHECK(says(refusal(R"({"ranges": [[]]})"), "ranges[0] is an array"));
    CHECK(says(refusal(range(R"("topic":3,"partition":0,"from":0,"until":1)")),
               "ranges[0].topic is a number: accepted is the name of a topic"));
    CHECK(says(refusal(range(R"("topic":"","partition":0,"from":0,"until":1)")),
               "ranges[0].topic is empty"));
    CHECK(says(refusal(range(R"("topic":"t","partition":"0","from":0,"until":1)")),
               "ranges[0].partition is a string: accepted is a whole number from 0 to 2147483647"));
    CHECK(says(refusal(R"({"ranges": [], "executors": "a"})"),
               "executors is a string: accepted is a list of names"));
    CHECK(says(refusal(R"({"ranges": [], "executors": ["a", null]})"), "executors[1] is null"));
    CHECK(says(refusal(R"({"ranges": [], "executors": [""]})"), "executors[0] is empty"));
    CHECK(says(refusal(R"({"ranges": [], "minPartitions": null})"), "minPartitions is null"));
    CHECK(says(refusal(R"({"ranges": [], "maxRecordsPerPartition": true})"),
               "maxRecordsPerPartition is a boolean"));
    CHECK(says(refusal(R"({"from": [], "until": {}, "limit": 1})"),
               "from is an array: accepted is a map {topic: {partition: offset}}"));
    CHECK(says(refusal(R"({"from": {}, "until": {"t": 3}, "limit": 1})"),
               R"(until["t"] is a number: accepted is a map {partition: offset})"));
    CHECK(says(refusal(R"({"from": {}, "until": {"t": {"0": "3"}}, "limit": 1})"),
               R"(until["t"]["0"] is a string)"));
    CHECK(says(refusal(R"({"from": {}, "until": {"": {"0": 3}}, "limit": 1})"), "without a topic"));
    CHECK(says(refusal(R"({"from": {}, "until": {}, "limit": 1, "earliest": null})"),
               "earliest is null"));
    CHECK(says(refusal(R"({"from": {}, "until": {}, "limit": 1, "last_advanced": 3})"),
               "last_advanced is a number"));
}

TEST_CASE("what_if takes partitions in plain digits only, so that each has one name") {
    for (const char* partition : {"", "a", "-1", "+1", "01", "1.0", " 1", "2147483648", "1e3"}) {
        const std::string json =
            R"({"from": {}, "until": {"t": {")" + std::string(partition) + R"(": 3}}, "limit": 1})";
        CHECK(says(refusal(json), "accepted is a partition from \"0\" to \"2147483647\""));
    }
}

TEST_CASE("what_if takes whole numbers within their bounds only") {
    // Whatever does not fit, or was written as a fraction, must not be rounded to something near.
    for (const char* number :
         {"1.0", "1.5", "1e3", "-1", "-9223372036854775808", "9223372036854775808",
          "18446744073709551615", "18446744073709551616", "1e400", "99999999999999999999999999"}) {
        INFO(number);
        const std::string n(number);
        const std::string_view accepted =
            "accepted is a whole number from 0 to 9223372036854775807";
        CHECK(says(refusal(range(R"("topic":"t","partition":0,"until":1,"from":)" + n)), accepted));
        CHECK(says(refusal(range(R"("topic":"t","partition":0,"from":1,"until":)" + n)), accepted));
        CHECK(says(refusal(R"({"until": {}, "limit": 1, "from": {"t": {"0": )" + n + "}}}"),
                   accepted));
        CHECK(says(refusal(R"({"from": {}, "latest": {}, "minOffsets": 1, "maxTriggerDelayMs": 1,
                               "elapsedMs": )" +
                           n + "}"),
                   accepted));
        CHECK(says(refusal(R"({"from": {}, "until": {}, "limit": )" + n + "}"),
                   "accepted is a whole number from 1"));
    }
    CHECK(says(refusal(R"({"ranges": [], "minPartitions": 9223372036854775808})"),
               "minPartitions is 9223372036854775808: accepted is"));
    CHECK(says(refusal(R"({"ranges": [], "minPartitions": 8.0})"),
               "minPartitions is not written as a whole number"));
    CHECK(says(refusal(R"({"ranges": [], "minPartitions": 0})"), "minPartitions is 0"));
    CHECK(says(refusal(R"({"ranges": [], "maxRecordsPerPartition": 0})"), "from 1 to"));
    CHECK(says(refusal(R"({"from": {}, "until": {}, "limit": 0})"), "limit is 0"));
    CHECK(says(refusal(R"({"from": {}, "latest": {}, "elapsedMs": 1, "maxTriggerDelayMs": 1,
                           "minOffsets": 0})"),
               "minOffsets is 0"));
    CHECK(says(refusal(range(R"("topic":"t","from":0,"until":1,"partition":2147483648)")),
               "partition is 2147483648"));
}

TEST_CASE("what_if refuses a key that appears twice, at any depth") {
    CHECK(says(refusal(R"({"limit": 1, "from": {}, "until": {}, "limit": 2})"),
               R"(key "limit" appears twice)"));
    CHECK(says(refusal(R"({"limit": 1, "from": {}, "until": {"t": {"0": 1, "0": 2}}})"),
               R"(key "0" appears twice)"));
    CHECK(says(refusal(R"({"limit": 1, "from": {}, "until": {"t": {}, "\u0074": {}}})"),
               R"(key "t" appears twice)"));
    CHECK(says(refusal(range(R"("topic":"a","topic":"b")")), R"(key "topic" appears twice)"));
    // The same key in different objects is no repetition.
    CHECK(what_if(R"({"limit": 1, "from": {"t": {"0": 1}}, "until": {"t": {"0": 1}}})"));
}

TEST_CASE("what_if bounds the depth and the length of its input") {
    const auto nested = [](std::size_t depth) {
        return R"({"ranges": )" + std::string(depth, '[') + std::string(depth, ']') + "}";
    };
    CHECK(says(refusal(nested(100'000)), "nested too deep: at most 8 levels"));
    CHECK(says(refusal(nested(8)), "nested too deep"));
    CHECK(says(refusal(nested(7)), "ranges[0] is an array"));
    CHECK(says(refusal(R"({"ranges": [])" + std::string(16U << 20U, ' ') + "}"),
               "at most 16.0 MiB are accepted"));
}

TEST_CASE("what_if refuses a question whose answer would be too long") {
    const std::string huge = R"("topic":"t","partition":0,"from":0,"until":9223372036854775807)";
    CHECK(says(refusal(R"({"maxRecordsPerPartition": 1, "ranges": [{)" + huge + "}]}"),
               "raise maxRecordsPerPartition"));
    CHECK(says(refusal(R"({"minPartitions": 2147483647, "ranges": [{)" + huge + "}]}"),
               "lower minPartitions"));
}
