#include "daemon/cli/fields.hpp"
#include "daemon/cli/table.hpp"
#include "daemon/cli/views.hpp"

namespace sluice::cli {

std::string view_replay(const json::object& replay) {
    const bool executed = flag_of(replay, "executed");
    const json::object& into = object_of(replay, "into");
    std::string out = printable(text_of(replay, "replay")) + " into " +
                      printable(text_of(into, "target", "") == "" ? text_of(into, "plugin")
                                                                  : text_of(into, "target")) +
                      "\n";
    Table table({{"BATCH"}, {"AS"}, {"STATE"}, {"RANGES", Align::right}, {"ESTIMATED", Align::right},
                 {"NOT RETAINED", Align::right}, {"RECORDED", Align::right}, {"DELIVERED", Align::right}},
                "  ");
    for (const auto& value : array_of(replay, "batches")) {
        if (!value.is_object()) continue;
        const json::object& row = value.get_object();
        table.add({text_of(replay, "pipeline") + "/" + id_of(row, "batch"), text_of(row, "as"),
                   text_of(row, "state"), count_of(row, "ranges"), count_of(row, "offsets"),
                   count_of(row, "not_retained"), count_of(object_of(row, "recorded"), "polled"),
                   count_of(object_of(row, "replayed"), "accepted")});
        for (const auto& difference : array_of(row, "differences")) {
            if (difference.is_string()) table.note("differs: " + std::string(difference.get_string()));
        }
    }
    out += table.text();
    for (const auto& note : array_of(replay, "notes")) {
        if (note.is_string()) out += "  note: " + printable(std::string_view(note.get_string())) + "\n";
    }
    if (number_of(replay, "not_retained").value_or(0) > 0 && !executed) {
        out += "  some of it is no longer retained by Kafka: --skip-lost delivers what is left\n";
    }
    if (!executed) out += "  this was a dry run; add --execute to do it\n";
    return out;
}

}  // namespace sluice::cli
