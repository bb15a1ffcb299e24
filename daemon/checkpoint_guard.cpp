#include "daemon/checkpoint_guard.hpp"

#include <map>
#include <set>

#include "daemon/base/log.hpp"

namespace sluice {
namespace {

using States = std::map<std::string, checkpoints::PipelineState>;

/// `fresh` starts without a checkpoint: is it another one under a new name, or under a name that is taken?
Result<void> check_fresh(const config::Pipeline& fresh, const States& known, const std::set<std::string>& orphans) {
    for (const auto& [name, state] : known) {
        if (state.sink_name == fresh.name) {
            return Error{ErrorCode::configuration,
                         "pipeline '" + fresh.name + "' has no checkpoint, and '" + name +
                             "', which was renamed, is still '" + fresh.name +
                             "' to its sink: choose another name for the new one, or, if '" + name +
                             "' is over, take it out of the configuration and run `sluice forget " + name + "`"};
        }
        if (!orphans.contains(name)) continue;
        if (!state.receipt || state.receipt->target.empty()) {
            // Of a sink that keeps nothing, or that any number may use: no harm to what it has, but a surprise.
            log::warning("starts at its startingOffsets; if it was renamed, stop, and write renamedFrom under it",
                         {{"pipeline", fresh.name}, {"no_longer_configured", name}});
        } else if (fresh.sink.plugin == state.receipt->plugin && fresh.sink.target == state.receipt->target) {
            return Error{ErrorCode::configuration,
                         "pipeline '" + fresh.name + "' has no checkpoint, and writes where '" + name +
                             "' wrote, which is no longer configured. If it was renamed, write "
                             "`renamedFrom: " + name + "` under it; if it is a new one that shall "
                             "start over, run `sluice forget " + name + "` first"};
        }
    }
    return {};
}

void take_back(checkpoints::Store& store, const std::vector<Rename>& renames) {
    for (const Rename& rename : renames) {
        if (auto back = store.rename(rename.to, rename.from); !back) {
            log::error("a checkpoint could not be given its old name again",
                       {{"pipeline", rename.to}, {"from", rename.from}, {"error", back.error().message}});
        }
    }
}

}  // namespace

Result<std::vector<Rename>> match_checkpoint(const checkpoints::Store& store, const config::Config& config) {
    SLUICE_TRY(const std::vector<std::string> names, store.pipelines());
    std::set<std::string> orphans(names.begin(), names.end());
    std::vector<Rename> renames;
    std::vector<const config::Pipeline*> fresh;
    for (const config::Pipeline& pipeline : config.pipelines) {
        if (orphans.erase(pipeline.name) > 0) continue;  // renamed long since, if ever
        if (pipeline.renamed_from && orphans.contains(*pipeline.renamed_from)) {
            renames.push_back({*pipeline.renamed_from, pipeline.name});
        } else {
            fresh.push_back(&pipeline);
        }
    }
    for (const Rename& rename : renames) orphans.erase(rename.from);
    if (fresh.empty()) return renames;
    States known;
    for (const std::string& name : names) {
        SLUICE_TRY(known[name], store.load(name));
    }
    for (const config::Pipeline* const pipeline : fresh) SLUICE_CHECK(check_fresh(*pipeline, known, orphans));
    return renames;
}

Result<void> carry_out(checkpoints::Store& store, const std::vector<Rename>& renames) {
    for (auto rename = renames.begin(); rename != renames.end(); ++rename) {
        if (auto renamed = store.rename(rename->from, rename->to); !renamed) {
            take_back(store, {renames.begin(), rename});
            return renamed;
        }
        log::info("checkpoint renamed", {{"pipeline", rename->to}, {"from", rename->from}});
    }
    return {};
}

}  // namespace sluice
