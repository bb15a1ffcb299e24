// What can only be seen with all pipelines at hand.

#include <algorithm>
#include <map>

#include "daemon/config/sections.hpp"

namespace sluice::config {
namespace {

const Node& place_of(const Placed& placed, std::string_view key) {
    const Node* const node = placed.node->find(key);
    return node == nullptr ? *placed.node : *node;
}

void check_names(Context& context, const std::vector<Placed>& pipelines) {
    std::map<std::string, const Placed*> by_name;
    for (const Placed& placed : pipelines) {
        const std::string& name = placed.pipeline.name;
        if (name.empty()) continue;
        const auto [first, is_new] = by_name.try_emplace(name, &placed);
        if (is_new) continue;
        const Position& other = place_of(*first->second, "name").at;
        context.findings.error(place_of(placed, "name").at, join_path(placed.path, "name"),
                               "the name '" + name + "' is taken by the pipeline in " +
                                   context.findings.file_name(other.file) + ":" +
                                   std::to_string(other.line));
    }
    std::map<std::string, const Placed*> by_former_name;
    for (const Placed& placed : pipelines) {
        if (!placed.pipeline.renamed_from) continue;
        const std::string& former = *placed.pipeline.renamed_from;
        const Position& at = place_of(placed, "renamedFrom").at;
        const std::string path = join_path(placed.path, "renamedFrom");
        const auto [first, is_new] = by_former_name.try_emplace(former, &placed);
        if (by_name.contains(former)) {
            context.findings.error(at, path, "a pipeline named '" + former + "' is still there, and "
                                             "keeps its checkpoints");
        } else if (!is_new) {
            context.findings.error(at, path, "'" + former + "' was already taken over by pipeline '" +
                                                 first->second->pipeline.name + "'");
        }
    }
}

/// ", " and what the plugin calls its target; "" when it has no name for it.
std::string named_target(const Context& context, const Placed& placed) {
    const Sink& sink = placed.pipeline.sink;
    if (sink.place.empty()) return {};
    const sink::Plugin& plugin = *context.plugins.plugins.at(sink.plugin);
    return ", " + without_values(plugin, place_of(placed, "sink"), sink.place);
}

void check_targets(Context& context, const std::vector<Placed>& pipelines) {
    std::map<std::string, const Placed*> by_target;
    for (const Placed& placed : pipelines) {
        const std::string target = placed.pipeline.sink.claimed();
        if (target.empty()) continue;  // any number of pipelines may use it
        const auto [first, is_new] = by_target.try_emplace(target, &placed);
        if (is_new) continue;
        context.findings.error(place_of(placed, "sink").at, join_path(placed.path, "sink"),
                               "pipelines '" + first->second->pipeline.name + "' and '" +
                                   placed.pipeline.name + "' write to the same target" +
                                   named_target(context, placed) + ": each needs its own");
    }
}

}  // namespace

std::filesystem::path followed(const std::filesystem::path& path) {
    std::error_code code;
    const auto found = std::filesystem::weakly_canonical(path, code);
    return code ? path.lexically_normal() : found;
}

bool is_within(const std::filesystem::path& path, const std::filesystem::path& directory) {
    const std::filesystem::path inner = followed(path);
    const std::filesystem::path outer = followed(directory);
    const auto [in_outer, in_inner] =
        std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
    return in_outer == outer.end();
}

void check_together(Context& context, const std::vector<Placed>& pipelines) {
    check_names(context, pipelines);
    check_targets(context, pipelines);
}

}  // namespace sluice::config
