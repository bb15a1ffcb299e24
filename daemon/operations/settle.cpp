#include "daemon/operations/settle.hpp"

#include <atomic>
#include <optional>
#include <utility>

#include "daemon/operations/json.hpp"
#include "daemon/pipeline/batch_run.hpp"
#include "daemon/pipeline/foreign_batch.hpp"
#include "daemon/pipeline/sink_context.hpp"

namespace sluice::operations {
namespace {

const std::atomic<bool> never_stopping{false};

Error refused_by(const char* call, const sink::Reply& reply, std::uint64_t batch) {
    const bool retry = reply.status == sink::Status::retry;
    return Error{retry ? ErrorCode::unavailable : ErrorCode::fatal,
                 "batch " + std::to_string(batch) +
                     " has no outcome, and its sink has to say whether it was delivered: sink " + call +
                     ": " + reply.message + ". Nothing was changed",
                 retry};
}

}  // namespace

std::string delivered_note(std::uint64_t batch) {
    return "the sink had batch " + std::to_string(batch) + ", whole: it is committed (recovered)";
}

Result<Fate> settle_unfinished(const Context& context, const config::Pipeline& pipeline,
                               const checkpoints::PipelineState& state) {
    const checkpoints::Plan& plan = *state.unfinished;
    SLUICE_TRY(const auto plugin, context.find_plugin(context.config, pipeline));
    const sink::OpenReply opened = plugin->open(pipeline::sink_context(pipeline, state.cluster_id, state),
                                                pipeline.sink.settings, never_stopping);
    if (opened.reply.status != sink::Status::ok) return refused_by("open", opened.reply, plan.batch_id);
    const sink::Reply begun = opened.sink->begin(pipeline::as_sink_batch(state.sink_name, plan, true));
    if (begun.status == sink::Status::already_committed) {
        SLUICE_TRY(const bool is_foreign, pipeline::is_foreign(context.store, pipeline.name, plan.batch_id));
        if (is_foreign) return pipeline::foreign_error(plan.batch_id);
        const auto outcome = pipeline::recovered_outcome(plan, begun.receipt, context.clock.wall());
        std::optional<checkpoints::Receipt> receipt;
        if (!begun.receipt.empty()) {
            receipt = checkpoints::Receipt{pipeline.sink.plugin, pipeline.sink.target, begun.receipt};
        }
        SLUICE_CHECK(context.store.put_commit(pipeline.name, outcome.commit, outcome.positions, receipt, {}));
        return Fate::delivered;
    }
    if (begun.status != sink::Status::ok) return refused_by("begin", begun, plan.batch_id);
    const sink::Reply aborted = opened.sink->abort(plan.batch_id);
    if (aborted.status != sink::Status::ok) return refused_by("abort", aborted, plan.batch_id);
    return Fate::gone;
}

Result<json::object> replan(const Context& context, const std::string& pipeline, bool execute) {
    SLUICE_TRY(const config::Pipeline* configuration, configured(context, pipeline));
    SLUICE_TRY(const auto state, context.store.load(pipeline));
    json::object answer{{"pipeline", pipeline}, {"executed", false},       {"batch", nullptr},
                        {"outcome", nullptr},   {"ranges", json::array{}}, {"notes", json::array{}}};
    if (!state.unfinished) return answer;
    const std::string batch = std::to_string(state.unfinished->batch_id);
    auto& notes = answer["notes"].as_array();
    answer["batch"] = state.unfinished->batch_id;
    answer["ranges"] = to_json(state.unfinished->ranges);
    if (!execute) {
        notes.emplace_back("the sink is asked whether it has batch " + batch +
                           ": if so it is committed, else it becomes abandoned and what it would have "
                           "read is planned anew, under another id");
        return answer;
    }
    SLUICE_TRY(const Fate fate, settle_unfinished(context, *configuration, state));
    answer["executed"] = true;
    answer["outcome"] = fate == Fate::delivered ? "delivered" : "abandoned";
    if (fate == Fate::delivered) {
        notes.emplace_back(delivered_note(state.unfinished->batch_id));
        return answer;
    }
    checkpoints::Store::Move move;
    move.abandon(state);
    move.audit = {context.clock.wall(), "batches replan", "batch " + batch + " abandoned"};
    SLUICE_CHECK(context.store.put_move(pipeline, move));
    notes.emplace_back("the sink does not have batch " + batch +
                       ": it is abandoned, and its offsets are planned anew");
    return answer;
}

}  // namespace sluice::operations
