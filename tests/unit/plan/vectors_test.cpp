// Every case of tests/vectors, asked of the C++ functions and of `sluice plan --what-if`.

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "daemon/cli/what_if.hpp"
#include "daemon/plan/admission.hpp"
#include "daemon/plan/cap.hpp"
#include "daemon/plan/split.hpp"

namespace json = boost::json;
using namespace sluice;
using namespace sluice::plan;

namespace {

using Offsets = std::map<TopicPartition, std::int64_t>;

json::array cases_of(const std::string& file) {
    std::ifstream in(SLUICE_TEST_SOURCE_DIR "/tests/vectors/" + file);
    std::stringstream text;
    text << in.rdbuf();
    return json::parse(text.str()).at("cases").as_array();
}

std::string text_of(const json::value& value) {
    return std::string(value.as_string());
}

/// `expected`, or the answer of exact integers where a case carries both.
void check_expected(const json::value& vector, const json::value& answer) {
    INFO(text_of(vector.at("name")), ": ", json::serialize(answer));
    const json::value* exact = vector.as_object().if_contains("expected_exact");
    CHECK((answer == vector.at("expected") || (exact != nullptr && answer == *exact)));
}

Offsets offsets_of(const json::value& input, const char* key) {
    Offsets offsets;
    const json::value* topics = input.as_object().if_contains(key);
    if (topics == nullptr) return offsets;
    for (const auto& topic : topics->as_object()) {
        for (const auto& partition : topic.value().as_object()) {
            offsets[{std::string(topic.key()), std::stoi(std::string(partition.key()))}] =
                partition.value().as_int64();
        }
    }
    return offsets;
}

std::int64_t offset_or(const Offsets& offsets, const TopicPartition& partition,
                       std::int64_t otherwise) {
    const auto found = offsets.find(partition);
    return found == offsets.end() ? otherwise : found->second;
}

json::value split_answer(const json::value& input) {
    std::vector<OffsetRange> ranges;
    for (const json::value& range : input.at("ranges").as_array()) {
        const auto partition = static_cast<std::int32_t>(range.at("partition").as_int64());
        ranges.push_back({{text_of(range.at("topic")), partition},
                          range.at("from").as_int64(),
                          range.at("until").as_int64()});
    }
    const auto number = [&](const char* key) -> std::optional<std::int64_t> {
        const json::value* value = input.as_object().if_contains(key);
        return value == nullptr ? std::nullopt : std::optional(value->as_int64());
    };
    const json::value* executors = input.as_object().if_contains("executors");
    const auto pieces =
        split_ranges(ranges, {.max_records_per_partition = number("maxRecordsPerPartition"),
                              .min_partitions = number("minPartitions"),
                              .lanes = executors == nullptr ? 0 : executors->as_array().size()});
    REQUIRE(pieces);
    json::array answer;
    for (const auto& [range, lane] : *pieces) {
        json::object piece{{"topic", range.topic_partition.topic},
                           {"partition", range.topic_partition.partition},
                           {"from", range.from},
                           {"until", range.until}};
        if (executors != nullptr) {
            piece["preferred"] = lane ? executors->as_array().at(*lane) : json::value(nullptr);
        }
        answer.push_back(piece);
    }
    return {{"ranges", answer}};
}

json::value rate_limit_answer(const json::value& input) {
    const Offsets from = offsets_of(input, "from");
    const Offsets earliest = offsets_of(input, "earliest");
    const Offsets last_advanced = offsets_of(input, "last_advanced");
    std::vector<Backlog> available;
    for (const auto& [partition, until] : offsets_of(input, "until")) {
        const std::int64_t begin =
            offset_or(from, partition, offset_or(earliest, partition, until));
        available.push_back({{partition, begin, until}, offset_or(last_advanced, partition, -1)});
    }
    const auto limited = limit_offsets(input.at("limit").as_int64(), available);
    REQUIRE(limited);
    json::object ends;
    for (const OffsetRange& range : *limited) {
        json::value& topic = ends[range.topic_partition.topic];
        if (topic.is_null()) topic = json::object{};
        topic.as_object()[std::to_string(range.topic_partition.partition)] = range.until;
    }
    return {{"until", ends}};
}

json::value delay_answer(const json::value& input) {
    const Offsets from = offsets_of(input, "from");
    std::vector<Backlog> available;
    for (const auto& [partition, latest] : offsets_of(input, "latest")) {
        available.push_back({{partition, offset_or(from, partition, 0), latest}});
    }
    const bool skip = should_wait(available, input.at("minOffsets").as_int64(),
                                  Milliseconds{input.at("elapsedMs").as_int64()},
                                  Milliseconds{input.at("maxTriggerDelayMs").as_int64()});
    return json::object{{"skip", skip}};
}

json::value what_if_answer(const json::value& input) {
    const auto answer = cli::what_if(json::serialize(input));
    REQUIRE_MESSAGE(answer, answer.error().message);
    return json::parse(*answer);
}

}  // namespace

TEST_CASE("split_ranges answers every case of the range calculator's vectors") {
    const auto cases = cases_of("range_calculator.json");
    CHECK(cases.size() >= 30);
    for (const auto& vector : cases)
        check_expected(vector, split_answer(vector.at("input")));
}

TEST_CASE("limit_offsets and should_wait answer every case of the rate limit's vectors") {
    const auto cases = cases_of("rate_limit.json");
    CHECK(cases.size() >= 30);
    for (const auto& vector : cases) {
        const bool delays = vector.at("kind") == "delay_batch";
        const json::value& input = vector.at("input");
        check_expected(vector, delays ? delay_answer(input) : rate_limit_answer(input));
    }
}

TEST_CASE("what_if answers every case of both files of vectors") {
    for (const char* file : {"range_calculator.json", "rate_limit.json"}) {
        for (const auto& vector : cases_of(file)) {
            check_expected(vector, what_if_answer(vector.at("input")));
        }
    }
}
