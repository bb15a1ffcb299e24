#include "daemon/checkpoint_guard.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <variant>

#include "daemon/base/log.hpp"

namespace sluice {
namespace {

using States = std::map<std::string, checkpoints::PipelineState>;

/// Whether all that the other one read is read by this one too. What a pattern finds is not known here: it may be.
bool reads_the_same(const config::Subscription& subscription, const checkpoints::PipelineState& other) {
    if (std::holds_alternative<config::TopicPattern>(subscription)) return true;
    return !other.positions.empty() &&
           std::all_of(other.positions.begin(), other.positions.end(), [&](const auto& entry) {
               const std::string& topic = entry.first.topic;
               if (const auto* assigned = std::get_if<config::Assignment>(&subscription)) {
                   return assigned->partitions.contains(topic);
               }
               const auto& names = std::get<config::Topics>(subscription).names;
               return std::find(names.begin(), names.end(), topic) != names.end();
           });
}

/// A sink whose options do not tell its targets apart (kafka) has an empty one: then what is read tells.
bool writes_what_it_wrote(const config::Pipeline& fresh, const checkpoints::PipelineState& other) {
    if (!other.receipt || fresh.sink.plugin != other.receipt->plugin) return false;
    return other.receipt->target.empty() ? reads_the_same(fresh.source.subscription, other)
                                         : fresh.sink.target == other.receipt->target;
}

/// `fresh` starts without a checkpoint: is it another one under a new name, or under a name that is taken?
Result<void> check_fresh(const config::Pipeline& fresh, const States& known, const std::set<std::string>& orphans) {
    for (const auto& [name, state] : known) {
        if (state.sink_name == fresh.name && orphans.contains(name)) {
            return Error{ErrorCode::configuration,
                         "pipeline '" + fresh.name + "' has no checkpoint: '" + name +
                             "', which is no longer configured, has taken it over. To go back, write `renamedFrom: " +
                             name + "` under it; only to start over, run `sluice forget " + name + "`"};
        }
        if (state.sink_name == fresh.name) {
            return Error{ErrorCode::configuration,
                         "pipeline '" + fresh.name + "' has no checkpoint, and '" + name +
                             "', which was renamed, is still '" + fresh.name +
                             "' to its sink: choose another name for the new one, or, if '" + name +
                             "' is over, take it out of the configuration and run `sluice forget " + name + "`"};
        }
        if (!orphans.contains(name)) continue;
        if (!state.receipt) {
            // Of a sink that keeps nothing: no harm to what it has, but a surprise.
            log::warning("starts at its startingOffsets; if it was renamed, stop, take it out, sluice forget it, and "
                         "put it back with renamedFrom",
                         {{"pipeline", fresh.name}, {"no_longer_configured", name}});
        } else if (writes_what_it_wrote(fresh, state)) {
            return Error{ErrorCode::configuration,
                         "pipeline '" + fresh.name + "' has no checkpoint, and writes where '" + name +
                             "' wrote, which is no longer configured. If it was renamed, write "
                             "`renamedFrom: " + name + "` under it; if it is a new one that shall "
                             "start over, run `sluice forget " + name + "` first"};
        }
    }
    return {};
}

Error has_its_own(const config::Pipeline& pipeline) {
    return {ErrorCode::configuration,
            "pipeline '" + pipeline.name + "' has a checkpoint of its own: that of '" + *pipeline.renamed_from +
                "' is not taken over. Either take the pipeline out, run `sluice forget " + pipeline.name +
                "`, and put it back; or take renamedFrom out, and `sluice forget " + *pipeline.renamed_from + "`"};
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
        if (orphans.erase(pipeline.name) > 0) {  // renamed long since, if ever
            if (pipeline.renamed_from && orphans.contains(*pipeline.renamed_from)) return has_its_own(pipeline);
            continue;
        }
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
