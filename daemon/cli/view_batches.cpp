#include "daemon/cli/fields.hpp"
#include "daemon/cli/table.hpp"
#include "daemon/cli/views.hpp"

namespace sluice::cli {
namespace {

std::string duration_cell(const json::object& object, const char* key) {
    const auto ms = number_of(object, key);
    if (!ms) return "-";
    if (*ms < 10'000) return std::to_string(*ms) + " ms";
    return format_count(*ms / 1000) + " s";
}

}  // namespace

std::string view_batches(const json::object& list) {
    const std::string pipeline = text_of(list, "pipeline");
    Table table({{"BATCH"}, {"STATE"}, {"PLANNED"}, {"COMMITTED"}, {"RANGES", Align::right},
                 {"OFFSETS", Align::right}, {"RECORDS", Align::right}, {"TIME", Align::right}});
    for (const auto& value : array_of(list, "batches")) {
        if (!value.is_object()) continue;
        const json::object& batch = value.get_object();
        table.add({pipeline + "/" + id_of(batch, "batch"), text_of(batch, "state"),
                   moment_of(batch, "planned_at"), moment_of(batch, "committed_at"),
                   count_of(batch, "ranges"), count_of(batch, "offsets"),
                   count_of(object_of(batch, "books"), "polled"), duration_cell(batch, "total_ms")});
    }
    if (table.is_empty()) return pipeline + ": no batches yet\n";
    return table.text();
}

std::string view_batch(const json::object& batch) {
    std::string out = printable(text_of(batch, "pipeline")) + "/" + id_of(batch, "batch") + "  " +
                      text_of(batch, "state") + "\n";
    out += "  planned    " + moment_of(batch, "planned_at") + "\n";
    if (field(batch, "committed_at") != nullptr) {
        out += "  outcome    " + moment_of(batch, "committed_at") + ", " +
               counted(static_cast<std::uint64_t>(number_of(batch, "attempts").value_or(0)), "attempt") +
               ", " + duration_cell(batch, "total_ms");
        const json::object& phases = object_of(batch, "phases");
        out += " (read and write " + duration_cell(phases, "read_and_write_ms") + ", sink commit " +
               duration_cell(phases, "sink_commit_ms") + ")\n";
    }
    const json::object& found = object_of(batch, "found");
    if (!found.empty()) {
        out += "  found      " + printable(partition_of(found)) + "@" + id_of(found, "offset") +
               " in range " + id_of(found, "range") + "\n";
    }
    Table table({{"RANGE", Align::right}, {"PARTITION"}, {"FROM", Align::right}, {"UNTIL", Align::right},
                 {"ESTIMATED", Align::right}, {"POLLED", Align::right}, {"GAPS", Align::right},
                 {"LOST", Align::right}, {"ACCEPTED", Align::right}, {"FILTERED", Align::right},
                 {"DEAD", Align::right}, {"BYTES", Align::right}},
                "  ");
    const auto row = [&](const std::string& index, const json::object& range, const json::object& books) {
        const bool is_sum = index.empty();
        table.add({index, is_sum ? "total" : partition_of(range), is_sum ? "" : id_of(range, "from"),
                   is_sum ? "" : id_of(range, "until"), count_of(range, "offsets"),
                   count_of(books, "polled"), count_of(books, "gaps"), count_of(books, "lost"),
                   count_of(books, "accepted"), count_of(books, "filtered"),
                   count_of(books, "dead_lettered"), count_of(books, "bytes")});
    };
    for (const auto& value : array_of(batch, "ranges")) {
        if (!value.is_object()) continue;
        row(id_of(value.get_object(), "index"), value.get_object(), object_of(value.get_object(), "books"));
    }
    row("", batch, object_of(batch, "books"));
    out += table.text();
    for (const auto& value : array_of(batch, "refused")) {
        if (!value.is_object()) continue;
        const json::object& record = value.get_object();
        out += "  refused    " + printable(partition_of(record)) + "@" + id_of(record, "offset") + ": " +
               printable(text_of(record, "reason")) + "\n";
    }
    return out;
}

}  // namespace sluice::cli
