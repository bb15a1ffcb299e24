#include <algorithm>

#include "daemon/cli/fields.hpp"
#include "daemon/cli/table.hpp"
#include "daemon/cli/views.hpp"

namespace sluice::cli {
namespace {

constexpr std::size_t findings_shown_max = 50;

std::uint64_t count(const json::object& object, const char* key) {
    return static_cast<std::uint64_t>(number_of(object, key).value_or(0));
}

std::string batches_line(const json::object& report) {
    const json::object& batches = object_of(report, "batches");
    const std::string name = printable(text_of(report, "pipeline"));
    if (field(batches, "first") == nullptr) return name + ": no batches on record\n";
    std::string line = name + ": batches " + id_of(batches, "first") + " to " + id_of(batches, "last") + ", " +
                       count_of(batches, "committed") + " committed";
    for (const char* state : {"recovered", "abandoned", "open"}) {
        if (count(batches, state) > 0) line += ", " + count_of(batches, state) + " " + state;
    }
    return line + "\n";
}

/// The one line that a tired person reads.
std::string verdict(const json::object& report) {
    const std::size_t findings = array_of(report, "findings").size();
    if (findings > 0) return "  NOT IN ORDER: " + counted(findings, "finding") + "\n";
    const json::object& total = object_of(report, "total");
    std::string line = "  in order: every batch balances, and each begins where the one before ended";
    if (count(total, "not_read") > 0) return line + "; its records were not read again\n";
    if (count(total, "read_again") > 0) line += "; read again, the counts are the same";
    return line + "\n";
}

}  // namespace

std::string view_verify(const json::object& report) {
    std::string out = batches_line(report);
    if (field(object_of(report, "batches"), "first") == nullptr) return out;
    out += verdict(report);
    Table table({{"TOPIC"}, {"CLEANUP"}, {"RANGES", Align::right}, {"ESTIMATED", Align::right},
                 {"POLLED", Align::right}, {"LOST", Align::right}, {"GAPS", Align::right},
                 {"ABORTED", Align::right}, {"CONTROL", Align::right}, {"COMPACTED/CONTROL", Align::right},
                 {"UNEXPLAINED", Align::right}},
                "  ");
    const auto row = [&](const std::string& name, const json::object& sums) {
        table.add({name, text_of(sums, "cleanup_policy", name == "total" ? "" : "-"), count_of(sums, "ranges"),
                   count_of(sums, "offsets"), count_of(sums, "polled"), count_of(sums, "lost"),
                   count_of(sums, "gaps"), count_of(sums, "aborted"), count_of(sums, "control"),
                   count_of(sums, "compacted_or_control"), count_of(sums, "not_explained")});
    };
    for (const auto& topic : array_of(report, "topics")) {
        if (!topic.is_object()) continue;
        const json::object& sums = topic.get_object();
        row(text_of(sums, "topic"), sums);
        if (count(sums, "not_retained") > 0) {
            table.note(counted(count(sums, "not_retained"), "range") +
                       " can't be read again: no longer retained by Kafka");
        }
        if (count(sums, "compacted_since") > 0) {
            table.note(counted(count(sums, "compacted_since"), "record") +
                       " delivered then, removed by compaction since");
        }
    }
    if (array_of(report, "topics").size() > 1) row("total", object_of(report, "total"));
    if (!table.is_empty()) out += table.text();

    const json::array& findings = array_of(report, "findings");
    for (std::size_t i = 0; i < findings.size() && i < findings_shown_max; ++i) {
        if (!findings[i].is_object()) continue;
        const json::object& finding = findings[i].get_object();
        std::string kind = text_of(finding, "kind");
        std::replace(kind.begin(), kind.end(), '_', ' ');
        out += "  " + kind + ": batch " + printable(text_of(report, "pipeline")) + "/" +
               id_of(finding, "batch");
        if (field(finding, "range") != nullptr) out += " range " + id_of(finding, "range");
        out += ": " + printable(text_of(finding, "text")) + "\n";
    }
    if (findings.size() > findings_shown_max) {
        out += "  and " + counted(findings.size() - findings_shown_max, "finding") + " more: --json has all\n";
    }
    if (field(report, "not_read_because") != nullptr) {
        out += "  reading again ended early: " + printable(text_of(report, "not_read_because")) + "\n";
    }
    for (const auto& note : array_of(report, "notes")) {
        if (note.is_string()) out += "  note: " + printable(std::string_view(note.get_string())) + "\n";
    }
    return out;
}

}  // namespace sluice::cli
