#include "daemon/checkpoint_guard.hpp"

#include <algorithm>
#include <set>

#include "daemon/base/log.hpp"

namespace sluice {

Result<void> match_checkpoint(checkpoints::Store& store, const config::Config& config) {
    SLUICE_TRY(const std::vector<std::string> names, store.pipelines());
    std::set<std::string> known(names.begin(), names.end());
    for (const config::Pipeline& pipeline : config.pipelines) {
        if (!pipeline.renamed_from || known.contains(pipeline.name)) continue;  // long since done
        if (!known.contains(*pipeline.renamed_from)) continue;  // nothing to bring along
        SLUICE_CHECK(store.rename(*pipeline.renamed_from, pipeline.name));
        log::info("checkpoint renamed",
                  {{"pipeline", pipeline.name}, {"from", *pipeline.renamed_from}});
        known.erase(*pipeline.renamed_from);
        known.insert(pipeline.name);
    }
    std::set<std::string> orphans = known;
    for (const config::Pipeline& pipeline : config.pipelines) orphans.erase(pipeline.name);
    for (const std::string& orphan : orphans) {
        SLUICE_TRY(const checkpoints::PipelineState state, store.load(orphan));
        if (!state.receipt) continue;
        for (const config::Pipeline& pipeline : config.pipelines) {
            if (known.contains(pipeline.name) || pipeline.sink.plugin != state.receipt->plugin ||
                pipeline.sink.target != state.receipt->target) {
                continue;
            }
            return Error{ErrorCode::configuration,
                         "pipeline '" + pipeline.name + "' has no checkpoint, and writes where '" +
                             orphan + "' wrote, which is no longer configured. If it was renamed, write "
                             "`renamedFrom: " + orphan + "` under it; if it is a new one that shall "
                             "start over, run `sluice forget " + orphan + "` first"};
        }
    }
    return {};
}

}  // namespace sluice
