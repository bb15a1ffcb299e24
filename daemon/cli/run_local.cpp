// Commands that ask neither a daemon nor the store: validate, plugins, plan --what-if is beside plan.

#include <algorithm>

#include "daemon/api/replies.hpp"
#include "daemon/cli/fields.hpp"
#include "daemon/cli/session.hpp"
#include "daemon/cli/table.hpp"
#include "daemon/cli/views.hpp"
#include "daemon/operations/plugins.hpp"

namespace sluice::cli {

Result<int> run_validate(Session& session) {
    const config::Loaded& loaded = session.connection().load();
    json::array findings;
    for (const auto& finding : loaded.findings) findings.push_back(api::to_json(finding));
    json::array pipelines;
    if (loaded.config) {
        for (const auto& pipeline : loaded.config->pipelines) pipelines.emplace_back(pipeline.name);
    }
    const json::object answer{{"path", session.connection().config_path().string()},
                              {"valid", loaded.config.has_value()},
                              {"findings", std::move(findings)},
                              {"pipelines", std::move(pipelines)}};
    session.print(answer, [&](const json::object&) {
        std::string text;
        std::size_t errors = 0;
        for (const auto& finding : loaded.findings) {
            if (finding.is_error) ++errors;
            text += (finding.is_error ? "error: " : "warning: ") + printable(config::to_string(finding)) + "\n";
        }
        const std::size_t warnings = loaded.findings.size() - errors;
        text += session.connection().config_path().string() + ": ";
        text += loaded.config ? "valid, " + counted(loaded.config->pipelines.size(), "pipeline")
                              : counted(errors, "error");
        if (warnings > 0) text += ", " + counted(warnings, "warning");
        return text + "\n";
    });
    return loaded.config ? exit_ok : exit_code(ErrorCode::configuration);
}

Result<int> run_plugins(Session& session) {
    std::filesystem::path directory;
    if (const auto given = session.invocation().value("--plugin-dir")) {
        directory = *given;
    } else {
        const config::Loaded& loaded = session.connection().load();
        if (!loaded.config) {
            return with_context("to look into a directory without a configuration, use --plugin-dir",
                                config::to_error(loaded));
        }
        directory = loaded.config->plugin_dir;
    }
    SLUICE_TRY(const auto plugins, operations::list_plugins(directory));
    if (session.invocation().arguments.empty()) {
        session.print(plugins, view_plugins);
        return exit_ok;
    }
    std::vector<std::string> names;
    for (const auto& plugin : array_of(plugins, "plugins")) {
        names.push_back(text_of(plugin.as_object(), "name"));
        if (names.back() != session.argument(0)) continue;
        session.print(plugin.as_object(), view_plugin);
        return exit_ok;
    }
    const auto meant = nearest(session.argument(0), names);
    return Error{ErrorCode::not_found, "no plugin '" + session.argument(0) + "' in " + directory.string() +
                                           (meant ? "; did you mean '" + *meant + "'?" : "")};
}

}  // namespace sluice::cli
