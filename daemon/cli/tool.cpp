#include "daemon/cli/tool.hpp"

#include <boost/json/serialize.hpp>
#include <exception>

#include "daemon/cli/session.hpp"
#include "daemon/control/url.hpp"

namespace sluice::cli {
namespace {

constexpr int exit_bug = 70;

ConnectionOptions connection_options(const Invocation& invocation, ConnectionOptions options) {
    const auto take = [&](const char* name, std::optional<std::filesystem::path>& into) {
        if (const auto value = invocation.value(name)) into = *value;
    };
    take("--config", options.config);
    take("--data-dir", options.data_dir);
    take("--plugin-dir", options.plugin_dir);
    take("--socket", options.socket);
    // `sluice validate PATH` names its configuration as people name a file to check.
    if (invocation.command->words == "validate" && !invocation.arguments.empty()) {
        options.config = invocation.arguments[0];
    }
    return options;
}

int report(const Error& error, std::ostream& err) {
    err << "sluice: " << error.message << "\n";
    return exit_code(error.code);
}

int run(std::span<const std::string> arguments, std::istream& in, std::ostream& out, std::ostream& err,
        const ConnectionOptions& defaults, const Clock& clock) {
    auto invocation = parse(arguments);
    if (!invocation) return report(invocation.error(), err);
    if (invocation->help || invocation->version || invocation->command == nullptr) {
        if (invocation->version) {
            out << "sluice " << SLUICE_VERSION << "\n";
        } else {
            out << (invocation->command != nullptr ? help_of(*invocation->command) : general_help());
        }
        return exit_ok;
    }
    const ConnectionOptions options = connection_options(*invocation, defaults);
    const Command& command = *invocation->command;
    Session session(*std::move(invocation), options, in, out, err, clock);
    auto code = command.run(session);
    out.flush();
    if (!code) return report(code.error(), err);
    // A full disk under the output must not look like success.
    if (!out) return report({ErrorCode::storage, "the output could not be written"}, err);
    return *code;
}

}  // namespace

void Session::print_json(const json::object& object) { out_ << json::serialize(object) << "\n"; }

std::string pipeline_target(std::string_view pipeline, std::string_view rest) {
    return "/api/pipelines/" + control::url_encoded(pipeline) + std::string(rest);
}

int run_tool(std::span<const std::string> arguments, std::istream& in, std::ostream& out,
             std::ostream& err, const ConnectionOptions& defaults, const Clock& clock) {
    try {
        return run(arguments, in, out, err, defaults, clock);
    } catch (const std::exception& thrown) {
        err << "sluice: unexpected: " << thrown.what() << "\n";
        return exit_bug;
    }
}

}  // namespace sluice::cli
