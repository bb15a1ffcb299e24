#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "plugins/postgres/row_encoder.hpp"

using namespace sluice;
using namespace sluice::plugins::postgres;

namespace {

using Bytes = std::optional<std::string_view>;

sluice_bytes raw(Bytes bytes) {
    if (!bytes) return {nullptr, 0};
    return {reinterpret_cast<const std::uint8_t*>(bytes->data()), bytes->size()};
}

sluice_record record_of(Bytes key, Bytes value) {
    return {raw(key),          raw(value), SLUICE_STRING("orders"), 7,
            1'700'000'000'123, 3,          SLUICE_TIMESTAMP_CREATE, nullptr};
}

struct Encoded {
    bool is_row = false;
    std::string text;  ///< the row, or what was left of it
    std::string reason;
};

Encoded encode(const std::string& columns, const sluice_record& record,
               const std::vector<std::size_t>& key = {}, Headers headers = {nullptr, 0}) {
    Options options;
    options.columns = columns.empty() ? default_columns() : read_columns(columns);
    options.key = key;
    options.mode = key.empty() ? Mode::append : Mode::upsert;
    const RowPlan plan(options);
    RowEncoder encoder(plan, 4);
    Encoded made;
    made.text = "before|";
    made.is_row = encoder.append(made.text, Record(record), headers, made.reason);
    REQUIRE(made.text.substr(0, 7) == "before|");
    made.text.erase(0, 7);
    if (!made.is_row) CHECK(made.text.empty());
    return made;
}

/// A row of one column that a field of the value fills.
Encoded field(const std::string& type, const std::string& value) {
    return encode(R"({"c":{"from":"value.f","type":")" + type + "\"}}", record_of("k", value));
}

}  // namespace

TEST_CASE("a row has the topic, place, time, key and value unless columns are named") {
    const Encoded made = encode("", record_of("k", "v"));
    CHECK(made.text == "orders\t3\t7\t2023-11-14 22:13:20.123+00\tk\tv\n");
}

TEST_CASE("Kafka's null is NULL, and empty is empty, and a text \\N is not NULL") {
    CHECK(encode(R"({"k":"key","v":"value"})", record_of(std::nullopt, "")).text == "\\N\t\n");
    CHECK(encode(R"({"k":"key","v":"value"})", record_of("\\N", "\\.")).text == "\\\\N\t\\\\.\n");
}

TEST_CASE("bytes that COPY gives a meaning are escaped") {
    CHECK(encode(R"({"v":"value"})", record_of("", "a\tb\nc\\d\re\x01")).text ==
          "a\\tb\\nc\\\\d\\re\x01\n");
}

TEST_CASE("a text column refuses NUL and invalid UTF-8, and names itself") {
    using namespace std::string_view_literals;
    for (const auto bad : {"a\0b"sv, "a\xFF"sv, "\xC3"sv, "\xED\xA0\x80"sv}) {
        const Encoded made = encode(R"({"k":"key","v":"value"})", record_of("k", bad));
        CHECK_FALSE(made.is_row);
        CHECK(made.reason.find("column 'v' (text, from value)") == 0);
        CHECK(made.reason.find("bytea") != std::string::npos);
    }
    CHECK(encode(R"({"v":"value"})", record_of("", "grün €")).text == "grün €\n");
}

TEST_CASE("a bytea column takes any bytes") {
    using namespace std::string_view_literals;
    CHECK(encode(R"({"v":{"from":"value","type":"bytea"}})", record_of("", "\0\xFF\\a"sv)).text ==
          "\\\\x00ff5c61\n");
}

TEST_CASE("timestamps are right at the edges of years, and NULL when there is none") {
    const auto text = [](std::int64_t ms) {
        std::string out;
        return append_timestamp(out, ms) ? out : "refused";
    };
    CHECK(text(0) == "1970-01-01 00:00:00.000+00");
    CHECK(text(-1) == "1969-12-31 23:59:59.999+00");
    CHECK(text(951'782'400'000) == "2000-02-29 00:00:00.000+00");
    CHECK(text(4'107'542'399'999) == "2100-02-28 23:59:59.999+00");
    CHECK(text(-62135596800000) == "0001-01-01 00:00:00.000+00");
    CHECK(text(-62135596800001) == "refused");
    CHECK(text(253402300799999) == "9999-12-31 23:59:59.999+00");
    CHECK(text(253402300800000) == "refused");
    CHECK(text(std::numeric_limits<std::int64_t>::min()) == "refused");
    sluice_record none = record_of("k", "v");
    none.timestamp_ms = -1;
    CHECK(encode(R"({"t":"timestamp"})", none).text == "\\N\n");
    CHECK(encode(R"({"t":{"from":"timestamp","type":"bigint"}})", record_of("k", "v")).text ==
          "1700000000123\n");
}

TEST_CASE("headers are a JSON array of pairs; what is no text is base64") {
    const std::string bytes("\xFF\x00", 2);
    const std::vector<sluice_header> raw_headers{
        {SLUICE_STRING("trace"), raw("a\"1")},
        {SLUICE_STRING("none"), raw(std::nullopt)},
        {SLUICE_STRING("raw"), raw(bytes)},
        {SLUICE_STRING("\xFF"), raw("name")},
    };
    const Encoded made = encode(R"({"h":"headers"})", record_of("k", "v"), {},
                                {raw_headers.data(), raw_headers.size()});
    // COPY's escape doubles the backslash of JSON's.
    CHECK(made.text ==
          "[[\"trace\",\"a\\\\\"1\"],[\"none\",null],[\"raw\",{\"base64\":\"/wA=\"}],[{\"base64\":\"/w==\"},\"name\"]]\n");
    CHECK(encode(R"({"h":"headers"})", record_of("k", "v")).text == "[]\n");
}

TEST_CASE("a field keeps its digits, and its type is held against the column's") {
    CHECK(field("bigint", R"({"f": 9223372036854775807})").text == "9223372036854775807\n");
    CHECK_FALSE(field("bigint", R"({"f": 9223372036854775808})").is_row);
    CHECK_FALSE(field("integer", R"({"f": 2147483648})").is_row);
    CHECK(field("smallint", R"({"f": -32768})").text == "-32768\n");
    CHECK_FALSE(field("smallint", R"({"f": 1.5})").is_row);
    CHECK(field("numeric(40,20)", R"({"f": 1.00000000000000000001})").text ==
          "1.00000000000000000001\n");
    CHECK(field("boolean", R"({"f": true})").text == "true\n");
    CHECK(field("text", R"({"f": {"a": [1, 2]}})").text == "{\"a\": [1, 2]}\n");
    CHECK(field("jsonb", R"({"f": "a\n"})").text == "\"a\\\\n\"\n");
    CHECK(field("timestamptz", R"({"f": 0})").text == "1970-01-01 00:00:00.000+00\n");
    CHECK(field("timestamptz", R"({"f": "2024-01-01"})").text == "2024-01-01\n");
    CHECK(field("uuid", R"({"f": "x"})").text == "x\n");
    for (const auto& [type, value] :
         std::vector<std::pair<const char*, const char*>>{{"bigint", R"({"f":"1"})"},
                                                          {"boolean", R"({"f":1})"},
                                                          {"numeric", R"({"f":"1"})"},
                                                          {"double precision", R"({"f":true})"},
                                                          {"timestamptz", R"({"f":[]})"}}) {
        const Encoded made = field(type, value);
        CHECK_FALSE(made.is_row);
        CHECK(made.reason.find("from value.f): the field is a") != std::string::npos);
    }
    CHECK(field("bigint", R"({"f": null})").text == "\\N\n");
    CHECK(field("bigint", R"({"g": 1})").text == "\\N\n");
    CHECK_FALSE(field("text", "{\"f\": \"a\\u0000\"}").is_row);
}

TEST_CASE("fields are found by name at any depth; the last of equal names counts") {
    const auto find = [](const std::string& from, const std::string& value) {
        return encode(R"({"c":{"from":)" + from + "}}", record_of("k", value)).text;
    };
    const std::string nested = R"({"x":{"b":9},"a":{"c":"}","b":"in","d":[{"b":3}]},"b":"out"})";
    CHECK(find(R"("value.a.b")", nested) == "in\n");
    CHECK(find(R"("value.b")", nested) == "out\n");
    CHECK(find(R"("value.a.d")", nested) == "[{\"b\":3}]\n");
    CHECK(find(R"("value.a")", R"({"a":1,"a":2})") == "2\n");
    CHECK(find(R"("value.a.b")", R"({"a":{"b":1},"a":null})") == "\\N\n");
    CHECK(find(R"(["value","a.b"])", R"({"a.b":"dot","a":{"b":1}})") == "dot\n");
    CHECK(find(R"("value.é")", R"({"\u00e9":"\ud83d\ude00\u20ac\/"})") == "😀€/\n");
    CHECK(find(R"("value.a")", " {} ") == "\\N\n");
    CHECK(find(R"("value.a")", R"( { "a" : "b" } )") == "b\n");
}

TEST_CASE("fields of random JSON, whole or damaged, are those that Boost.JSON finds") {
    std::mt19937 random(20240229);
    const auto pick = [&](int count) {
        return std::uniform_int_distribution<>(0, count - 1)(random);
    };
    const std::function<std::string(int)> value = [&](int depth) -> std::string {
        static const char* const scalars[] = {"null",  "true",        "-1.5e3",      "0",
                                              R"("")", R"("a}\\\"")", R"("\u0061")", "[]"};
        static const char* const names[] = {"a", "b", R"(\u0061)", R"(c,\\)"};
        if (depth == 0 || pick(3) == 0) return scalars[pick(8)];
        std::string text = "{";
        for (int i = pick(4); i-- > 0;) {
            if (text.size() > 1) text += ',';
            text += pick(2) == 0 ? " \"" : "\"";
            text += names[pick(4)];
            text += pick(2) == 0 ? "\" : " : "\":";
            text += value(depth - 1);
        }
        text += '}';
        return pick(4) == 0 ? "[" + text + ", 1]" : text;
    };
    const std::vector<std::vector<std::string>> paths{{"a"}, {"a", "b"}, {"b", "a", "a"}};
    FieldTree tree;
    for (std::size_t i = 0; i < paths.size(); ++i)
        tree.add(paths[i], i);
    std::string scratch;
    int objects = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::string text = value(4);
        if (pick(3) == 0)
            text.erase(static_cast<std::size_t>(pick(static_cast<int>(text.size()))), 1);
        const std::vector<char> exact(text.begin(), text.end());  // no byte behind it
        std::vector<std::string_view> found(paths.size());
        const bool is_object = tree.find({exact.data(), exact.size()}, found, scratch);
        boost::json::error_code error;
        const auto parsed = boost::json::parse(text, error);
        CAPTURE(text);
        REQUIRE(is_object == (!error && parsed.is_object()));
        if (!is_object) continue;
        ++objects;
        for (std::size_t i = 0; i < paths.size(); ++i) {
            const boost::json::value* at = &parsed;
            for (const std::string& name : paths[i])
                at =
                    at != nullptr && at->is_object() ? at->get_object().if_contains(name) : nullptr;
            REQUIRE((at != nullptr) == (found[i].data() != nullptr));
            if (at == nullptr) continue;
            const boost::json::string_view slice(found[i].data(), found[i].size());
            REQUIRE((boost::json::parse(slice) == *at));
        }
    }
    CHECK(objects > 5000);
}

TEST_CASE("a value that is no JSON object is refused where fields are wanted, and null is not") {
    for (const char* bad : {"", "[1]", "1", "{", "{\"f\":1}x"}) {
        const Encoded made = field("bigint", bad);
        CHECK_FALSE(made.is_row);
        CHECK(made.reason.find("the value is no JSON object") == 0);
    }
    CHECK(encode(R"({"c":"value.f"})", record_of("k", std::nullopt)).text == "\\N\n");
}

TEST_CASE("an upsert's row says its offset, its range and whether it deletes") {
    const std::string columns = R"({"id":{"from":"key","type":"bigint"},"v":"value"})";
    CHECK(encode(columns, record_of("12", "x"), {0}).text == "12\tx\t7\t4\tf\n");
    CHECK(encode(columns, record_of("12", std::nullopt), {0}).text == "12\t\\N\t7\t4\tt\n");
    const Encoded no_key = encode(columns, record_of(std::nullopt, "x"), {0});
    CHECK_FALSE(no_key.is_row);
    CHECK(no_key.reason.find("null, and the columns of `key`") != std::string::npos);
    CHECK_FALSE(encode(columns, record_of("12x", "x"), {0}).is_row);
}

TEST_CASE("a null value cannot delete by a key that comes from the value") {
    const std::string columns = R"({"id":{"from":"value.id","type":"bigint"}})";
    const Encoded made = encode(columns, record_of("1", std::nullopt), {0});
    CHECK_FALSE(made.is_row);
    CHECK(made.reason.find("from: key") != std::string::npos);
}
