#include "daemon/sinktest/records.hpp"

#include <array>
#include <functional>
#include <limits>

#include "daemon/base/text.hpp"
#include "daemon/sinktest/random.hpp"
#include "sluice/sink.h"

namespace sluice::sinktest {
namespace {

using namespace std::string_literals;

constexpr std::int64_t some_time_ms = 1'700'000'000'000;
constexpr std::size_t huge_bytes = 1U << 20;

std::uint64_t hash_of(const Recipe& recipe, const RecordId& id, std::int64_t offset) {
    return mixed(recipe.seed ^ hashed(id.topic) ^
                 mixed(static_cast<std::uint64_t>(id.partition) << 48 ^
                       static_cast<std::uint64_t>(offset)));
}

/// The record says which one it is, so that a target which keeps values alone can be read too.
std::string self_portrait(const RecordId& id, const std::string& text) {
    return "{\"topic\":" + json_quoted(id.topic) +
           ",\"partition\":" + std::to_string(id.partition) +
           ",\"offset\":" + std::to_string(id.offset) + ",\"text\":" + json_quoted(text) + "}";
}

TestRecord plain_record(const RecordId& id, std::uint64_t hash) {
    TestRecord record;
    record.key = to_string(id);
    record.value = self_portrait(id, std::string(hash % 200, static_cast<char>('a' + hash % 26)));
    if (hash % 3 == 0) record.headers = {{"trace", std::to_string(hash)}};
    record.timestamp_ms = some_time_ms + id.offset;
    record.timestamp_type = SLUICE_TIMESTAMP_CREATE;
    return record;
}

/// The texts that have broken writers of lines, of JSON, of SQL, and of C strings.
const std::vector<std::string>& odd_texts() {
    static const std::vector<std::string> texts{
        "",
        "\0"s,
        "before\0behind"s,
        "\0\0\0"s,
        "two\nlines\r\n",
        "\t\\N\t\\.\n",
        "\"quoted\" 'quoted' `quoted` \\",
        "snow ☃, water 💧",
        "\xEF\xBB\xBF after a byte order mark",
        "\x01\x1B[31m\x7F",
        "null",
        std::string(huge_bytes, 'x')};
    return texts;
}

/// What is no text at all.
const std::vector<std::string>& odd_bytes() {
    static const std::vector<std::string> bytes{"\xFF\xFE\xC0"s, "cut \xE2\x98"s,
                                                "\x80\x00\x01\xFF"s};
    return bytes;
}

using Change = std::function<void(TestRecord&)>;

/// Each oddity alone, on an ordinary record.
std::vector<Change> oddities(const RecordId& id, bool json_values) {
    std::vector<Change> all;
    // A target that has one row for each key shows all of them only where they differ.
    const std::string own = json_values ? to_string(id) : "";
    for (const std::string& text : odd_texts()) {
        all.emplace_back([&text, &id, json_values](TestRecord& record) {
            record.value = json_values ? self_portrait(id, text) : text;
        });
        if (text.size() < huge_bytes)
            all.emplace_back([&text, own](TestRecord& record) { record.key = text + own; });
    }
    for (const std::string& bytes : odd_bytes()) {
        if (!json_values) all.emplace_back([&bytes](TestRecord& record) { record.value = bytes; });
        all.emplace_back([&bytes, own](TestRecord& record) { record.key = bytes + own; });
        all.emplace_back([&bytes](TestRecord& record) { record.headers = {{"raw", bytes}}; });
    }
    if (!json_values) all.emplace_back([](TestRecord& record) { record.value.reset(); });
    all.emplace_back([](TestRecord& record) { record.key.reset(); });
    all.emplace_back([](TestRecord& record) {
        record.headers = {{"same", "1"}, {"same", std::nullopt}, {"", ""}, {"same", "\0"s}, {"\xFF\xFE", "no text"}};
    });
    all.emplace_back([](TestRecord& record) {
        for (int i = 0; i < 300; ++i) record.headers.emplace_back("h" + std::to_string(i), "v");
    });
    all.emplace_back([](TestRecord& record) {
        record.timestamp_ms = -1;
        record.timestamp_type = SLUICE_TIMESTAMP_NONE;
    });
    for (const std::int64_t time : {std::int64_t{0}, std::int64_t{-62'135'596'800'000},
                                    std::numeric_limits<std::int64_t>::max(),
                                    std::numeric_limits<std::int64_t>::min()}) {
        all.emplace_back([time](TestRecord& record) {
            record.timestamp_ms = time;
            record.timestamp_type = SLUICE_TIMESTAMP_LOG_APPEND;
        });
    }
    return all;
}

}  // namespace

std::string to_string(const RecordId& id) {
    return id.topic + "/" + std::to_string(id.partition) + "@" + std::to_string(id.offset);
}

bool is_gap(const Recipe& recipe, const RecordId& id) {
    // Holes of one offset, and of a transaction's or a compaction's length.
    return hash_of(recipe, id, id.offset) % 13 == 0 || hash_of(recipe, id, -1 - id.offset / 4) % 9 == 0;
}

bool is_bad(const Recipe& recipe, Flavor flavor, const RecordId& id) {
    return flavor == Flavor::refused && recipe.bad && hash_of(recipe, id, id.offset) % 7 == 3;
}

std::optional<TestRecord> record_at(const Recipe& recipe, Flavor flavor, const RecordId& id) {
    if (is_gap(recipe, id)) return std::nullopt;
    TestRecord record = plain_record(id, hash_of(recipe, id, id.offset));
    if (is_bad(recipe, flavor, id)) record.value = *recipe.bad;
    if (flavor == Flavor::odd) {
        const auto all = oddities(id, recipe.json_values);
        all[static_cast<std::size_t>(id.offset) % all.size()](record);
    }
    return record;
}

}  // namespace sluice::sinktest
