#include "daemon/operations/json.hpp"

namespace sluice::operations {

json::value time_or_null(const std::optional<WallTime>& time) {
    if (!time) return nullptr;
    return json::value(to_iso8601(*time));
}

json::value count_or_null(std::optional<std::int64_t> count) {
    if (!count || *count < 0) return nullptr;
    return *count;
}

json::value id_or_null(const std::optional<std::uint64_t>& id) {
    if (!id) return nullptr;
    return *id;
}

json::object to_json(const plan::PlannedRange& range, std::size_t index) {
    json::object object;
    object["index"] = index;
    object["topic"] = range.range.topic_partition.topic;
    object["partition"] = range.range.topic_partition.partition;
    object["from"] = range.range.from;
    object["until"] = range.range.until;
    object["offsets"] = plan::size_of(range.range);
    if (range.lane) {
        object["lane"] = *range.lane;
    } else {
        object["lane"] = nullptr;
    }
    return object;
}

json::array to_json(const std::vector<plan::PlannedRange>& ranges) {
    json::array array;
    array.reserve(ranges.size());
    for (std::size_t i = 0; i < ranges.size(); ++i) array.push_back(to_json(ranges[i], i));
    return array;
}

std::uint64_t offsets_of(const std::vector<plan::PlannedRange>& ranges) {
    std::uint64_t offsets = 0;
    for (const auto& range : ranges) offsets += plan::size_of(range.range);
    return offsets;
}

json::object to_json(const plan::Loss& loss) {
    json::object object;
    object["topic"] = loss.topic_partition.topic;
    object["partition"] = loss.topic_partition.partition;
    object["kind"] = plan::name_of(loss.kind);
    if (loss.topic_id.empty()) {
        object["topic_id"] = nullptr;
    } else {
        object["topic_id"] = loss.topic_id;
    }
    object["from"] = loss.from;
    object["until"] = loss.until;
    object["records_lost"] = plan::records_lost(loss);
    object["adjusted_start"] = count_or_null(loss.adjusted_start);
    object["text"] = plan::describe(loss);
    return object;
}

json::object to_json(const checkpoints::RangeBooks& books) {
    return {{"polled", books.polled},     {"gaps", books.gaps},
            {"accepted", books.accepted}, {"filtered", books.filtered},
            {"dead_lettered", books.dead_lettered}, {"lost", books.lost},
            {"bytes", books.bytes}};
}

checkpoints::RangeBooks sum_of(const std::vector<checkpoints::RangeBooks>& books) {
    checkpoints::RangeBooks sum;
    for (const auto& range : books) {
        sum.polled += range.polled;
        sum.gaps += range.gaps;
        sum.accepted += range.accepted;
        sum.filtered += range.filtered;
        sum.dead_lettered += range.dead_lettered;
        sum.lost += range.lost;
        sum.bytes += range.bytes;
    }
    return sum;
}

}  // namespace sluice::operations
