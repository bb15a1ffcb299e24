// Commands that change something: offsets, losses accept, run states, reload, log level, forget.

#include "daemon/cli/fields.hpp"
#include "daemon/cli/session.hpp"
#include "daemon/cli/table.hpp"
#include "daemon/cli/views.hpp"
#include "daemon/operations/notation.hpp"

namespace sluice::cli {
namespace {

/// --execute; a dry run is the default, and both together are a contradiction.
Result<bool> executes(const Session& session) {
    const bool execute = session.invocation().has("--execute");
    if (execute && session.invocation().has("--dry-run")) {
        return usage("--execute and --dry-run contradict each other");
    }
    return execute;
}

Effect effect_of(bool execute) { return execute ? Effect::changes : Effect::looks; }

Result<int> move(Session& session, json::object body, std::string_view rest = "/offsets",
                 std::string (*view)(const json::object&) = view_move) {
    SLUICE_TRY(const bool execute, executes(session));
    body["execute"] = execute;
    SLUICE_TRY(const auto answer,
               session.connection().request(effect_of(execute), "POST",
                                            pipeline_target(session.argument(0), rest), body));
    session.print(answer, view);
    return exit_ok;
}

/// PUTs `verb` for every pipeline named; the first failure ends it, after what was done is printed.
Result<int> put_each(Session& session, Effect effect, const char* verb,
                     std::string (*line)(const json::object&)) {
    json::array answers;
    Result<void> failed;
    for (const std::string& name : session.invocation().arguments) {
        auto answer = session.connection().request(effect, "PUT",
                                                   pipeline_target(name, std::string("/") + verb));
        if (!answer) {
            failed = std::move(answer).error();
            break;
        }
        if (!session.wants_json()) session.out() << printable(line(*answer)) << "\n";
        answers.push_back(*std::move(answer));
    }
    if (session.wants_json()) session.print_json({{"pipelines", std::move(answers)}});
    if (!failed) return std::move(failed).error();
    return exit_ok;
}

std::string run_state_line(const json::object& answer) {
    const std::string effect = text_of(answer, "effect");
    const std::string was = text_of(answer, "was");
    const std::string state = text_of(answer, "run_state");
    return text_of(answer, "pipeline") + ": " + state + (was == state ? " already" : "") +
           (effect == "now" ? "" : ", " + effect);
}

Result<int> change_run_state(Session& session, const char* verb) {
    return put_each(session, Effect::changes, verb, run_state_line);
}

}  // namespace

Result<int> run_offsets_set(Session& session) {
    json::object offsets;
    const auto& arguments = session.invocation().arguments;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        SLUICE_TRY(const auto record, operations::parse_record_name(arguments[i]));
        json::value& topic = offsets[record.topic_partition.topic];
        if (!topic.is_object()) topic.emplace_object();
        json::object& partitions = topic.get_object();
        const std::string partition = std::to_string(record.topic_partition.partition);
        if (partitions.contains(partition)) {
            return usage(record.topic_partition.topic + "/" + partition + " is given twice");
        }
        partitions[partition] = record.offset;
    }
    return move(session, {{"action", "set"}, {"offsets", std::move(offsets)}});
}

Result<int> run_offsets_reset(Session& session) {
    const Invocation& invocation = session.invocation();
    json::object body{{"action", "reset"}};
    int targets = 0;
    const auto to = [&](const char* option, const char* target) {
        if (!invocation.has(option)) return;
        body["to"] = target;
        ++targets;
    };
    to("--to-earliest", "earliest");
    to("--to-latest", "latest");
    to("--to-starting-offsets", "starting-offsets");
    if (const auto time = invocation.value("--to-datetime")) {
        if (!config::parse_rfc3339(*time)) {
            return usage("--to-datetime takes a time with its zone, such as 2026-11-01T08:00:00Z, not '" +
                         *time + "'");
        }
        body["to"] = *time;
        ++targets;
    }
    if (const auto shift = invocation.value("--shift-by")) {
        const auto count = parse_int64(*shift);
        if (!count) return usage("--shift-by takes a whole number, such as -1000, not '" + *shift + "'");
        body["shift_by"] = *count;
        ++targets;
    }
    if (targets != 1) {
        return usage("offsets reset needs one of --to-earliest, --to-latest, --to-datetime TIME, "
                     "--to-starting-offsets and --shift-by COUNT");
    }
    json::array only;
    for (std::size_t i = 1; i < invocation.arguments.size(); ++i) {
        SLUICE_CHECK(operations::parse_scope(invocation.arguments[i]));
        only.emplace_back(invocation.arguments[i]);
    }
    if (!only.empty()) body["only"] = std::move(only);
    return move(session, std::move(body));
}

Result<int> run_offsets_skip(Session& session) {
    SLUICE_TRY(const auto record, operations::parse_record_name(session.argument(1)));
    return move(session, {{"action", "skip"},
                          {"topic", record.topic_partition.topic},
                          {"partition", record.topic_partition.partition},
                          {"offset", record.offset}});
}

Result<int> run_losses_accept(Session& session) { return move(session, {}, "/losses/accept"); }

Result<int> run_batches_replan(Session& session) { return move(session, {}, "/replan", view_replan); }

Result<int> run_pause(Session& session) { return change_run_state(session, "pause"); }
Result<int> run_resume(Session& session) { return change_run_state(session, "resume"); }
Result<int> run_stop(Session& session) { return change_run_state(session, "stop"); }
Result<int> run_restart(Session& session) {
    return put_each(session, Effect::looks, "restart", [](const json::object& answer) {
        return text_of(answer, "pipeline") + ": restarting";
    });
}

Result<int> run_reload(Session& session) {
    // Pipelines that changed finish their running batch first, and batches may be long.
    constexpr Milliseconds patience{60 * 60'000};
    SLUICE_TRY(const auto answer, session.connection().request(Effect::looks, "POST", "/api/reload", {}, patience));
    session.print(answer, [](const json::object& object) {
        std::string text;
        for (const auto& finding : array_of(object, "findings")) {
            if (finding.is_object()) {
                text += "warning: " + printable(text_of(finding.get_object(), "text")) + "\n";
            }
        }
        return text + "reloaded\n";
    });
    return exit_ok;
}

Result<int> run_logs_level(Session& session) {
    const bool sets = !session.invocation().arguments.empty();
    json::object answer;
    if (sets) {
        SLUICE_TRY(answer, session.connection().request(Effect::looks, "PUT", "/api/logs/level",
                                                        {{"level", session.argument(0)}}));
    } else {
        SLUICE_TRY(answer, session.get("/api/logs/level"));
    }
    session.print(answer, [](const json::object& object) { return text_of(object, "level") + "\n"; });
    return exit_ok;
}

Result<int> run_forget(Session& session) {
    SLUICE_TRY(const bool execute, executes(session));
    SLUICE_TRY(const auto answer,
               session.connection().request(
                   effect_of(execute), "DELETE",
                   pipeline_target(session.argument(0), execute ? "?execute=true" : "")));
    session.print(answer, [](const json::object& object) {
        const std::string what = printable(text_of(object, "pipeline")) + ": " + count_of(object, "positions") +
                                 " positions, the history up to batch id " + id_of(object, "next_batch") +
                                 " and " + count_of(object, "losses") + " ledger entries ";
        return what + (flag_of(object, "executed")
                           ? "are gone\n"
                           : "would be removed; this was a dry run; add --execute to do it\n");
    });
    return exit_ok;
}

}  // namespace sluice::cli
