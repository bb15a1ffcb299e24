#include "daemon/operations/history.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>

#include "daemon/config/rfc3339.hpp"
#include "daemon/operations/batches.hpp"
#include "daemon/operations/json.hpp"

namespace sluice::operations {
namespace {

/// A page ends after the batch that brings it above this: answers have a bound in bytes.
constexpr std::size_t page_ranges_max = 50'000;

// ---- to JSON ---------------------------------------------------------------------------------------

json::object with_ids(const std::string& pipeline, const checkpoints::BatchSummary& batch) {
    json::object object = to_json(pipeline, batch);
    json::array& ranges = object["ranges"].as_array();
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        const plan::PlannedRange& planned = batch.plan.ranges[i];
        json::object& range = ranges[i].as_object();
        range["topic_id"] = nullptr;
        if (!planned.topic_id.empty()) range["topic_id"] = planned.topic_id;
        range["leader_epoch"] = count_or_null(planned.leader_epoch);
    }
    return object;
}

/// The changes that `offsets set, reset, skip` wrote down; entries that name no partition have none.
void add_moves(const checkpoints::ControlEntry& entry, json::array& moves) {
    boost::system::error_code not_json;
    const json::value detail = json::parse(entry.detail, not_json);
    if (not_json || !detail.is_array()) return;
    for (const json::value& change : detail.get_array()) {
        if (!change.is_object()) continue;
        json::object move{{"at", to_iso8601(entry.at)}, {"action", entry.action}};
        for (const char* key : {"topic", "partition", "before", "after"}) {
            const json::value* value = change.get_object().if_contains(key);
            move[key] = value != nullptr ? *value : json::value(nullptr);
        }
        moves.push_back(std::move(move));
    }
}

/// Batches below `before`, newest first. Ids have no holes: the first that is not there ends what is
/// kept.
Result<std::vector<checkpoints::BatchSummary>> batches_below(const Context& context,
                                                             const std::string& pipeline,
                                                             std::optional<std::uint64_t> before,
                                                             std::size_t limit) {
    if (!before) return context.store.batches(pipeline, limit);
    std::vector<checkpoints::BatchSummary> batches;
    for (std::uint64_t id = *before; id-- > 0 && batches.size() < limit;) {
        auto batch = context.store.batch(pipeline, id);
        if (!batch && batch.error().code == ErrorCode::not_found) break;
        if (!batch) return std::move(batch).error();
        batches.push_back(*std::move(batch));
    }
    return batches;
}

// ---- from JSON -------------------------------------------------------------------------------------

Error not_understood(std::string_view what) {
    std::string message = "the answer about recorded batches has no ";
    message.append(what).append(" that this tool understands: the daemon is of another version");
    return Error{ErrorCode::failed, std::move(message)};
}

Result<std::int64_t> integer(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    boost::system::error_code wrong;
    if (value != nullptr) {
        const auto number = value->to_number<std::int64_t>(wrong);
        if (!wrong) return number;
    }
    return not_understood(key);
}

Result<std::optional<std::int64_t>> integer_or_null(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    if (value == nullptr || value->is_null()) return std::optional<std::int64_t>{};
    SLUICE_TRY(const auto number, integer(object, key));
    return std::optional<std::int64_t>{number};
}

Result<std::string> text(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    if (value == nullptr || !value->is_string()) return not_understood(key);
    return std::string(value->get_string());
}

std::string text_or_empty(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

Result<WallTime> moment(const json::object& object, const char* key) {
    SLUICE_TRY(const auto written, text(object, key));
    const auto time = config::parse_rfc3339(written);
    if (!time) return not_understood(key);
    return *time;
}

Result<plan::TopicPartition> partition_of(const json::object& object) {
    SLUICE_TRY(auto topic, text(object, "topic"));
    SLUICE_TRY(const auto partition, integer(object, "partition"));
    return plan::TopicPartition{std::move(topic), static_cast<std::int32_t>(partition)};
}

Result<std::vector<const json::object*>> objects(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    if (value == nullptr || !value->is_array()) return not_understood(key);
    std::vector<const json::object*> list;
    for (const json::value& one : value->get_array()) {
        if (!one.is_object()) return not_understood(key);
        list.push_back(&one.get_object());
    }
    return list;
}

Result<plan::PlannedRange> parse_range(const json::object& object) {
    plan::PlannedRange planned;
    SLUICE_TRY(planned.range.topic_partition, partition_of(object));
    SLUICE_TRY(planned.range.from, integer(object, "from"));
    SLUICE_TRY(planned.range.until, integer(object, "until"));
    SLUICE_TRY(const auto epoch, integer_or_null(object, "leader_epoch"));
    planned.leader_epoch = static_cast<std::int32_t>(epoch.value_or(-1));
    planned.topic_id = text_or_empty(object, "topic_id");
    if (planned.range.until < planned.range.from) return not_understood("range");
    return planned;
}

Result<checkpoints::RangeBooks> parse_books(const json::object& object) {
    checkpoints::RangeBooks books;
    const std::pair<const char*, std::uint64_t*> fields[] = {
        {"polled", &books.polled},       {"gaps", &books.gaps},
        {"accepted", &books.accepted},   {"filtered", &books.filtered},
        {"dead_lettered", &books.dead_lettered}, {"lost", &books.lost},
        {"bytes", &books.bytes}};
    for (const auto& [key, into] : fields) {
        SLUICE_TRY(const auto number, integer(object, key));
        *into = static_cast<std::uint64_t>(number);
    }
    return books;
}

Result<checkpoints::BatchState> parse_state(const std::string& name) {
    using checkpoints::BatchState;
    for (const BatchState state : {BatchState::planned, BatchState::committed, BatchState::recovered,
                                   BatchState::abandoned}) {
        if (checkpoints::name_of(state) == name) return state;
    }
    return not_understood("state");
}

Result<checkpoints::BatchSummary> parse_batch(const json::object& object) {
    checkpoints::BatchSummary batch;
    SLUICE_TRY(const auto id, integer(object, "batch"));
    batch.plan.batch_id = static_cast<std::uint64_t>(id);
    SLUICE_TRY(batch.plan.planned_at, moment(object, "planned_at"));
    SLUICE_TRY(const auto state_name, text(object, "state"));
    SLUICE_TRY(const auto state, parse_state(state_name));
    if (state != checkpoints::BatchState::planned) {
        batch.commit.emplace();
        batch.commit->batch_id = batch.plan.batch_id;
        batch.commit->state = state;
        SLUICE_TRY(batch.commit->committed_at, moment(object, "committed_at"));
        SLUICE_TRY(const auto attempts, integer(object, "attempts"));
        batch.commit->attempts = static_cast<std::uint32_t>(attempts);
    }
    SLUICE_TRY(const auto ranges, objects(object, "ranges"));
    for (const json::object* range : ranges) {
        SLUICE_TRY(auto planned, parse_range(*range));
        batch.plan.ranges.push_back(std::move(planned));
        const json::value* books = range->if_contains("books");
        if (batch.commit && books != nullptr && books->is_object()) {
            SLUICE_TRY(auto parsed, parse_books(books->get_object()));
            batch.commit->books.push_back(parsed);
        }
    }
    if (batch.commit && !batch.commit->books.empty() && batch.commit->books.size() != ranges.size()) {
        return not_understood("books");
    }
    return batch;
}

Result<plan::Loss> parse_loss(const json::object& object) {
    plan::Loss loss;
    SLUICE_TRY(loss.topic_partition, partition_of(object));
    SLUICE_TRY(const auto kind, text(object, "kind"));
    if (!plan::parse_loss_kind(kind, loss.kind)) return not_understood("kind of loss");
    loss.topic_id = text_or_empty(object, "topic_id");
    SLUICE_TRY(loss.from, integer(object, "from"));
    SLUICE_TRY(loss.until, integer(object, "until"));
    SLUICE_TRY(const auto start, integer_or_null(object, "adjusted_start"));
    loss.adjusted_start = start.value_or(-1);
    return loss;
}

}  // namespace

Result<json::object> show_history(const Context& context, const std::string& pipeline,
                                  std::optional<std::uint64_t> before, std::size_t limit) {
    SLUICE_CHECK(known(context, pipeline));
    limit = std::clamp<std::size_t>(limit, 1, history_page_max);
    SLUICE_TRY(const auto batches, batches_below(context, pipeline, before, limit));
    SLUICE_TRY(const auto state, context.store.load(pipeline));
    SLUICE_TRY(const auto losses, context.store.losses(pipeline));
    SLUICE_TRY(const auto audit, context.store.audit(pipeline));
    json::object page{{"pipeline", pipeline}, {"batches", json::array{}}, {"next", nullptr},
                      {"cluster_id", nullptr}, {"losses", json::array{}}, {"moves", json::array{}}};
    if (!state.cluster_id.empty()) page["cluster_id"] = state.cluster_id;
    std::size_t shown = 0;
    std::size_t ranges = 0;
    for (const auto& batch : batches) {
        ranges += batch.plan.ranges.size();
        if (shown > 0 && ranges > page_ranges_max) break;
        page["batches"].as_array().push_back(with_ids(pipeline, batch));
        ++shown;
    }
    const bool more = shown < batches.size() || batches.size() == limit;
    if (more && batches[shown - 1].plan.batch_id > 0) page["next"] = batches[shown - 1].plan.batch_id;
    for (const auto& entry : losses) {
        json::object loss = to_json(entry.loss);
        loss["detected_at"] = to_iso8601(entry.detected_at);
        page["losses"].as_array().push_back(std::move(loss));
    }
    for (const auto& entry : audit) add_moves(entry, page["moves"].as_array());
    return page;
}

Result<HistoryPage> parse_history(const json::object& page) {
    HistoryPage parsed;
    SLUICE_TRY(parsed.history.pipeline, text(page, "pipeline"));
    parsed.history.cluster_id = text_or_empty(page, "cluster_id");
    SLUICE_TRY(const auto next, integer_or_null(page, "next"));
    if (next) parsed.next = static_cast<std::uint64_t>(*next);
    SLUICE_TRY(const auto batches, objects(page, "batches"));
    for (const json::object* one : batches) {
        SLUICE_TRY(auto batch, parse_batch(*one));
        parsed.history.batches.push_back(std::move(batch));
    }
    std::reverse(parsed.history.batches.begin(), parsed.history.batches.end());
    SLUICE_TRY(const auto losses, objects(page, "losses"));
    for (const json::object* one : losses) {
        checkpoints::LossEntry entry;
        SLUICE_TRY(entry.loss, parse_loss(*one));
        SLUICE_TRY(entry.detected_at, moment(*one, "detected_at"));
        parsed.history.losses.push_back(std::move(entry));
    }
    SLUICE_TRY(const auto moves, objects(page, "moves"));
    for (const json::object* one : moves) {
        PositionMove move;
        SLUICE_TRY(move.at, moment(*one, "at"));
        move.action = text_or_empty(*one, "action");
        SLUICE_TRY(move.topic_partition, partition_of(*one));
        SLUICE_TRY(move.before, integer_or_null(*one, "before"));
        SLUICE_TRY(move.after, integer_or_null(*one, "after"));
        parsed.history.moves.push_back(std::move(move));
    }
    return parsed;
}

}  // namespace sluice::operations
