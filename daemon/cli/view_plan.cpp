#include <algorithm>

#include "daemon/cli/fields.hpp"
#include "daemon/cli/table.hpp"
#include "daemon/cli/views.hpp"

namespace sluice::cli {
namespace {

std::string heading(const json::object& plan) {
    const std::string pipeline = text_of(plan, "pipeline");
    const std::string batch = pipeline + "/" + id_of(plan, "batch");
    const std::string decision = text_of(plan, "decision");
    if (decision == "rerun") {
        return batch + ", planned " + moment_of(plan, "planned_at") + ", runs exactly as recorded";
    }
    if (decision == "run") return "the next batch is " + batch;
    if (decision == "wait") return pipeline + ": the next trigger waits for more offsets";
    if (decision == "nothing") return pipeline + ": nothing to read, every partition is at its end";
    if (decision == "data_loss") return pipeline + ": the next trigger stops, because data is lost";
    return pipeline + ": " + decision;
}

std::string limits(const json::object& plan) {
    const json::object& limits = object_of(plan, "limits");
    std::string out;
    const auto add = [&](const char* key, const char* option) {
        if (!number_of(limits, key)) return;
        out += (out.empty() ? "" : ", ") + std::string(option) + " " + count_of(limits, key);
    };
    add("max_offsets", "maxOffsetsPerTrigger");
    add("min_offsets", "minOffsetsPerTrigger");
    add("max_records_per_partition", "maxRecordsPerPartition");
    add("min_partitions", "minPartitions");
    return out;
}

/// Of a pipeline that nothing was seen of yet, it would only say what `auto` does.
std::string advice(const json::object& plan) {
    std::string out;
    const auto seen = number_of(plan, "batches_seen");
    if (seen == 0) return "  no advice on limits yet: no batch is on record\n";
    if (!seen) return out;
    for (const auto& value : array_of(plan, "advice")) {
        if (!value.is_object()) continue;
        const json::object& one = value.get_object();
        const std::string what = number_of(one, "value") ? count_of(one, "value") : "better left out";
        out += "  advice: " + printable(text_of(one, "option") + " " + what + ": " + text_of(one, "why")) + "\n";
    }
    return out;
}

std::string summary(const json::object& plan) {
    const auto number = [&](const char* key) {
        return static_cast<std::uint64_t>(std::max<std::int64_t>(number_of(plan, key).value_or(0), 0));
    };
    std::string out;
    if (!array_of(plan, "ranges").empty()) {
        out = counted(number("offsets"), "offset") + " in " +
              counted(array_of(plan, "ranges").size(), "range") + " of " +
              counted(number("partitions"), "partition");
    }
    if (field(plan, "backlog") != nullptr) {
        const bool none = number("backlog") == 0;
        out += (out.empty() ? "" : "; ") + std::string("backlog ") + count_of(plan, "backlog") +
               (none ? "" : ", left after this batch " + count_of(plan, "left"));
    }
    const std::string capped = limits(plan);
    if (!capped.empty()) out += (out.empty() ? "" : "; ") + capped;
    return out;
}

}  // namespace

std::string view_plan(const json::object& plan) {
    std::string out = printable(heading(plan)) + "\n";
    if (!array_of(plan, "ranges").empty()) {
        Table table({{"RANGE", Align::right}, {"PARTITION"}, {"FROM", Align::right},
                     {"UNTIL", Align::right}, {"OFFSETS", Align::right}, {"LANE", Align::right}},
                    "  ");
        for (const auto& value : array_of(plan, "ranges")) {
            if (!value.is_object()) continue;
            const json::object& range = value.get_object();
            table.add({id_of(range, "index"), partition_of(range), id_of(range, "from"),
                       id_of(range, "until"), count_of(range, "offsets"), id_of(range, "lane")});
        }
        out += table.text();
    }
    for (const auto& value : array_of(plan, "losses")) {
        if (value.is_object()) out += "  lost: " + printable(text_of(value.get_object(), "text")) + "\n";
    }
    const std::string line = summary(plan);
    if (!line.empty()) out += "  " + line + "\n";
    out += advice(plan);
    for (const auto& note : array_of(plan, "notes")) {
        if (note.is_string()) out += "  " + printable(note.get_string().c_str()) + "\n";
    }
    return out;
}

}  // namespace sluice::cli
