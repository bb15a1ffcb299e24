// sluice sink-test: the kit for authors of sinks, in the tool's own process and its children.

#include <algorithm>
#include <random>

#include "daemon/base/text.hpp"
#include "daemon/cli/progress.hpp"
#include "daemon/cli/session.hpp"
#include "daemon/cli/views.hpp"
#include "daemon/config/sink_file.hpp"
#include "daemon/sink/plugin.hpp"
#include "daemon/sinktest/sink_test.hpp"

namespace sluice::cli {
namespace {

Result<std::int64_t> number(const Session& session, const char* option, std::int64_t otherwise,
                            std::int64_t minimum, std::int64_t maximum) {
    const auto text = session.invocation().value(option);
    if (!text) return otherwise;
    const auto value = parse_int64(*text);
    if (value && *value >= minimum && *value <= maximum) return *value;
    return usage(std::string(option) + " is a number from " + std::to_string(minimum) + " to " +
                 std::to_string(maximum));
}

Result<void> choose_scenario(const Session& session, sinktest::Options& options) {
    options.scenario = session.invocation().value("--scenario");
    if (!options.scenario) return {};
    const auto names = sinktest::scenario_names();
    if (std::find(names.begin(), names.end(), *options.scenario) != names.end()) return {};
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
    return usage("no scenario '" + *options.scenario + "'; there are: " + list);
}

Result<void> choose_values(const Session& session, sinktest::Options& options) {
    const std::string values = session.invocation().value("--values").value_or("any");
    if (values != "any" && values != "json") return usage("--values takes any or json, not '" + values + "'");
    options.json_values = values == "json";
    return {};
}

Result<sinktest::Options> options_of(const Session& session) {
    const Invocation& given = session.invocation();
    sinktest::Options options;
    // Short enough to be typed again.
    SLUICE_TRY(const auto seed, number(session, "--seed", std::random_device{}() % 1'000'000, 0, 1'000'000'000));
    options.seed = static_cast<std::uint64_t>(seed);
    SLUICE_TRY(const auto rounds, number(session, "--rounds", options.rounds, 1, 100'000));
    options.rounds = static_cast<int>(rounds);
    if (const auto timeout = given.value("--timeout")) {
        SLUICE_TRY(options.call_timeout, parse_duration(*timeout));
        if (options.call_timeout < Milliseconds{1} || options.call_timeout > std::chrono::hours{24}) {
            return usage("--timeout is from 1ms to 24h");
        }
    }
    SLUICE_CHECK(choose_scenario(session, options));
    SLUICE_CHECK(choose_values(session, options));
    options.reader = given.value("--reader");
    options.bad_value = given.value("--refused");
    options.down = given.value("--down");
    options.up = given.value("--up");
    if (options.down.has_value() != options.up.has_value()) return usage("--down and --up need each other");
    if (const auto out = given.value("--stdout")) options.out = *out;
    return options;
}

json::object to_json(const sinktest::ScenarioReport& scenario, sink::Guarantee declared) {
    json::array findings;
    for (const auto& finding : scenario.findings) {
        findings.push_back(json::object{{"text", finding.text},
                                        {"rule", finding.rule},
                                        {"at_most", sinktest::name_of(finding.at_most)},
                                        {"fails", sinktest::fails(finding, declared)}});
    }
    json::array notes;
    for (const std::string& note : scenario.notes) notes.emplace_back(note);
    const char* const outcome = scenario.outcome == sinktest::Outcome::passed   ? "passed"
                                : scenario.outcome == sinktest::Outcome::failed ? "failed"
                                                                                : "not tried";
    return {{"name", scenario.name},
            {"outcome", outcome},
            {"proven", sinktest::name_of(scenario.proven)},
            {"findings", std::move(findings)},
            {"notes", std::move(notes)}};
}

json::object to_json(const sinktest::Report& report, const sink::Plugin& plugin) {
    json::array scenarios;
    for (const auto& scenario : report.scenarios) scenarios.push_back(to_json(scenario, report.declared));
    return {{"plugin", plugin.name()},
            {"version", plugin.version()},
            {"declared", sink::name_of(report.declared)},
            {"proven", sinktest::name_of(report.proven)},
            {"has_reader", report.has_reader},
            {"is_whole", report.is_whole},
            {"passed", report.passed()},
            {"seed", report.seed},
            {"batches", report.batches},
            {"records", report.records},
            {"kills", report.kills},
            {"scenarios", std::move(scenarios)}};
}

}  // namespace

Result<int> run_sink_test(Session& session) {
    SLUICE_TRY(auto options, options_of(session));
    SLUICE_TRY(options.plugin, sink::load_plugin(session.argument(0)));
    const auto loaded = config::load_sink(session.argument(1), sinktest::pipeline_of(options.seed), {},
                                          {{options.plugin->name(), options.plugin}});
    if (!loaded.sink) return config::to_error(loaded);
    options.settings = loaded.sink->settings;
    std::optional<Progress> progress;
    options.progress = [&](std::size_t done, std::size_t total) {
        if (!progress) progress.emplace(session.err(), session.clock(), "sink-test: scenarios", total);
        progress->at(done);
    };
    SLUICE_TRY(const auto report, sinktest::run(options));
    session.print(to_json(report, *options.plugin), view_sink_test);
    return report.passed() ? exit_ok : exit_found;
}

}  // namespace sluice::cli
