#include <algorithm>

#include "daemon/cli/fields.hpp"
#include "daemon/cli/table.hpp"
#include "daemon/cli/views.hpp"

namespace sluice::cli {
namespace {

/// "813 45%" while it runs, "813 again" when it will be run again, else the last one committed.
std::string batch_cell(const json::object& pipeline) {
    const json::object& batch = object_of(pipeline, "batch");
    const auto id = number_of(batch, "id");
    if (!id) return id_of(pipeline, "last_committed");
    const auto offsets = number_of(batch, "offsets");
    const auto polled = number_of(batch, "polled");
    if (!offsets || !polled || *offsets <= 0) return std::to_string(*id) + " again";
    const auto percent = static_cast<int>(100.0 * static_cast<double>(*polled) / static_cast<double>(*offsets));
    return std::to_string(*id) + " " + std::to_string(percent) + "%";
}

std::string age_cell(const json::object& pipeline, const char* key, WallTime now) {
    const auto time = time_of(pipeline, key);
    return time ? age(*time, now) : "-";
}

/// DOWN says that nothing runs; that it would not run after a start either is worth saying, too.
std::string state_cell(const json::object& pipeline) {
    std::string state = text_of(pipeline, "state");
    const std::string run_state = text_of(pipeline, "run_state", "running");
    if (state == "DOWN" && run_state != "running") state += " (" + run_state + ")";
    return state;
}

void add_notes(Table& table, const json::object& pipeline, WallTime now) {
    const std::string reason = text_of(pipeline, "reason", "");
    if (!reason.empty()) {
        std::string line = reason;
        const auto retry_at = time_of(pipeline, "retry_at");
        if (retry_at && *retry_at > now) {
            line += " (attempt " + id_of(pipeline, "attempt") + ", again in " + age(now, *retry_at) + ")";
        }
        table.note(line);
    }
    const json::array& headroom = array_of(pipeline, "retention_headroom");
    if (!headroom.empty() && headroom[0].is_object()) {
        const json::object& next = headroom[0].get_object();
        const auto seconds = number_of(next, "seconds");
        constexpr std::int64_t soon = 24 * 3600;
        if (seconds && *seconds < soon) {
            const std::string when =
                *seconds == 0 ? "may begin at any time" : "begins in " + age(now, now + Milliseconds{*seconds * 1000});
            table.note("data loss by retention " + when + ": " + text_of(next, "topic") + "-" +
                       id_of(next, "partition") + " of " + std::to_string(headroom.size()) +
                       (headroom.size() == 1 ? " partition" : " partitions") +
                       " with unread records; raise its retention.ms, or let " +
                       text_of(pipeline, "pipeline") + " read (sluice resume)");
        }
    }
    const auto unaccepted = number_of(pipeline, "unaccepted_losses").value_or(0);
    if (unaccepted > 0) {
        table.note(std::to_string(unaccepted) + " unaccepted data loss" + (unaccepted == 1 ? "" : "es") +
                   ": sluice losses list " + text_of(pipeline, "pipeline"));
    }
}

}  // namespace

std::string view_status(const json::object& status, WallTime now) {
    std::string out;
    const bool runs = text_of(status, "daemon") == "running";
    if (!runs) out += "daemon: not running\n\n";
    Table table({{"PIPELINE"}, {"STATE"}, {"SINCE", Align::right}, {"BATCH", Align::right},
                 {"RECORDS", Align::right}, {"LAG", Align::right}, {"LAST COMMIT", Align::right}});
    for (const auto& value : array_of(status, "pipelines")) {
        if (!value.is_object()) continue;
        const json::object& pipeline = value.get_object();
        table.add({text_of(pipeline, "pipeline"), state_cell(pipeline), age_cell(pipeline, "since", now),
                   batch_cell(pipeline), count_of(pipeline, "records_committed"),
                   count_of(pipeline, "backlog"), age_cell(pipeline, "last_commit_at", now)});
        add_notes(table, pipeline, now);
    }
    if (table.is_empty()) {
        out += "no pipelines are configured\n";
    } else {
        out += table.text();
    }
    const json::object& memory = object_of(status, "memory");
    if (number_of(memory, "max")) {
        const auto size = [&](const char* key) {
            return format_size(static_cast<std::uint64_t>(std::max<std::int64_t>(number_of(memory, key).value_or(0), 0)));
        };
        out += "\nmemory: at most " + size("max") + "; consumers hold " + size("consumers") + " of " +
               size("consumers_max") + ", batches in flight " + size("in_flight") + ", sinks " + size("sinks") + "\n";
    }
    const json::array& orphans = array_of(status, "orphans");
    if (!orphans.empty()) {
        out += "\nno longer configured, checkpoints kept (sluice forget NAME):\n";
        for (const auto& name : orphans) {
            if (name.is_string()) out += "  " + printable(name.get_string().c_str()) + "\n";
        }
    }
    return out;
}

bool needs_attention(const json::object& status) {
    for (const auto& value : array_of(status, "pipelines")) {
        if (!value.is_object()) continue;
        const std::string state = text_of(value.get_object(), "state");
        if (state == "FAILED" || state == "STALLED") return true;
        if (number_of(value.get_object(), "unaccepted_losses").value_or(0) > 0) return true;
    }
    return false;
}

}  // namespace sluice::cli
