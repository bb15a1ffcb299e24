#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/cli/fields.hpp"
#include "daemon/cli/table.hpp"
#include "daemon/cli/views.hpp"

namespace sluice::cli {
namespace {

/// One line on what is declared and what is proven.
std::string verdict(const json::object& report, std::size_t failed) {
    const std::string declared = text_of(report, "declared");
    const std::string proven = text_of(report, "proven");
    const std::string text = "declared " + declared + ", ";
    const bool has_reader = flag_of(report, "has_reader");
    if (failed > 0 && proven == "nothing") return text + "and not even at-least-once is kept";
    if (failed > 0 && proven == declared) return text + "and " + counted(failed, "scenario") + " failed";
    if (failed > 0) return text + "proven " + proven;
    if (!flag_of(report, "is_whole")) return text + "and this scenario found nothing against it; only all of them prove it";
    if (!has_reader) {
        return text + "not proven: without --reader nobody sees what is in the target. The answers are right";
    }
    if (proven == declared) return text + "proven " + proven;
    return text + "proven " + declared + "; nothing was seen that " + proven + " would not allow";
}

/// The first failure of each kind, and how many more.
void note_failures(Table& table, const json::object& scenario, std::set<std::string>& rules_said) {
    std::vector<std::pair<std::string, std::size_t>> kinds;
    for (const auto& value : array_of(scenario, "findings")) {
        if (!value.is_object() || !flag_of(value.get_object(), "fails")) continue;
        const json::object& finding = value.get_object();
        const std::string rule = text_of(finding, "rule", "");
        const auto known = std::find_if(kinds.begin(), kinds.end(),
                                        [&](const auto& kind) { return kind.first == rule; });
        if (known != kinds.end()) {
            ++known->second;
            continue;
        }
        kinds.emplace_back(rule, 0);
        table.note(text_of(finding, "text"));
        if (!rule.empty() && rules_said.insert(rule).second) table.note("  rule: " + rule);
    }
    std::size_t more = 0;
    for (const auto& [rule, others] : kinds) more += others;
    if (more > 0) table.note("and " + std::to_string(more) + " more like these (--json has all)");
}

}  // namespace

std::string view_sink_test(const json::object& report) {
    Table table({{"SCENARIO"}, {"RESULT"}, {"PROVEN"}});
    std::size_t failed = 0;
    std::set<std::string> rules_said;  // once is enough
    for (const auto& value : array_of(report, "scenarios")) {
        if (!value.is_object()) continue;
        const json::object& scenario = value.get_object();
        const std::string outcome = text_of(scenario, "outcome");
        if (outcome == "failed") ++failed;
        const bool was_seen = outcome != "not tried" && flag_of(report, "has_reader");
        table.add({text_of(scenario, "name"), outcome == "passed" ? "ok" : outcome, was_seen ? text_of(scenario, "proven") : "-"});
        note_failures(table, scenario, rules_said);
        for (const auto& note : array_of(scenario, "notes")) {
            if (note.is_string()) table.note(std::string(note.get_string()));
        }
    }
    const auto number = [&](const char* name) {
        return static_cast<std::uint64_t>(number_of(report, name).value_or(0));
    };
    return table.text() + "\n" + verdict(report, failed) + "\n" + counted(number("records"), "record") + ", " +
           format_count(static_cast<std::int64_t>(number("batches"))) + " batches, " + counted(number("kills"), "kill") +
           "; the same again, into an empty target: --seed " + id_of(report, "seed") + "\n";
}

}  // namespace sluice::cli
