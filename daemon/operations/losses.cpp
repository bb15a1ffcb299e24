#include "daemon/operations/losses.hpp"

#include <algorithm>
#include <set>
#include <stop_token>

#include "daemon/operations/json.hpp"
#include "daemon/operations/settle.hpp"
#include "daemon/plan/plan_losses.hpp"

namespace sluice::operations {
namespace {

using checkpoints::is_of_a_log_that_is_gone;
using checkpoints::LossEntry;

json::object entry_json(const LossEntry& entry) {
    json::object object = to_json(entry.loss);
    object["batch"] = id_or_null(entry.batch_id);
    object["detected_at"] = to_iso8601(entry.detected_at);
    object["accepted"] = entry.accepted;
    return object;
}

/// Positions, and where the unfinished plan begins in partitions that have none yet.
std::map<plan::TopicPartition, plan::Position> promised(const checkpoints::PipelineState& state) {
    auto positions = state.positions;
    if (!state.unfinished) return positions;
    positions.merge(plan::starts_of(state.unfinished->ranges));
    return positions;
}

/// Whether the ledger has `found` in `entry` already. A plan knows more of what was lost than a
/// position does, so that the same loss seen again may be shorter.
bool covers(const plan::Loss& entry, const plan::Loss& found) {
    return entry.topic_partition == found.topic_partition && entry.topic_id == found.topic_id &&
           entry.from == found.from && entry.until >= found.until &&
           (entry.kind == found.kind || (is_of_a_log_that_is_gone(entry.kind) &&
                                         is_of_a_log_that_is_gone(found.kind)));
}

}  // namespace

Result<json::object> list_losses(const Context& context, const std::string& pipeline) {
    SLUICE_CHECK(known(context, pipeline));
    SLUICE_TRY(const auto entries, context.store.losses(pipeline));
    json::array list;
    for (const auto& entry : entries) list.push_back(entry_json(entry));
    const auto unaccepted = std::count_if(entries.begin(), entries.end(),
                                          [](const auto& entry) { return !entry.accepted; });
    return json::object{{"pipeline", pipeline},
                        {"unaccepted", unaccepted},
                        {"records_lost", records_lost(entries)},
                        {"losses", std::move(list)}};
}

Result<json::object> accept_losses(const Context& context, const std::string& pipeline, bool execute) {
    SLUICE_TRY(const config::Pipeline* configuration, configured(context, pipeline));
    SLUICE_TRY(const auto state, context.store.load(pipeline));
    SLUICE_TRY(const auto ledger, context.store.losses(pipeline));
    checkpoints::Store::Move move;
    std::set<plan::TopicPartition> concerned;
    for (const auto& entry : ledger) {
        if (entry.accepted) continue;
        move.accept.push_back(entry);
        concerned.insert(entry.loss.topic_partition);
    }

    json::object answer{{"pipeline", pipeline}, {"executed", false},     {"losses", json::array{}},
                        {"changes", json::array{}}, {"abandons", nullptr}, {"records_lost", 0},
                        {"notes", json::array{}}};
    if (!state.initial_offsets && move.accept.empty()) return answer;

    const auto source = context.make_source(*configuration);
    auto positions = promised(state);
    // Topics that left the subscription keep their checkpoint, and are no loss.
    std::erase_if(positions, [&](const auto& at) { return !source->covers(at.first); });
    SLUICE_TRY(auto facts, source->facts(positions, std::stop_token{}));
    auto asked = plan::askable(positions, facts);
    const auto beyond = plan::askable_beyond_the_end(positions, facts);
    std::erase_if(asked, [&](const auto& at) {
        return !concerned.contains(at.first) && !beyond.contains(at.first);
    });
    if (!asked.empty()) {
        SLUICE_TRY(const auto truncations, source->truncations(asked, std::stop_token{}));
        plan::note_truncations(facts, truncations);
    }
    const auto decision = plan::decide_losses(positions, facts);
    for (const plan::Loss& loss : decision.losses) {
        concerned.insert(loss.topic_partition);
        const bool is_known = std::any_of(move.accept.begin(), move.accept.end(), [&](const auto& entry) {
            return covers(entry.loss, loss);
        });
        if (!is_known) move.accept.push_back({loss, {}, context.clock.wall(), false});
        const auto start =
            std::find_if(decision.starts.begin(), decision.starts.end(), [&](const auto& candidate) {
                return candidate.topic_partition == loss.topic_partition;
            });
        const auto before = state.positions.find(loss.topic_partition);
        json::object change{{"topic", loss.topic_partition.topic},
                            {"partition", loss.topic_partition.partition},
                            {"before", nullptr},
                            {"after", nullptr}};
        if (before != state.positions.end()) change["before"] = before->second.offset;
        if (start == decision.starts.end()) {
            move.forget.push_back(loss.topic_partition);
        } else {
            move.positions[loss.topic_partition] = start->position;
            change["after"] = start->position.offset;
        }
        answer["changes"].as_array().push_back(std::move(change));
    }
    auto& notes = answer["notes"].as_array();
    if (state.unfinished &&
        std::any_of(state.unfinished->ranges.begin(), state.unfinished->ranges.end(),
                    [&](const auto& planned) { return concerned.contains(planned.range.topic_partition); })) {
        move.abandons = state.unfinished->batch_id;
        answer["abandons"] = state.unfinished->batch_id;
        notes.emplace_back("batch " + std::to_string(state.unfinished->batch_id) +
                           " can't be read as planned and becomes abandoned; what is left of its ranges is "
                           "planned again under a new id. The sink is asked first: a batch that it has "
                           "already is committed instead, and this is decided anew");
    }
    for (const auto& entry : move.accept) {
        answer["losses"].as_array().push_back(to_json(entry.loss));
    }
    answer["records_lost"] = records_lost(move.accept);
    if (!execute || move.accept.empty()) return answer;

    if (move.abandons) {
        SLUICE_TRY(const Fate fate, settle_unfinished(context, *configuration, state));
        if (fate == Fate::delivered) {
            SLUICE_TRY(json::object anew, accept_losses(context, pipeline, execute));
            anew["executed"] = true;  // the batch's COMMIT, at least
            anew["notes"].as_array().emplace_back(delivered_note(*move.abandons));
            return anew;
        }
    }
    if (move.abandons) move.abandon(state);
    move.audit = {context.clock.wall(), "losses accept",
                  std::to_string(concerned.size()) + " partitions, " +
                      std::to_string(records_lost(move.accept)) + " offsets"};
    SLUICE_CHECK(context.store.put_move(pipeline, move));
    answer["executed"] = true;
    return answer;
}

}  // namespace sluice::operations
