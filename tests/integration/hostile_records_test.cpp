// Records that no reasonable producer sends, delivered to the last byte.

#include <doctest/doctest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <limits>
#include <set>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;
using namespace std::string_literals;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

using Records = std::vector<Record>;

std::string from_base64(std::string_view text) {
    static constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    unsigned bits = 0;
    int held = 0;
    for (const char c : text) {
        const std::size_t digit = digits.find(c);
        if (digit == std::string_view::npos) break;  // the padding
        bits = (bits << 6) | static_cast<unsigned>(digit);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        bytes += static_cast<char>(bits >> held);
    }
    return bytes;
}

std::string text_of(const json::value& value) {
    return std::string(std::string_view(value.as_string()));
}

/// Text, bytes or null, in whichever of the two keys it stands.
std::optional<std::string> bytes_at(const json::object& line, const std::string& key) {
    if (const json::value* base64 = line.if_contains(key + "Base64")) {
        REQUIRE_FALSE(line.contains(key));
        return from_base64(text_of(*base64));
    }
    if (line.at(key).is_null()) return std::nullopt;
    return text_of(line.at(key));
}

std::optional<std::string> header_bytes(const json::value& value) {
    if (value.is_null()) return std::nullopt;
    if (value.is_object()) return from_base64(text_of(value.at("base64")));
    return text_of(value);
}

/// librdkafka hands names of headers over as C strings: one ends at its first NUL. Values have a
/// length.
std::string name_kept(const std::string& name) {
    return name.substr(0, name.find('\0'));
}

/// The records of one topic below `out`, by partition and in the order of their offsets.
std::map<std::int32_t, Records> delivered(const fs::path& out, const std::string& topic) {
    std::map<std::int32_t, Records> records;
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(out / topic)) {
        CHECK(entry.path().filename().string().size() <= 255);
        if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    std::map<std::int32_t, std::int64_t> next;
    for (const fs::path& file : files) {
        std::ifstream stream(file, std::ios::binary);
        for (std::string text; std::getline(stream, text);) {
            const json::object line = json::parse(text).as_object();
            Record record;
            record.partition = static_cast<std::int32_t>(line.at("partition").as_int64());
            // No transactions here: every offset has its record.
            CHECK(line.at("offset").as_int64() == next[record.partition]++);
            CHECK(text_of(line.at("topic")) == topic);
            record.key = bytes_at(line, "key");
            record.value = bytes_at(line, "value");
            const json::value& time = line.at("timestamp");
            record.timestamp_ms = time.is_null() ? -1 : time.as_int64();
            for (const json::value& header : line.at("headers").as_array()) {
                record.headers.emplace_back(*header_bytes(header.at(0)),
                                            header_bytes(header.at(1)));
            }
            records[record.partition].push_back(std::move(record));
        }
    }
    return records;
}

/// What differs, by the name of the field: megabytes are nothing to print.
std::string difference(Record sent, const Record& found) {
    for (auto& [name, value] : sent.headers)
        name = name_kept(name);
    std::string fields;
    if (sent.key != found.key) fields += " key";
    if (sent.value != found.value) fields += " value";
    if (sent.headers != found.headers) fields += " headers";
    if (sent.timestamp_ms != found.timestamp_ms) fields += " timestamp";
    return fields;
}

void check_same(const Records& sent, const Records& found) {
    REQUIRE(found.size() == sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
        CAPTURE(i);
        CHECK(difference(sent[i], found[i]) == "");
    }
}

void drain(const WorkFolder& folder, const std::string& yaml) {
    DaemonProcess daemon(folder.path(), yaml);
    daemon.start();
    const auto ended = daemon.wait(std::chrono::seconds{120});
    INFO(daemon.log());
    REQUIRE(ended);
    REQUIRE(ended->code == 0);
}

Record record_of(std::optional<std::string> key, std::optional<std::string> value) {
    Record record;
    record.key = std::move(key);
    record.value = std::move(value);
    record.timestamp_ms = 1'700'000'000'000;
    return record;
}

const std::string every_byte = [] {
    std::string bytes;
    for (int i = 0; i < 256; ++i)
        bytes += static_cast<char>(i);
    return bytes;
}();

Records hostile_records() {
    Records all;
    const std::vector<std::optional<std::string>> texts{std::nullopt,
                                                        "",
                                                        "\0"s,
                                                        "a\0b"s,
                                                        "\n",
                                                        "\r\n\"\\",
                                                        "\xFF",
                                                        "\xC3",
                                                        "\xC0\x80",
                                                        "\xED\xA0\x80",
                                                        "\xF4\x90\x80\x80",
                                                        "ä\u2028\U0001F600",
                                                        "\x1B[31m\x7F",
                                                        "null",
                                                        "{\"a\":1}",
                                                        every_byte};
    for (const auto& key : texts) {
        for (const auto& value : texts)
            all.push_back(record_of(key, value));
    }
    for (const auto& name : texts) {
        if (!name) continue;  // a header has a name
        Record record = record_of("headers", *name);
        for (const auto& value : texts)
            record.headers.emplace_back(*name, value);  // one name often
        record.headers.emplace_back("", std::nullopt);
        record.headers.emplace_back("", "");
        all.push_back(std::move(record));
    }
    Record many = record_of("many headers", "v");
    for (int i = 0; i < 1000; ++i) {
        many.headers.emplace_back("h" + std::to_string(i % 10), every_byte.substr(0, i % 256));
    }
    all.push_back(std::move(many));
    for (const std::int64_t time :
         {std::int64_t{-1}, std::int64_t{1}, std::numeric_limits<std::int64_t>::max()}) {
        all.push_back(record_of("time", std::to_string(time)));
        all.back().timestamp_ms = time;
    }
    return all;
}

/// As long as Kafka allows, with every kind of character that it allows.
std::string longest_name() {
    std::string name = Kafka::unique("a.b_c-D9");
    return std::string(249 - name.size(), 'x') + name;
}

/// Every byte, unlike its neighbours: a piece that is missing or twice is seen.
std::string large(std::size_t size, unsigned salt) {
    std::string bytes(size, '\0');
    std::uint32_t state = salt;
    for (char& c : bytes) {
        state = state * 1664525U + 1013904223U;
        c = static_cast<char>(state >> 24);
    }
    return bytes;
}

/// The books of all batches, as the tool shows them with the daemon down: every record was polled
/// and accepted once, none is missing.
void check_books(const WorkFolder& folder, const std::string& yaml, std::size_t records) {
    const fs::path file = folder.path() / "books.yaml";
    std::ofstream(file) << yaml;
    const CommandResult listed = run_command(
        "sluice",
        {"batches", "list", "orders", "--limit", "1000", "--json", "--config", file.string()});
    INFO(listed.out << listed.err);
    REQUIRE(listed.code == 0);
    std::map<std::string, std::int64_t> sums;
    const json::value answer = json::parse(listed.out);
    for (const json::value& batch : answer.at("batches").as_array()) {
        CHECK(text_of(batch.at("state")) == "committed");
        for (const char* count : {"polled", "accepted", "gaps", "dead_lettered", "lost"}) {
            sums[count] += batch.at("books").at(count).as_int64();
        }
    }
    const auto all = static_cast<std::int64_t>(records);
    CHECK(sums["polled"] == all);
    CHECK(sums["accepted"] == all);
    CHECK(sums["gaps"] + sums["dead_lettered"] + sums["lost"] == 0);
}

}  // namespace

TEST_CASE(
    "hostile bytes in keys, values, headers and timestamps arrive exactly, through every codec") {
    Kafka& kafka = Kafka::real();
    const WorkFolder folder("hostile-records");
    const std::string topic = longest_name();
    const std::vector<std::string> codecs{"none", "gzip", "snappy", "lz4", "zstd"};
    kafka.create_topic(topic, static_cast<int>(codecs.size()) + 1,
                       {{"retention.ms", "-1"},  // old as some of the records are
                        {"message.timestamp.before.max.ms", "9223372036854775807"},
                        {"message.timestamp.after.max.ms", "9223372036854775807"}});
    const Records records = hostile_records();
    const auto count = static_cast<std::int64_t>(records.size());
    for (std::size_t p = 0; p < codecs.size(); ++p) {
        kafka.produce(topic, count,
                      [&](std::int64_t i) {
                          Record record = records[static_cast<std::size_t>(i)];
                          record.partition = static_cast<std::int32_t>(p);
                          return record;
                      },
                      {{"compression.type", codecs[p]}});
    }
    // The last partition changes its codec 32 times.
    const auto last = static_cast<std::int32_t>(codecs.size());
    Records mixed;
    for (std::size_t turn = 0; turn < 32; ++turn) {
        kafka.produce(topic, 8,
                      [&](std::int64_t i) {
                          Record record =
                              records[(turn * 8 + static_cast<std::size_t>(i)) % records.size()];
                          record.partition = last;
                          mixed.push_back(record);
                          return record;
                      },
                      {{"compression.type", codecs[turn % codecs.size()]}});
    }
    const std::size_t all = codecs.size() * records.size() + mixed.size();
    PipelineYaml pipeline;
    pipeline.topics = {topic};
    pipeline.source_extra = "maxOffsetsPerTrigger: 500\nminPartitions: 9\n";

    SUBCASE("as JSON Lines") {
        pipeline.out = folder.path() / "out";
        const std::string yaml =
            config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline));
        drain(folder, yaml);
        auto found = delivered(folder.path() / "out", topic);
        for (std::int32_t p = 0; p < last; ++p)
            check_same(records, found[p]);
        check_same(mixed, found[last]);
        check_books(folder, yaml, all);
    }
    SUBCASE("as the bytes of the value and a line break") {
        pipeline.out = folder.path() / "values";
        pipeline.sink = "plugin: file\nformat: value\n";
        const std::string yaml =
            config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline));
        drain(folder, yaml);
        std::vector<fs::path> files;
        const fs::path partition = folder.path() / "values" / topic / "partition=0";
        for (const auto& entry : fs::directory_iterator(partition))
            files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        std::string text;
        for (const fs::path& file : files) {
            std::ifstream stream(file, std::ios::binary);
            text.append(std::istreambuf_iterator<char>(stream), {});
        }
        std::string expected;
        for (const Record& record : records)
            expected += record.value.value_or("") + "\n";
        CHECK((text == expected));  // not for printing
        check_books(folder, yaml, all);
    }
}

TEST_CASE("records of up to 8 MiB arrive with the default settings") {
    Kafka& kafka = Kafka::real();
    const WorkFolder folder("hostile-large");
    const std::string topic = Kafka::unique("large");
    constexpr std::size_t most = 8U << 20;
    kafka.create_topic(topic, 1,
                       {{"retention.ms", "-1"}, {"max.message.bytes", std::to_string(most)}});
    Records records;
    records.push_back(record_of("small", "before"));
    records.push_back(record_of("near the default", large(1'000'000 - 200, 1)));
    records.push_back(record_of(large(2U << 20, 2), std::nullopt));
    records.push_back(record_of(large(3U << 20, 3), large(most - (3U << 20) - 1024, 4)));
    records.push_back(record_of("the most", std::string(most - 1024, 'x')));
    records.push_back(record_of("small", "after"));
    kafka.produce(topic, static_cast<std::int64_t>(records.size()),
                  [&](std::int64_t i) { return records[static_cast<std::size_t>(i)]; },
                  {{"message.max.bytes", "20000000"}, {"batch.num.messages", "1"}});
    PipelineYaml pipeline;
    pipeline.topics = {topic};
    pipeline.out = folder.path() / "out";
    const std::string yaml = config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline));
    drain(folder, yaml);
    check_same(records, delivered(folder.path() / "out", topic)[0]);
    check_books(folder, yaml, records.size());
}
