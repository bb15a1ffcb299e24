#include "daemon/operations/offsets.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <memory>
#include <stop_token>

#include "daemon/base/text.hpp"
#include "daemon/operations/json.hpp"
#include "daemon/operations/settle.hpp"

namespace sluice::operations {
namespace {

using Positions = std::map<plan::TopicPartition, plan::Position>;
using Facts = std::map<plan::TopicPartition, plan::PartitionFacts>;

/// "orders/0": the form that commands take.
std::string name_of(const plan::TopicPartition& tp) {
    return tp.topic + "/" + std::to_string(tp.partition);
}

std::string holds(const plan::PartitionFacts& facts) {
    return name_of(facts.topic_partition) + " holds offsets " + std::to_string(facts.earliest) + " to " +
           std::to_string(facts.latest);
}

struct Cluster {
    std::unique_ptr<pipeline::Source> source;
    std::vector<plan::PartitionFacts> list;
    Facts facts;
};

Result<Cluster> ask_cluster(const Context& context, const config::Pipeline& pipeline,
                            const Positions& positions) {
    Cluster cluster;
    cluster.source = context.make_source(pipeline);
    SLUICE_TRY(cluster.list, cluster.source->facts(positions, std::stop_token{}));
    for (const auto& facts : cluster.list) cluster.facts[facts.topic_partition] = facts;
    return cluster;
}

/// What a move will do, before it is done.
struct Intent {
    std::map<plan::TopicPartition, std::int64_t> targets;
    std::vector<std::string> notes;
    std::optional<checkpoints::Plan> replacement;  ///< skip: up to the record, under the next id
};

Result<Intent> intend_set(const MoveRequest& request, const Facts& facts) {
    std::string problems;
    for (const auto& [tp, offset] : request.offsets) {
        const auto found = facts.find(tp);
        if (found == facts.end()) {
            problems += "; " + name_of(tp) + " is not among the subscribed partitions";
        } else if (offset < found->second.earliest || offset > found->second.latest) {
            problems += "; " + holds(found->second) + ", not " + std::to_string(offset);
        }
    }
    if (!problems.empty()) return wrong("nothing was moved" + problems);
    return Intent{request.offsets, {}, {}};
}

config::StartingOffsets starting_offsets_of(const MoveRequest& request,
                                            const config::StartingOffsets& configured) {
    switch (request.target) {
        case MoveRequest::Target::earliest: return config::Earliest{};
        case MoveRequest::Target::latest: return config::Latest{};
        case MoveRequest::Target::time: return config::AtTimestamp{request.time, false};
        case MoveRequest::Target::starting_offsets:
        case MoveRequest::Target::shift: return configured;
    }
    return configured;
}

Result<Intent> intend_reset(const Context& context, const config::Pipeline& pipeline,
                            const MoveRequest& request, const Positions& positions,
                            const Cluster& cluster) {
    Intent intent;
    const auto covered = [&](const plan::TopicPartition& tp) {
        return request.only.empty() ||
               std::any_of(request.only.begin(), request.only.end(),
                           [&](const Scope& scope) { return scope.covers(tp); });
    };
    if (request.target == MoveRequest::Target::shift) {
        for (const auto& [tp, position] : positions) {
            const auto found = cluster.facts.find(tp);
            if (!covered(tp) || found == cluster.facts.end()) continue;
            std::int64_t shifted = 0;
            if (__builtin_add_overflow(position.offset, request.shift, &shifted)) {
                shifted = request.shift < 0 ? found->second.earliest : found->second.latest;
            }
            const std::int64_t cut = std::clamp(shifted, found->second.earliest, found->second.latest);
            if (cut != shifted) intent.notes.push_back(holds(found->second) + ": cut to that");
            intent.targets[tp] = cut;
        }
    } else {
        // The same code that decides a first start: it knows times, groups and specific offsets.
        config::Pipeline there = pipeline;
        there.source.starting_offsets = starting_offsets_of(request, pipeline.source.starting_offsets);
        const auto source = context.make_source(there);
        SLUICE_TRY(const auto initial, source->initial_offsets(cluster.list));
        for (const auto& [tp, position] : initial.positions) {
            if (covered(tp)) intent.targets[tp] = position.offset;
        }
    }
    if (intent.targets.empty()) {
        return wrong(request.only.empty() ? "the cluster has none of the subscribed partitions"
                                          : "no subscribed partition is covered by what was named");
    }
    for (const auto& [tp, position] : positions) {
        if (covered(tp) && cluster.source->covers(tp) && !cluster.facts.contains(tp)) {
            intent.notes.push_back(name_of(tp) + " is not on the cluster any more and stays as it is");
        }
    }
    return intent;
}

/// The unfinished plan, cut so that it ends before `record`.
checkpoints::Plan cut_before(const checkpoints::Plan& plan, const RecordName& record,
                             std::uint64_t batch_id, WallTime now) {
    checkpoints::Plan cut{batch_id, now, {}};
    for (plan::PlannedRange planned : plan.ranges) {
        if (planned.range.topic_partition == record.topic_partition) {
            if (planned.range.from >= record.offset) continue;
            planned.range.until = std::min(planned.range.until, record.offset);
        }
        cut.ranges.push_back(std::move(planned));
    }
    return cut;
}

Result<Intent> intend_skip(const Context& context, const MoveRequest& request,
                           const checkpoints::PipelineState& state, const Facts& facts) {
    const RecordName& record = request.record;
    const auto& tp = record.topic_partition;
    const auto position = state.positions.find(tp);
    if (position == state.positions.end()) {
        return wrong(name_of(tp) + " has no position in this pipeline");
    }
    const std::int64_t at = position->second.offset;
    if (at == record.offset) {
        const auto found = facts.find(tp);
        if (found != facts.end() && record.offset >= found->second.latest) {
            return wrong("there is no record at " + to_string(record) + " yet: " + holds(found->second));
        }
        return Intent{{{tp, at + 1}}, {}, {}};
    }
    const std::string stands = "the position of " + name_of(tp) + " is " + std::to_string(at);
    if (at > record.offset) {
        return wrong(stands + ": " + to_string(record) + " was delivered or stepped over already");
    }
    const std::string before = std::to_string(record.offset - at) + " offsets before " +
                               to_string(record) + " are not delivered yet";
    const auto holds_record = [&](const plan::PlannedRange& planned) {
        return planned.range.topic_partition == tp && planned.range.from <= record.offset &&
               record.offset < planned.range.until;
    };
    if (!state.unfinished || std::none_of(state.unfinished->ranges.begin(),
                                          state.unfinished->ranges.end(), holds_record)) {
        return wrong(stands + ", and no unfinished batch reads that record: " + before +
                     " and would be lost. Nothing was moved");
    }
    Intent intent;
    intent.replacement =
        cut_before(*state.unfinished, record, state.next_batch_id, context.clock.wall());
    intent.notes.push_back(stands + ": " + before + ". Batch " + std::to_string(state.next_batch_id) +
                           " delivers them and ends before the record; when it has committed, skip " +
                           to_string(record) + " again");
    return intent;
}

std::string counted(std::uint64_t count, const char* what) {
    return format_count(static_cast<std::int64_t>(std::min<std::uint64_t>(count, INT64_MAX))) + " " + what;
}

/// Moves in the store's terms, the changes told, and what they mean.
struct Prepared {
    checkpoints::Store::Move move;
    json::array changes;
    std::size_t unchanged = 0;
};

Prepared prepare(const Intent& intent, const Positions& positions, const Facts& facts,
                 std::vector<std::string>& notes) {
    Prepared prepared;
    std::uint64_t skipped = 0;
    std::uint64_t again = 0;
    for (const auto& [tp, target] : intent.targets) {
        const auto before = positions.find(tp);
        if (before != positions.end() && before->second.offset == target) {
            ++prepared.unchanged;
            continue;
        }
        json::object change{{"topic", tp.topic}, {"partition", tp.partition}, {"before", nullptr},
                            {"after", target}};
        plan::Position& position = prepared.move.positions[tp];
        position.offset = target;
        if (before != positions.end()) {
            position.last_advanced = before->second.last_advanced;
            position.topic_id = before->second.topic_id;
            change["before"] = before->second.offset;
            const std::int64_t from = before->second.offset;
            (target > from ? skipped : again) +=
                plan::size_of({tp, std::min(from, target), std::max(from, target)});
        }
        // The offset counts on the topic that is there now; its epoch is not that of the record before.
        if (const auto found = facts.find(tp); found != facts.end()) {
            position.topic_id = found->second.topic_id;
        }
        prepared.changes.push_back(std::move(change));
    }
    if (skipped > 0) notes.push_back(counted(skipped, "offsets will not be read"));
    if (again > 0) notes.push_back(counted(again, "offsets will be read and delivered again"));
    return prepared;
}

const char* name_of(MoveRequest::Action action) {
    switch (action) {
        case MoveRequest::Action::set: return "set";
        case MoveRequest::Action::reset: return "reset";
        case MoveRequest::Action::skip: return "skip";
    }
    return "set";
}

Result<Intent> intend(const Context& context, const config::Pipeline& pipeline,
                      const MoveRequest& request, const checkpoints::PipelineState& state,
                      const Cluster& cluster) {
    switch (request.action) {
        case MoveRequest::Action::set: return intend_set(request, cluster.facts);
        case MoveRequest::Action::reset:
            return intend_reset(context, pipeline, request, state.positions, cluster);
        case MoveRequest::Action::skip: return intend_skip(context, request, state, cluster.facts);
    }
    return wrong("unknown action");
}

bool reads_any(const checkpoints::Plan& plan, const Positions& moved) {
    return std::any_of(plan.ranges.begin(), plan.ranges.end(), [&](const auto& planned) {
        return moved.contains(planned.range.topic_partition);
    });
}

}  // namespace

Result<json::object> show_offsets(const Context& context, const std::string& pipeline) {
    SLUICE_CHECK(known(context, pipeline));
    SLUICE_TRY(const auto state, context.store.load(pipeline));
    SLUICE_TRY(const auto audit, context.store.audit(pipeline));
    json::object object;
    object["pipeline"] = pipeline;
    object["cluster_id"] = nullptr;
    if (!state.cluster_id.empty()) object["cluster_id"] = state.cluster_id;
    object["run_state"] = checkpoints::name_of(state.run_state);
    object["next_batch"] = state.next_batch_id;
    object["unfinished"] = nullptr;
    if (state.unfinished) object["unfinished"] = state.unfinished->batch_id;
    object["initial"] = nullptr;
    if (state.initial_offsets) {
        boost::system::error_code not_json;
        json::value initial = json::parse(*state.initial_offsets, not_json);
        object["initial"] = not_json ? json::value(*state.initial_offsets) : std::move(initial);
    }
    json::array partitions;
    for (const auto& [tp, position] : state.positions) {
        json::object one{{"topic", tp.topic},
                         {"partition", tp.partition},
                         {"offset", position.offset},
                         {"leader_epoch", count_or_null(position.leader_epoch)},
                         {"topic_id", nullptr},
                         {"last_batch", count_or_null(position.last_advanced)}};
        if (!position.topic_id.empty()) one["topic_id"] = position.topic_id;
        partitions.push_back(std::move(one));
    }
    object["partitions"] = std::move(partitions);
    json::array actions;
    for (std::size_t i = audit.size() > audit_listed ? audit.size() - audit_listed : 0; i < audit.size();
         ++i) {
        actions.push_back(json::object{{"at", to_iso8601(audit[i].at)},
                                       {"action", audit[i].action},
                                       {"detail", audit[i].detail}});
    }
    object["audit"] = std::move(actions);
    return object;
}

Result<json::object> move_offsets(const Context& context, const std::string& pipeline,
                                  const MoveRequest& request) {
    SLUICE_TRY(const config::Pipeline* configuration, configured(context, pipeline));
    SLUICE_TRY(const auto state, context.store.load(pipeline));
    if (!state.initial_offsets) {
        return wrong("pipeline '" + pipeline +
                     "' was never started and has no positions: startingOffsets in its configuration "
                     "says where it begins");
    }
    SLUICE_TRY(const Cluster cluster, ask_cluster(context, *configuration, state.positions));
    SLUICE_TRY(Intent intent, intend(context, *configuration, request, state, cluster));
    Prepared prepared = prepare(intent, state.positions, cluster.facts, intent.notes);
    auto& move = prepared.move;
    if (state.unfinished && (intent.replacement || reads_any(*state.unfinished, move.positions))) {
        move.abandons = state.unfinished->batch_id;
    }

    json::object answer;
    answer["pipeline"] = pipeline;
    answer["action"] = name_of(request.action);
    answer["executed"] = false;
    answer["step"] = intent.replacement ? "deliver_before" : "move";
    answer["changes"] = prepared.changes;
    answer["unchanged"] = prepared.unchanged;
    answer["abandons"] = nullptr;
    answer["replans"] = nullptr;
    if (move.abandons) {
        answer["abandons"] = *move.abandons;
        intent.notes.push_back(
            "batch " + std::to_string(*move.abandons) +
            " has no outcome and becomes abandoned; its ranges are planned again under a new id. The sink "
            "is asked first: a batch that it has already is committed instead, and this is decided anew");
    }
    if (intent.replacement) {
        answer["replans"] = {{"batch", intent.replacement->batch_id},
                             {"ranges", to_json(intent.replacement->ranges)}};
    }
    answer["notes"] = json::value_from(intent.notes);
    const bool something = move.abandons || !move.positions.empty();
    if (!request.execute || !something) return answer;

    if (move.abandons) {
        SLUICE_TRY(const Fate fate, settle_unfinished(context, *configuration, state));
        if (fate == Fate::delivered) {
            SLUICE_TRY(json::object anew, move_offsets(context, pipeline, request));
            anew["executed"] = true;  // the batch's COMMIT, at least
            anew["notes"].as_array().emplace_back(delivered_note(*move.abandons));
            return anew;
        }
    }
    // Who moves a position has seen what was lost before it.
    SLUICE_TRY(const auto ledger, context.store.losses(pipeline));
    for (const checkpoints::LossEntry& entry : ledger) {
        if (!entry.accepted && move.positions.contains(entry.loss.topic_partition)) move.accept.push_back(entry);
    }
    if (move.abandons) move.abandon(state);
    move.audit = {context.clock.wall(), std::string("offsets ") + name_of(request.action),
                  json::serialize(answer["changes"])};
    if (intent.replacement) {
        move.audit.detail = "deliver up to " + to_string(request.record) + " as batch " +
                            std::to_string(intent.replacement->batch_id);
    }
    SLUICE_CHECK(context.store.put_move(pipeline, move));
    // Two writes: a crash between them leaves the ranges to be planned as usual, and the skip to be
    // asked for again.
    if (intent.replacement) SLUICE_CHECK(context.store.put_plan(pipeline, *intent.replacement, {}));
    answer["executed"] = true;
    return answer;
}

}  // namespace sluice::operations
