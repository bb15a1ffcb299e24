#include "daemon/cli/what_if.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <exception>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "daemon/base/text.hpp"
#include "daemon/cli/json_strict.hpp"
#include "daemon/plan/admission.hpp"
#include "daemon/plan/cap.hpp"
#include "daemon/plan/split.hpp"

namespace sluice::cli {
namespace {

namespace json = boost::json;
using plan::OffsetRange;
using plan::TopicPartition;
using Offsets = std::map<TopicPartition, std::int64_t>;

// Deep enough for every question and for a message about the key that is wrong.
constexpr JsonLimits limits{.bytes_max = 16U << 20U, .depth_max = 8};
// A short question can ask for very many ranges, which take 0.5 KB each as JSON.
constexpr std::size_t ranges_max = 100'000;
constexpr std::int64_t int32_max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();

std::string_view view(json::string_view text) {
    return {text.data(), text.size()};
}

std::string_view type_of(const json::value& value) {
    switch (value.kind()) {
        case json::kind::null:
            return "null";
        case json::kind::bool_:
            return "a boolean";
        case json::kind::string:
            return "a string";
        case json::kind::array:
            return "an array";
        case json::kind::object:
            return "an object";
        default:
            return "a number";
    }
}

/// `where` is the way to the value: "ranges[3].from".
Error unaccepted(std::string_view where, std::string_view is, std::string_view accepted) {
    return {ErrorCode::invalid_argument, std::string(where) + " is " + std::string(is) +
                                             ": accepted is " + std::string(accepted)};
}

/// "ranges[3]" and "from": "ranges[3].from". At the top `where` is empty.
std::string below(std::string_view where, std::string_view key) {
    std::string path(where);
    if (!path.empty()) path += '.';
    return path += key;
}

Result<std::int64_t> integer(const json::value& value, const std::string& where, std::int64_t least,
                             std::int64_t most) {
    const std::string accepted =
        "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
    if (value.is_double()) {
        return unaccepted(where, "not written as a whole number, or beyond 64 bits", accepted);
    }
    if (value.is_uint64()) {  // Boost.JSON's type of what does not fit 63 bits
        return unaccepted(where, std::to_string(value.get_uint64()), accepted);
    }
    if (!value.is_int64()) return unaccepted(where, type_of(value), accepted);
    const std::int64_t number = value.get_int64();
    if (number < least || number > most) {
        return unaccepted(where, std::to_string(number), accepted);
    }
    return number;
}

/// One object whose keys are known: everything in it is asked for, or is an error.
class Fields {
 public:
    static Result<Fields> of(const json::value& value, std::string where,
                             std::initializer_list<std::string_view> keys) {
        std::string list;
        for (const std::string_view key : keys) {
            list += (list.empty() ? "" : ", ") + std::string(key);
        }
        if (!value.is_object()) {
            return unaccepted(where, type_of(value), "an object with the keys " + list);
        }
        const std::vector<std::string> known(keys.begin(), keys.end());
        for (const auto& field : value.get_object()) {
            const std::string_view key = view(field.key());
            if (std::find(known.begin(), known.end(), key) != known.end()) continue;
            const auto meant = nearest(key, known);
            const std::string in = where.empty() ? "" : " in " + where;
            return Error{ErrorCode::invalid_argument,
                         "unknown key " + shown(key) + in +
                             (meant ? ": did you mean " + json_quoted(*meant) + "?" : "") +
                             (meant ? " Accepted are " : ": accepted are ") + list};
        }
        return Fields(value.get_object(), std::move(where));
    }

    [[nodiscard]] bool has(std::string_view key) const { return object_->contains(key); }
    [[nodiscard]] std::string path(std::string_view key) const { return below(where_, key); }

    /// The value of a key that must be there; `accepted` is said when it is not.
    [[nodiscard]] Result<const json::value*> at(std::string_view key,
                                                std::string_view accepted) const {
        if (const json::value* value = object_->if_contains(key)) return value;
        return Error{ErrorCode::invalid_argument, "key " + json_quoted(key) + " is missing" +
                                                      (where_.empty() ? "" : " in " + where_) +
                                                      ": accepted is " + std::string(accepted)};
    }
    [[nodiscard]] Result<std::int64_t> integer_at(std::string_view key, std::int64_t least,
                                                  std::int64_t most = int64_max) const {
        SLUICE_TRY(const json::value* value,
                   at(key, "a whole number from " + std::to_string(least) + " to " +
                               std::to_string(most)));
        return integer(*value, path(key), least, most);
    }
    /// The same for a key that may be absent.
    [[nodiscard]] Result<std::optional<std::int64_t>> positive_if_there(
        std::string_view key) const {
        if (!has(key)) return std::optional<std::int64_t>{};
        SLUICE_TRY(const std::int64_t number, integer_at(key, 1));
        return std::optional(number);
    }
    /// {topic: {partition: offset}}; empty when the key is absent and may be.
    [[nodiscard]] Result<Offsets> offsets_at(std::string_view key, bool required = true) const;

 private:
    Fields(const json::object& object, std::string where)
        : object_(&object), where_(std::move(where)) {}

    const json::object* object_;  // outlives this: owned by the parsed document
    std::string where_;
};

constexpr std::string_view offsets_accepted = "a map {topic: {partition: offset}}";

Result<Offsets> Fields::offsets_at(std::string_view key, bool required) const {
    Offsets offsets;
    if (!required && !has(key)) return offsets;
    SLUICE_TRY(const json::value* topics, at(key, offsets_accepted));
    if (!topics->is_object()) return unaccepted(path(key), type_of(*topics), offsets_accepted);
    for (const auto& topic : topics->get_object()) {
        const std::string_view name = view(topic.key());
        const std::string where = path(key) + '[' + shown(name) + ']';
        if (name.empty()) return unaccepted(where, "without a topic", offsets_accepted);
        if (!topic.value().is_object()) {
            return unaccepted(where, type_of(topic.value()), "a map {partition: offset}");
        }
        for (const auto& partition : topic.value().get_object()) {
            const std::string_view text = view(partition.key());
            const std::string place = where + '[' + shown(text) + ']';
            const auto number = parse_int64(text);
            // "01" and "+1" would be second names of partition 1.
            if (!number || *number < 0 || *number > int32_max || std::to_string(*number) != text) {
                return unaccepted(place, "not a partition",
                                  "a partition from \"0\" to \"2147483647\" in plain digits");
            }
            SLUICE_TRY(const std::int64_t offset, integer(partition.value(), place, 0, int64_max));
            offsets[{std::string(name), static_cast<std::int32_t>(*number)}] = offset;
        }
    }
    return offsets;
}

std::optional<std::int64_t> find(const Offsets& offsets, const TopicPartition& partition) {
    const auto found = offsets.find(partition);
    if (found == offsets.end()) return std::nullopt;
    return found->second;
}

Result<std::string> text_of(const json::value& value, const std::string& where,
                            std::string_view accepted) {
    if (!value.is_string()) return unaccepted(where, type_of(value), accepted);
    if (value.get_string().empty()) return unaccepted(where, "empty", accepted);
    return std::string(view(value.get_string()));
}

Result<OffsetRange> range_of(const json::value& value, const std::string& where) {
    SLUICE_TRY(const Fields fields,
               Fields::of(value, where, {"topic", "partition", "from", "until"}));
    SLUICE_TRY(const json::value* topic, fields.at("topic", "the name of a topic"));
    OffsetRange range;
    SLUICE_TRY(range.topic_partition.topic,
               text_of(*topic, fields.path("topic"), "the name of a topic"));
    SLUICE_TRY(const std::int64_t partition, fields.integer_at("partition", 0, int32_max));
    range.topic_partition.partition = static_cast<std::int32_t>(partition);
    SLUICE_TRY(range.from, fields.integer_at("from", 0));
    SLUICE_TRY(range.until, fields.integer_at("until", 0));
    return range;
}

Result<std::vector<OffsetRange>> ranges_of(const Fields& question) {
    constexpr std::string_view accepted = "a list of {topic, partition, from, until}";
    SLUICE_TRY(const json::value* list, question.at("ranges", accepted));
    if (!list->is_array()) return unaccepted("ranges", type_of(*list), accepted);
    std::vector<OffsetRange> ranges;
    ranges.reserve(list->get_array().size());
    for (const json::value& item : list->get_array()) {
        SLUICE_TRY(OffsetRange range,
                   range_of(item, "ranges[" + std::to_string(ranges.size()) + ']'));
        ranges.push_back(std::move(range));
    }
    return ranges;
}

Result<std::vector<std::string>> executors_of(const Fields& question) {
    constexpr std::string_view accepted = "a list of names";
    std::vector<std::string> names;
    if (!question.has("executors")) return names;
    SLUICE_TRY(const json::value* list, question.at("executors", accepted));
    if (!list->is_array()) return unaccepted("executors", type_of(*list), accepted);
    for (const json::value& item : list->get_array()) {
        const std::string where = "executors[" + std::to_string(names.size()) + ']';
        SLUICE_TRY(std::string name, text_of(item, where, "the name of an executor"));
        names.push_back(std::move(name));
    }
    return names;
}

Result<json::object> split(const json::value& input) {
    SLUICE_TRY(
        const Fields question,
        Fields::of(input, "", {"ranges", "minPartitions", "maxRecordsPerPartition", "executors"}));
    SLUICE_TRY(const std::vector<OffsetRange> ranges, ranges_of(question));
    SLUICE_TRY(const std::vector<std::string> executors, executors_of(question));
    plan::SplitOptions options;
    SLUICE_TRY(options.min_partitions, question.positive_if_there("minPartitions"));
    SLUICE_TRY(options.max_records_per_partition,
               question.positive_if_there("maxRecordsPerPartition"));
    options.lanes = executors.size();
    options.ranges_max = ranges_max;
    SLUICE_TRY(const std::vector<plan::SplitRange> pieces, plan::split_ranges(ranges, options));

    json::array answer;
    answer.reserve(pieces.size());
    for (const auto& [range, lane] : pieces) {
        json::object piece{{"topic", range.topic_partition.topic},
                           {"partition", range.topic_partition.partition},
                           {"from", range.from},
                           {"until", range.until}};
        if (question.has("executors")) {
            piece["preferred"] = lane ? json::value(executors[*lane]) : json::value(nullptr);
        }
        answer.push_back(std::move(piece));
    }
    return json::object{{"ranges", std::move(answer)}};
}

Result<json::object> rate_limit(const json::value& input) {
    SLUICE_TRY(const Fields question,
               Fields::of(input, "", {"from", "until", "limit", "earliest", "last_advanced"}));
    SLUICE_TRY(const Offsets from, question.offsets_at("from"));
    SLUICE_TRY(const Offsets until, question.offsets_at("until"));
    SLUICE_TRY(const std::int64_t limit, question.integer_at("limit", 1));
    SLUICE_TRY(const Offsets earliest, question.offsets_at("earliest", false));
    SLUICE_TRY(const Offsets last_advanced, question.offsets_at("last_advanced", false));

    std::vector<plan::Backlog> available;
    available.reserve(until.size());
    for (const auto& [partition, end] : until) {
        auto begin = find(from, partition);
        if (!begin) begin = find(earliest, partition);
        // A beginning that nobody knows: nothing to cut, the end stays.
        available.push_back({.range = {partition, begin.value_or(end), end},
                             .last_advanced = find(last_advanced, partition).value_or(-1)});
    }
    SLUICE_TRY(const std::vector<OffsetRange> limited, plan::limit_offsets(limit, available));

    json::object ends;
    for (const OffsetRange& range : limited) {
        const auto& [topic, partition] = range.topic_partition;
        json::value& partitions = ends[topic];
        if (partitions.is_null()) partitions.emplace_object();
        partitions.get_object()[std::to_string(partition)] = range.until;
    }
    return json::object{{"until", std::move(ends)}};
}

Result<json::object> delay_batch(const json::value& input) {
    SLUICE_TRY(
        const Fields question,
        Fields::of(input, "", {"from", "latest", "minOffsets", "elapsedMs", "maxTriggerDelayMs"}));
    SLUICE_TRY(const Offsets from, question.offsets_at("from"));
    SLUICE_TRY(const Offsets latest, question.offsets_at("latest"));
    SLUICE_TRY(const std::int64_t min_offsets, question.integer_at("minOffsets", 1));
    SLUICE_TRY(const std::int64_t elapsed, question.integer_at("elapsedMs", 0));
    SLUICE_TRY(const std::int64_t delay, question.integer_at("maxTriggerDelayMs", 0));

    std::vector<plan::Backlog> available;
    available.reserve(latest.size());
    for (const auto& [partition, end] : latest) {
        available.push_back({.range = {partition, find(from, partition).value_or(0), end}});
    }
    const bool skip =
        plan::should_wait(available, min_offsets, Milliseconds{elapsed}, Milliseconds{delay});
    return json::object{{"skip", skip}};
}

struct Kind {
    std::string_view key;  ///< the one that only this kind has
    std::string_view question;
    Result<json::object> (*answer)(const json::value&);
};
constexpr std::array<Kind, 3> kinds{{
    {"ranges", "how ranges are split", split},
    {"limit", "where a limit ends the batch", rate_limit},
    {"minOffsets", "whether a trigger waits for more", delay_batch},
}};

Result<const Kind*> kind_of(const json::value& input) {
    std::string accepted = "one object with ";
    for (const Kind& kind : kinds) {
        accepted += (&kind == kinds.data() ? "" : ", or ") + json_quoted(kind.key) + " (" +
                    std::string(kind.question) + ")";
    }
    if (!input.is_object()) return unaccepted("the input", type_of(input), accepted);
    const Kind* found = nullptr;
    for (const Kind& kind : kinds) {
        if (!input.get_object().contains(kind.key)) continue;
        if (found != nullptr) {
            return Error{ErrorCode::invalid_argument,
                         "the keys " + json_quoted(found->key) + " and " + json_quoted(kind.key) +
                             " ask two different things: accepted is " + accepted};
        }
        found = &kind;
    }
    if (found != nullptr) return found;
    return Error{ErrorCode::invalid_argument, "no key says what is asked: accepted is " + accepted};
}

}  // namespace

Result<std::string> what_if(std::string_view json) {
    try {
        SLUICE_TRY(const json::value input, parse_strictly(json, limits));
        SLUICE_TRY(const Kind* kind, kind_of(input));
        SLUICE_TRY(const json::object answer, kind->answer(input));
        return boost::json::serialize(answer);
    } catch (const std::exception& error) {  // out of memory, or a bound inside Boost.JSON
        return Error{ErrorCode::failed,
                     std::string("the question is too large to be answered: ") + error.what()};
    }
}

}  // namespace sluice::cli
