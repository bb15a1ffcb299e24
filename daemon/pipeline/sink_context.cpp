#include "daemon/pipeline/sink_context.hpp"

namespace sluice::pipeline {

sink::SinkContext sink_context(const config::Pipeline& pipeline, const std::string& cluster_id,
                               const checkpoints::PipelineState& state) {
    sink::SinkContext context{state.sink_name, cluster_id, state.next_batch_id, std::nullopt};
    if (state.unfinished) context.next_batch_id = state.unfinished->batch_id;
    if (state.receipt && state.receipt->plugin == pipeline.sink.plugin &&
        state.receipt->target == pipeline.sink.target) {
        context.receipt = state.receipt->bytes;
    }
    return context;
}

}  // namespace sluice::pipeline
