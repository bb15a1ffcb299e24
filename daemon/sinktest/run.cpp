// A run of the kit: scenario after scenario, on one target.

#include <algorithm>

#include "daemon/base/text.hpp"
#include "daemon/sinktest/scenarios.hpp"
#include "daemon/sinktest/shell.hpp"
#include "daemon/sinktest/sink_test.hpp"

namespace sluice::sinktest {
namespace {

/// Before anything is written: the reader works, and the target has nothing of this run.
Result<void> look_first(Driver& driver) {
    const Options& options = driver.options;
    if (!driver.open()) return {};  // a table may be made by it; the first scenario says what is wrong
    if (!driver.close()) driver.kill();
    if (!options.reader) return {};
    SLUICE_TRY(const std::string text, run_shell(*options.reader));
    const Visible visible = parse_visible(text);
    if (visible.other_lines > 0) {
        return Error{ErrorCode::failed,
                     "the reader printed a line that is neither TOPIC PARTITION OFFSET nor a JSON object with "
                     "these: " + visible.first_other_line};
    }
    const std::string ours = pipeline_of(options.seed);
    for (const VisibleRecord& record : visible.records) {
        if (record.id.topic.rfind(ours + "-", 0) != 0) continue;
        return Error{ErrorCode::failed, "the target already has records of seed " + std::to_string(options.seed) +
                                            ", such as " + to_string(record.id) +
                                            ": empty it, or leave out --seed"};
    }
    return {};
}

/// "refused by name", "refused all of a call" …: which of the contract's ways the sink used.
std::string forms_text(std::uint32_t forms) {
    std::string text;
    const auto add = [&](std::uint32_t bit, const char* name) {
        if ((forms & bit) == 0) return;
        text += (text.empty() ? "" : ", ") + std::string(name);
    };
    add(1U << SLUICE_REJECT_WHICH, "SLUICE_REJECT_WHICH");
    add(1U << SLUICE_REJECT_ALL, "SLUICE_REJECT_ALL");
    add(1U << SLUICE_REJECT_BATCH_LOST, "SLUICE_REJECT_BATCH_LOST");
    add(form_refuse, "host->refuse()");
    return text;
}

void add_notes(const Driver& driver, ScenarioReport& report) {
    if (driver.seen.refused > 0) {
        report.notes.push_back(format_count(static_cast<std::int64_t>(driver.seen.refused)) +
                               " records were refused (" + forms_text(driver.seen.forms) +
                               "), such as " + driver.seen.refusal);
    }
    if (driver.seen.kills_in_commit > 0) {
        report.notes.push_back(format_count(static_cast<std::int64_t>(driver.seen.kills_in_commit)) +
                               " kills were inside commit(), spread over the time that it takes");
    }
    if (driver.seen.retries > 0) {
        report.notes.push_back("RETRY was answered " + format_count(static_cast<std::int64_t>(driver.seen.retries)) +
                               " times, such as " + driver.seen.retry);
    }
}

/// Every scenario finds the sink closed, as one that is run alone does.
Result<std::optional<std::string>> run_and_close(Driver& driver, const Scenario& scenario) {
    SLUICE_TRY(auto why_not, scenario.run(driver));
    SLUICE_CHECK(driver.close());
    return why_not;
}

/// What an error of the sink left behind, put right for the scenarios that follow. False when not.
bool recovers(Driver& driver) {
    driver.kill();
    if (!driver.unfinished()) return true;
    const Planned planned = *driver.unfinished();
    if (auto finished = driver.finish(planned); !finished) {
        driver.find({Proof::nothing, "a new process does not go on: " + finished.error().message,
                     "whatever happened, the batch is run again until it is committed", true});
        return false;
    }
    return true;
}

Result<ScenarioReport> run_one(Driver& driver, const Scenario& scenario, std::size_t place, bool& is_stuck) {
    ScenarioReport report;
    report.name = scenario.name;
    if (is_stuck) {
        report.outcome = Outcome::not_tried;
        return report;
    }
    driver.seen = {};
    driver.enter_scenario(place, scenario.name);
    auto tried = run_and_close(driver, scenario);
    if (!tried && tried.error().code == ErrorCode::failed) return std::move(tried).error();
    if (!tried) {
        driver.find({Proof::nothing, tried.error().message, "", true});
        is_stuck = !recovers(driver);
        if (!is_stuck) SLUICE_CHECK(driver.look("after a new process went on"));
        if (!driver.close()) driver.kill();
    } else if (*tried) {
        report.outcome = Outcome::not_tried;
        report.notes.push_back(**tried);
    }
    add_notes(driver, report);
    report.findings = driver.take_findings();
    for (const Finding& finding : report.findings) {
        report.proven = std::min(report.proven, finding.at_most);
        if (fails(finding, driver.options.plugin->guarantee_with(driver.options.settings))) report.outcome = Outcome::failed;
    }
    return report;
}

}  // namespace

std::vector<std::string> scenario_names() {
    std::vector<std::string> names;
    for (const Scenario& scenario : scenarios()) names.emplace_back(scenario.name);
    return names;
}

std::string pipeline_of(std::uint64_t seed) { return "sink-test-" + std::to_string(seed); }

Result<Report> run(const Options& options) {
    Driver driver(options);
    SLUICE_CHECK(look_first(driver));
    Report report;
    report.declared = options.plugin->guarantee_with(options.settings);
    report.has_reader = options.reader.has_value();
    report.is_whole = !options.scenario;
    report.seed = options.seed;
    const auto all = scenarios();
    std::vector<std::size_t> chosen;
    for (std::size_t place = 0; place < all.size(); ++place) {
        if (!options.scenario || *options.scenario == all[place].name) chosen.push_back(place);
    }
    driver.progress = [&] { options.progress(report.scenarios.size(), chosen.size()); };
    bool is_stuck = false;
    for (const std::size_t place : chosen) {
        auto one = run_one(driver, all[place], place, is_stuck);
        if (!one) return with_context("scenario '" + std::string(all[place].name) + "'", std::move(one).error());
        report.proven = std::min(report.proven, one->proven);
        report.scenarios.push_back(*std::move(one));
    }
    if (!is_stuck) ignore_error(driver.close(), "what it answers was judged with the first scenario");
    report.records = driver.ledger.records();
    report.batches = driver.batches;
    report.kills = driver.kills;
    return report;
}

}  // namespace sluice::sinktest
