#include "daemon/operations/run_state.hpp"

#include <algorithm>

namespace sluice::operations {
namespace {

const char* action_of(checkpoints::RunState state) {
    switch (state) {
        case checkpoints::RunState::running: return "resume";
        case checkpoints::RunState::paused: return "pause";
        case checkpoints::RunState::stopped: return "stop";
    }
    return "resume";
}

}  // namespace

Result<boost::json::object> set_run_state(const Context& context, const std::string& pipeline,
                                          checkpoints::RunState state) {
    SLUICE_CHECK(configured(context, pipeline));
    SLUICE_TRY(const auto before, context.store.load(pipeline));
    if (before.run_state != state) {
        SLUICE_CHECK(context.store.put_run_state(pipeline, state,
                                                 {context.clock.wall(), action_of(state), ""}));
    }
    return boost::json::object{{"pipeline", pipeline},
                               {"was", checkpoints::name_of(before.run_state)},
                               {"run_state", checkpoints::name_of(state)}};
}

Result<boost::json::object> forget(const Context& context, const std::string& pipeline, bool execute) {
    if (configured(context, pipeline)) {
        return Error{ErrorCode::exists,
                     "pipeline '" + pipeline +
                         "' is in the configuration: remove it there first. To read it again from "
                         "another place: sluice offsets reset " + pipeline};
    }
    SLUICE_TRY(const auto stored, context.store.pipelines());
    if (std::find(stored.begin(), stored.end(), pipeline) == stored.end()) {
        return Error{ErrorCode::not_found, "there are no checkpoints of a pipeline '" + pipeline +
                                               "'; `sluice status --all` lists those left behind"};
    }
    SLUICE_TRY(const auto state, context.store.load(pipeline));
    SLUICE_TRY(const auto losses, context.store.losses(pipeline));
    if (execute) SLUICE_CHECK(context.store.forget(pipeline));
    return boost::json::object{{"pipeline", pipeline},
                               {"executed", execute},
                               {"positions", state.positions.size()},
                               {"next_batch", state.next_batch_id},
                               {"losses", losses.size()}};
}

}  // namespace sluice::operations
