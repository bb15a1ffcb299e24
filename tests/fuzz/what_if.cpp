#include "daemon/cli/what_if.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "daemon/base/text.hpp"
#include "daemon/cli/json_strict.hpp"
#include "tests/fuzz/targets.hpp"
#include "tests/property/invariants.hpp"

namespace sluice::fuzz {
namespace {

namespace json = boost::json;
using plan::OffsetRange;
using plan::TopicPartition;
using Offsets = std::map<TopicPartition, std::int64_t>;

void check_error(const Error& error) {
    require(!error.message.empty(), "an error says something");
    require(is_valid_utf8(error.message), "an error is UTF-8");
    require(error.message.size() < 4096, "an error is short");
}

OffsetRange range_of(const json::value& item) {
    return {{std::string(item.at("topic").as_string()),
             static_cast<std::int32_t>(item.at("partition").as_int64())},
            item.at("from").as_int64(),
            item.at("until").as_int64()};
}

std::optional<std::int64_t> number_at(const json::object& input, std::string_view key) {
    const json::value* value = input.if_contains(key);
    if (value == nullptr) return std::nullopt;
    return value->as_int64();
}

Offsets offsets_of(const json::object& input, std::string_view key) {
    Offsets offsets;
    const json::value* topics = input.if_contains(key);
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

std::string broken_split(const json::object& input, const json::value& answer) {
    std::vector<OffsetRange> ranges;
    for (const json::value& item : input.at("ranges").as_array()) {
        OffsetRange range = range_of(item);
        if (range.until > range.from) ranges.push_back(std::move(range));  // others are dropped
    }
    plan::SplitOptions options;
    options.min_partitions = number_at(input, "minPartitions");
    options.max_records_per_partition = number_at(input, "maxRecordsPerPartition");
    std::vector<plan::SplitRange> pieces;
    for (const json::value& item : answer.at("ranges").as_array()) {
        pieces.push_back({range_of(item), std::nullopt});
        if (input.contains("executors") != item.as_object().contains("preferred")) {
            return "an executor is preferred where there are some, and only there";
        }
        if (!input.contains("executors") || item.at("preferred").is_null()) continue;
        const json::array& names = input.at("executors").as_array();
        if (std::find(names.begin(), names.end(), item.at("preferred")) == names.end()) {
            return "nobody knows the preferred executor";
        }
    }
    return plan::property::broken_split(ranges, options, pieces);
}

std::string broken_limit(const json::object& input, const json::value& answer) {
    const Offsets from = offsets_of(input, "from");
    const Offsets until = offsets_of(input, "until");
    const Offsets earliest = offsets_of(input, "earliest");
    const Offsets ends = offsets_of(answer.as_object(), "until");
    if (ends.size() != until.size()) return "a partition was added or dropped";
    std::vector<plan::Backlog> available;
    std::vector<OffsetRange> limited;
    for (const auto& [partition, end] : until) {
        const auto found = ends.find(partition);
        if (found == ends.end()) return "a partition is missing";
        const std::int64_t begin = offset_or(from, partition, offset_or(earliest, partition, end));
        available.push_back({.range = {partition, begin, end}});
        limited.push_back({partition, begin, found->second});
    }
    return plan::property::broken_limit(input.at("limit").as_int64(), available, limited);
}

std::string broken_delay(const json::object& input, const json::value& answer) {
    plan::property::Wide fresh = 0;
    for (const auto& [partition, end] : offsets_of(input, "latest")) {
        fresh += plan::property::Wide{end} - offset_or(offsets_of(input, "from"), partition, 0);
    }
    const bool waits = fresh < input.at("minOffsets").as_int64() &&
                       input.at("elapsedMs").as_int64() < input.at("maxTriggerDelayMs").as_int64();
    return answer.at("skip").as_bool() == waits ? "" : "waits for another reason than too little";
}

}  // namespace

void fuzz_what_if(Bytes bytes) {
    const std::string_view text = text_of(bytes);

    // The parser alone, with other bounds: a stricter one than Boost.JSON's, never a laxer one.
    const auto parsed = cli::parse_strictly(text, {.bytes_max = 4096, .depth_max = 4});
    if (parsed) {
        require(text.size() <= 4096, "the bound on the size holds");
        boost::system::error_code failed;
        require(json::parse(text, failed) == *parsed && !failed, "it is what Boost.JSON reads");
    } else {
        check_error(parsed.error());
    }

    const auto answered = cli::what_if(text);
    if (!answered) {
        require(answered.error().code == ErrorCode::invalid_argument,
                "the mistake is the caller's");
        check_error(answered.error());
        return;
    }
    const json::value question = json::parse(text);
    const json::object& input = question.as_object();
    const json::value answer = json::parse(*answered);
    std::string broken;
    if (input.contains("ranges")) {
        broken = broken_split(input, answer);
    } else if (input.contains("limit")) {
        broken = broken_limit(input, answer);
    } else {
        broken = broken_delay(input, answer);
    }
    require(broken.empty(), broken);
}

}  // namespace sluice::fuzz
