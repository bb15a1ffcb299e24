#include "daemon/cli/fields.hpp"
#include "daemon/cli/table.hpp"
#include "daemon/cli/views.hpp"

namespace sluice::cli {
namespace {

std::string delta_cell(const json::object& change) {
    const auto before = number_of(change, "before");
    const auto after = number_of(change, "after");
    if (!before || !after) return "-";
    const std::int64_t delta = *after - *before;
    return (delta > 0 ? "+" : "") + format_count(delta);
}

void add_notes(std::string& out, const json::object& object) {
    for (const auto& note : array_of(object, "notes")) {
        if (note.is_string()) out += "  " + printable(note.get_string().c_str()) + "\n";
    }
}

std::string ending_of(const json::object& change) {
    if (!flag_of(change, "executed")) {
        return "nothing was changed: this was a dry run; add --execute to do it\n";
    }
    return flag_of(change, "restarted") ? "done; the running pipeline rereads its checkpoint\n" : "done\n";
}

}  // namespace

std::string view_offsets(const json::object& offsets) {
    const std::string pipeline = printable(text_of(offsets, "pipeline"));
    if (array_of(offsets, "partitions").empty()) {
        return pipeline + ": no positions yet; startingOffsets decides at the first start\n";
    }
    Table table({{"PARTITION"}, {"OFFSET", Align::right}, {"EPOCH", Align::right}, {"LAST MOVED BY"}});
    for (const auto& value : array_of(offsets, "partitions")) {
        if (!value.is_object()) continue;
        const json::object& one = value.get_object();
        const auto batch = number_of(one, "last_batch");
        table.add({partition_of(one), id_of(one, "offset"), id_of(one, "leader_epoch"),
                   batch ? pipeline + "/" + std::to_string(*batch) : "-"});
    }
    std::string out = table.text();
    if (field(offsets, "unfinished") != nullptr) {
        out += "batch " + pipeline + "/" + id_of(offsets, "unfinished") + " is planned and has no outcome yet\n";
    }
    const json::array& audit = array_of(offsets, "audit");
    if (!audit.empty() && audit.back().is_object()) {
        const json::object& last = audit.back().get_object();
        out += "last action: " + moment_of(last, "at") + " " + printable(text_of(last, "action")) + "\n";
    }
    return out;
}

std::string view_move(const json::object& move) {
    std::string out;
    const json::array& losses = array_of(move, "losses");
    for (const auto& value : losses) {
        if (value.is_object()) out += "lost: " + printable(text_of(value.get_object(), "text")) + "\n";
    }
    Table table({{"PARTITION"}, {"BEFORE", Align::right}, {"AFTER", Align::right}, {"CHANGE", Align::right}});
    for (const auto& value : array_of(move, "changes")) {
        if (!value.is_object()) continue;
        const json::object& change = value.get_object();
        table.add({partition_of(change), id_of(change, "before"),
                   field(change, "after") != nullptr ? id_of(change, "after") : "forgotten",
                   delta_cell(change)});
    }
    if (!table.is_empty()) out += table.text();
    const auto unchanged = number_of(move, "unchanged").value_or(0);
    if (unchanged > 0) {
        out += counted(static_cast<std::uint64_t>(unchanged), "partition") + " already there\n";
    }
    add_notes(out, move);
    const bool nothing = table.is_empty() && losses.empty() && field(move, "replans") == nullptr &&
                         field(move, "abandons") == nullptr;
    if (nothing) return out + "nothing to change\n";
    return out + ending_of(move);
}

std::string view_replan(const json::object& replan) {
    const std::string pipeline = printable(text_of(replan, "pipeline"));
    if (field(replan, "batch") == nullptr) return pipeline + ": no batch is without an outcome\n";
    std::string out = pipeline + "/" + id_of(replan, "batch") + " has " +
                      counted(array_of(replan, "ranges").size(), "range") + "\n";
    add_notes(out, replan);
    return out + ending_of(replan);
}

std::string view_losses(const json::object& losses) {
    const std::string pipeline = printable(text_of(losses, "pipeline"));
    if (array_of(losses, "losses").empty()) return pipeline + ": no data was ever lost\n";
    Table table({{"PARTITION"}, {"KIND"}, {"FROM", Align::right}, {"UNTIL", Align::right},
                 {"RECORDS", Align::right}, {"WENT ON AT", Align::right}, {"DETECTED"}, {"ACCEPTED"}});
    for (const auto& value : array_of(losses, "losses")) {
        if (!value.is_object()) continue;
        const json::object& loss = value.get_object();
        table.add({partition_of(loss), text_of(loss, "kind"), id_of(loss, "from"), id_of(loss, "until"),
                   count_of(loss, "records_lost"), id_of(loss, "adjusted_start"),
                   moment_of(loss, "detected_at"), flag_of(loss, "accepted") ? "yes" : "NO"});
    }
    std::string out = table.text();
    const auto unaccepted = number_of(losses, "unaccepted").value_or(0);
    if (unaccepted > 0) {
        out += std::to_string(unaccepted) + " not accepted; to record that and go on: sluice losses accept " +
               pipeline + " --execute\n";
    }
    return out;
}

}  // namespace sluice::cli
