// What can only be seen with all pipelines at hand.

#include <algorithm>
#include <map>

#include "daemon/config/sections.hpp"

namespace sluice::config {
namespace {

/// `path` with symbolic links followed as far as it exists.
std::filesystem::path resolved(const std::filesystem::path& path) {
    std::error_code code;
    const auto found = std::filesystem::weakly_canonical(path, code);
    return code ? path.lexically_normal() : found;
}

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

/// What tells the target of a sink from others: its plugin and the paths it requires (an optional one
/// may be a certificate that many share); without those all settings, when any is required. Empty for
/// a sink like `discard`, which any number of pipelines may use.
std::string target_key(const Context& context, const Sink& sink) {
    const auto found = context.plugins.plugins.find(sink.plugin);
    if (found == context.plugins.plugins.end() || sink.target.empty()) return {};
    std::string paths;
    bool has_required = false;
    for (const sink::Option& option : found->second->options()) {
        has_required = has_required || option.required;
        const auto setting = sink.settings.find(option.name);
        if (option.type != SLUICE_OPTION_PATH || !option.required ||
            setting == sink.settings.end()) {
            continue;
        }
        paths += option.name + "=" + resolved(setting->second).string() + '\n';
    }
    if (!paths.empty()) return sink.plugin + '\n' + paths;
    return has_required ? sink.target : std::string();
}

void check_targets(Context& context, const std::vector<Placed>& pipelines) {
    std::map<std::string, const Placed*> by_target;
    for (const Placed& placed : pipelines) {
        const std::string key = target_key(context, placed.pipeline.sink);
        if (key.empty()) continue;
        const auto [first, is_new] = by_target.try_emplace(key, &placed);
        if (is_new) continue;
        context.findings.error(place_of(placed, "sink").at, join_path(placed.path, "sink"),
                               "pipelines '" + first->second->pipeline.name + "' and '" +
                                   placed.pipeline.name +
                                   "' write to the same target: each needs its own");
    }
}

}  // namespace

bool is_within(const std::filesystem::path& path, const std::filesystem::path& directory) {
    const std::filesystem::path inner = resolved(path);
    const std::filesystem::path outer = resolved(directory);
    const auto [in_outer, in_inner] =
        std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
    return in_outer == outer.end();
}

void check_together(Context& context, const std::vector<Placed>& pipelines) {
    check_names(context, pipelines);
    check_targets(context, pipelines);
}

}  // namespace sluice::config
