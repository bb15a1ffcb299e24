#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/common/json_lines.hpp"
#include "plugins/common/json_scanner.hpp"

using namespace sluice::plugins;
using namespace std::string_literals;
using namespace std::string_view_literals;
namespace json = boost::json;

namespace {

sluice_bytes bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
sluice_string str(std::string_view text) {
    return {text.data(), text.size()};
}
constexpr sluice_bytes null_bytes{nullptr, 0};

sluice_record record_of(sluice_bytes key, sluice_bytes value) {
    return {key, value, str("orders"), 7, 1'700'000'000'000, 3, SLUICE_TIMESTAMP_CREATE, nullptr};
}

std::string line(const sluice_record& record, std::vector<sluice_header> headers = {},
                 ValueMode mode = ValueMode::text) {
    std::string out;
    append_json_line(out, record, {headers.data(), headers.size()}, mode);
    return out;
}

/// What stands behind `"value":` (or `"valueBase64":`), up to the end of the object.
std::string value_in(std::string_view value, ValueMode mode) {
    const std::string out = line(record_of(null_bytes, bytes(value)), {}, mode);
    const std::size_t at = out.find("\"value");
    REQUIRE(out.substr(out.size() - 2) == "}\n");
    return out.substr(at, out.size() - 2 - at);
}

/// A strict parser that we did not write, with the same bound on depth.
bool boost_accepts(std::string_view text) {
    json::parse_options options;
    options.max_depth = json_depth_max;
    json::error_code error;
    json::parse(json::string_view(text.data(), text.size()), error, {}, options);
    return !error;
}

}  // namespace

TEST_CASE("append_json_line writes one line with every field, in a fixed order") {
    CHECK(line(record_of(bytes("k"), bytes("v")), {{str("trace"), bytes("a1")}}) ==
          R"({"topic":"orders","partition":3,"offset":7,"timestamp":1700000000000,)"
          R"("timestampType":"CreateTime","key":"k","headers":[["trace","a1"]],"value":"v"})"
          "\n");
}

TEST_CASE("append_json_line appends behind what the buffer already holds") {
    std::string out = "before\n";
    append_json_line(out, record_of(null_bytes, null_bytes), {nullptr, 0}, ValueMode::text);
    CHECK(out.starts_with("before\n{\"topic\":"));
}

TEST_CASE("append_json_line tells Kafka's null from the empty text") {
    const std::string out = line(record_of(null_bytes, bytes("")));
    CHECK(out.find(R"("key":null,"headers":[],"value":"")") != std::string::npos);
}

TEST_CASE("append_json_line puts bytes that are no UTF-8 into keyBase64 and valueBase64") {
    const std::string out = line(record_of(bytes("\xff"), bytes("text, then \xC3")));
    CHECK(out.find(R"("keyBase64":"/w==")") != std::string::npos);
    CHECK(out.find(R"("valueBase64":"dGV4dCwgdGhlbiDD")") != std::string::npos);
    CHECK(out.find(R"("key":)") == std::string::npos);
    CHECK(out.find(R"("value":)") == std::string::npos);
}

TEST_CASE("append_json_line keeps headers in order, with duplicates, nulls and bytes") {
    const std::string out = line(record_of(null_bytes, null_bytes), {{str("a"), bytes("1")},
                                                                     {str("a"), null_bytes},
                                                                     {str("b"), bytes("\xfe\xff")},
                                                                     {str("\xff"), bytes("")}});
    CHECK(out.find(R"("headers":[["a","1"],["a",null],["b",{"base64":"/v8="}],)"
                   R"([{"base64":"/w=="},""]])") != std::string::npos);
}

TEST_CASE("append_json_line names the kind of timestamp as Kafka does, null when there is none") {
    sluice_record record = record_of(null_bytes, null_bytes);
    record.timestamp_ms = std::numeric_limits<std::int64_t>::min();
    record.timestamp_type = SLUICE_TIMESTAMP_LOG_APPEND;
    CHECK(
        line(record).find(R"("timestamp":-9223372036854775808,"timestampType":"LogAppendTime")") !=
        std::string::npos);
    record.timestamp_ms = -1;
    record.timestamp_type = SLUICE_TIMESTAMP_NONE;
    CHECK(line(record).find(R"("timestamp":null,"timestampType":"NoTimestampType")") !=
          std::string::npos);
}

TEST_CASE("append_json_string escapes control characters, quotes and backslashes anywhere") {
    for (std::size_t before = 0; before < 20; ++before) {  // across the eight-byte steps
        const std::string text = std::string(before, 'x') + "\"\\\b\f\n\r\t\x01\x1f\x7f" + "\0z"s;
        std::string out;
        REQUIRE(append_json_string(out, bytes(text)));
        CHECK(out == '"' + std::string(before, 'x') +
                         R"(\"\\\b\f\n\r\t\u0001\u001f)"
                         "\x7f"
                         R"(\u0000z")");
    }
}

TEST_CASE("append_json_string refuses what is not UTF-8 and leaves the buffer as it was") {
    for (const std::string_view wrong :
         {"\x80"sv, "\xC0\x80"sv, "\xE0\x80\x80"sv, "\xED\xA0\x80"sv, "\xF4\x90\x80\x80"sv,
          "\xF5\x80\x80\x80"sv, "\xC3"sv, "\xE2\x82"sv, "\xF0\x9F\x98"sv, "\xC3\x28"sv}) {
        for (std::size_t before = 0; before < 10; ++before) {
            std::string out = "kept";
            CHECK_FALSE(
                append_json_string(out, bytes(std::string(before, '\n') + std::string(wrong))));
            CHECK(out == "kept");
        }
    }
    std::string out;
    CHECK(append_json_string(out, bytes("größer \xF0\x9F\x98\x80 \xE2\x80\xA8")));
    CHECK(out == "\"größer \xF0\x9F\x98\x80 \xE2\x80\xA8\"");
}

TEST_CASE("append_base64 is RFC 4648 with padding") {
    const std::vector<std::pair<std::string_view, std::string_view>> vectors{
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xfe", "+//+"}};
    for (const auto& [plain, expected] : vectors) {
        std::string out;
        append_base64(out, bytes(plain));
        CHECK(out == expected);
    }
}

TEST_CASE("value: json embeds a valid JSON value as it is") {
    for (const std::string_view value : {R"({"b":1,"a":1.10,"a":2})"sv, "[]"sv, "null"sv,
                                         R"("x")"sv, "123456789012345678901234"sv}) {
        CHECK(value_in(value, ValueMode::json) == "\"value\":" + std::string(value));
    }
}

TEST_CASE("value: json keeps a pretty-printed value on its one line") {
    CHECK(value_in("{\r\n  \"a\": [1,\n 2]\n}\n", ValueMode::json) == R"("value":{  "a": [1, 2]})");
}

TEST_CASE("value: json falls back to text, base64 or null for what is no JSON") {
    CHECK(value_in("{a:1}", ValueMode::json) == R"("value":"{a:1}")");
    CHECK(value_in("", ValueMode::json) == R"("value":"")");
    CHECK(value_in("\"\xff\"", ValueMode::json) == R"("valueBase64":"Iv8i")");
    CHECK(line(record_of(null_bytes, null_bytes), {}, ValueMode::json).find(R"("value":null})") !=
          std::string::npos);
}

TEST_CASE("value: text never embeds, not even valid JSON") {
    CHECK(value_in(R"({"a":1})", ValueMode::text) == R"("value":"{\"a\":1}")");
}

TEST_CASE("is_json takes RFC 8259 and nothing else") {
    for (const std::string_view right :
         {"0"sv, "-0"sv, "1e5"sv, "1E+5"sv, "-1.25e-3"sv, "true"sv, " false "sv, "{}"sv, "[ ]"sv,
          "[[],{}]"sv, R"({"":{"a":[null]}})"sv, R"("\ud83d\ude00\/")"sv, "[1 , 2]"sv,
          "\t\"\"\n"sv}) {
        CAPTURE(right);
        CHECK(is_json(bytes(right)));
    }
    for (const std::string_view wrong : {""sv,
                                         " "sv,
                                         "01"sv,
                                         "+1"sv,
                                         "1."sv,
                                         ".5"sv,
                                         "1e"sv,
                                         "-"sv,
                                         "tru"sv,
                                         "nul"sv,
                                         "True"sv,
                                         "NaN"sv,
                                         "Infinity"sv,
                                         "[1,]"sv,
                                         "[,1]"sv,
                                         "[1 2]"sv,
                                         "{\"a\"}"sv,
                                         "{\"a\":}"sv,
                                         "{\"a\":1,}"sv,
                                         "{1:2}"sv,
                                         "{'a':1}"sv,
                                         "["sv,
                                         "{"sv,
                                         "]"sv,
                                         "[}"sv,
                                         "{]"sv,
                                         "[1"sv,
                                         "{\"a\":1"sv,
                                         "\"a"sv,
                                         "\"\\x\""sv,
                                         "\"\\u12\""sv,
                                         "\"\\u12g4\""sv,
                                         "\"\n\""sv,
                                         "\"\\"sv,
                                         "1 2"sv,
                                         "{}{}"sv,
                                         "\xEF\xBB\xBF{}"sv,
                                         "/**/1"sv,
                                         "\"\xff\""sv,
                                         "1\0"sv,
                                         "\x0b"
                                         "1"sv}) {
        CAPTURE(wrong);
        CHECK_FALSE(is_json(bytes(wrong)));
    }
    CHECK_FALSE(is_json(null_bytes));
}

TEST_CASE("is_json refuses lone surrogate escapes, which many readers refuse") {
    for (const std::string_view wrong :
         {R"("\ud800")"sv, R"("\ud800x")"sv, R"("\ud800\n")"sv, R"("\ud800\u0041")"sv,
          R"("\udc00")"sv, R"("\udc00\ud800")"sv}) {
        CAPTURE(wrong);
        CHECK_FALSE(is_json(bytes(wrong)));
    }
}

TEST_CASE("is_json follows nesting up to its bound, and no deeper") {
    const auto nested = [](std::size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    CHECK(is_json(bytes(nested(json_depth_max))));
    CHECK_FALSE(is_json(bytes(nested(json_depth_max + 1))));
    CHECK_FALSE(is_json(bytes(std::string(1'000'000, '['))));
}

TEST_CASE("is_json agrees with Boost.JSON on every short text over JSON's alphabet") {
    constexpr std::string_view alphabet = "{}[],:\"\\ 01-.eua";
    std::string text;
    const auto all = [&](auto& self, std::size_t left) -> void {
        if (is_json(bytes(text)) != boost_accepts(text)) {
            CAPTURE(text);
            CHECK(is_json(bytes(text)) == boost_accepts(text));
        }
        if (left == 0) return;
        for (const char c : alphabet) {
            text.push_back(c);
            self(self, left - 1);
            text.pop_back();
        }
    };
    all(all, 4);
}

TEST_CASE("random records come back from a JSON parser as they were") {
    const std::uint32_t seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    constexpr std::string_view pieces[] = {"a",         "Z",       " ",  "\"",
                                           "\\",        "\n",      "\r", "\x01",
                                           "\x7f",      "é",       "€",  "\xF0\x9F\x98\x80",
                                           "{\"a\":1}", "12345678"};
    const auto text = [&] {
        std::string out;
        for (std::size_t n = random() % 24; n > 0; --n)
            out += pieces[random() % std::size(pieces)];
        return out;
    };
    for (int i = 0; i < 2000; ++i) {
        const std::string key = text();
        const std::string value = text();
        const std::string name = text();
        const std::string out =
            line(record_of(bytes(key), bytes(value)), {{str(name), bytes(value)}}, ValueMode::text);
        REQUIRE(out.find('\n') == out.size() - 1);
        REQUIRE(out.find('\r') == std::string::npos);
        const json::value parsed = json::parse(out);
        CHECK(parsed.at("key").as_string() == key);
        CHECK(parsed.at("value").as_string() == value);
        CHECK(parsed.at("headers").at(0).at(0).as_string() == name);
        CHECK(parsed.at("headers").at(0).at(1).as_string() == value);
        CHECK(parsed.at("offset").as_int64() == 7);
    }
}
