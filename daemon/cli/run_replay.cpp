// sluice batches replay: runs in the tool's own process, whether a daemon is up or not.

#include <algorithm>
#include <set>

#include "daemon/base/log.hpp"
#include "daemon/cli/fields.hpp"
#include "daemon/cli/history.hpp"
#include "daemon/cli/progress.hpp"
#include "daemon/cli/session.hpp"
#include "daemon/cli/views.hpp"
#include "daemon/config/sink_file.hpp"
#include "daemon/operations/notation.hpp"
#include "daemon/operations/replay.hpp"

namespace sluice::cli {
namespace {

/// Which batches the words mean: "orders/812..815", or "orders" with --from, --until.
Result<operations::History> wanted_history(Session& session) {
    const std::string& words = session.argument(0);
    SLUICE_TRY(const auto from, moment_option(session, "--from"));
    SLUICE_TRY(const auto until, moment_option(session, "--until"));
    if (words.find('/') == std::string::npos) {
        if (!from) return usage("name batches (" + words + "/812..815), or a time: --from TIME [--until TIME]");
        SLUICE_TRY(auto history, fetch_history(session, words, {from, {}, {}}));
        std::erase_if(history.batches, [&](const auto& batch) {
            return until && batch.plan.planned_at >= *until;
        });
        return history;
    }
    if (from || until) return usage("batches are named either by number or by time, not both");
    SLUICE_TRY(const auto span, operations::parse_batch_span(words));
    SLUICE_TRY(auto history, fetch_history(session, span.pipeline, {{}, span.first, span.last}));
    if (history.batches.size() != span.last - span.first + 1) {
        return Error{ErrorCode::not_found,
                     "not all of " + words + " are on record (" +
                         std::to_string(history.batches.size()) + " are): `sluice batches list " +
                         span.pipeline + "`"};
    }
    return history;
}

Result<config::Pipeline> configured(const config::Loaded& loaded, const std::string& name) {
    for (const auto& pipeline : loaded.config->pipelines) {
        if (pipeline.name == name) return pipeline;
    }
    return Error{ErrorCode::not_found, "pipeline '" + name +
                                           "' is not in the configuration, so how to reach its cluster is "
                                           "not known"};
}

/// "812-815", or what --replay-id says.
Result<std::string> suffix_of(const Session& session, const std::vector<checkpoints::BatchSummary>& batches) {
    const auto given = session.invocation().value("--replay-id");
    if (!given) {
        return std::to_string(batches.front().plan.batch_id) + "-" +
               std::to_string(batches.back().plan.batch_id);
    }
    constexpr std::string_view letters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (given->empty() || given->size() > 64 || given->find_first_not_of(letters) != std::string::npos) {
        return usage("--replay-id has 1 to 64 letters, digits, '.', '_' and '-'");
    }
    return *given;
}

}  // namespace

Result<int> run_batches_replay(Session& session) {
    const bool execute = session.invocation().has("--execute");
    if (execute && session.invocation().has("--dry-run")) {
        return usage("--execute and --dry-run contradict each other");
    }
    const auto into = session.invocation().value("--into");
    if (!into) return usage("--into SINK.yaml names the sink to deliver into");
    SLUICE_TRY(const auto history, wanted_history(session));
    std::vector<std::string> notes;
    operations::Replay replay;
    SLUICE_TRY(replay.batches, operations::choose_batches(history, notes));
    SLUICE_TRY(const auto suffix, suffix_of(session, replay.batches));
    replay.name = history.pipeline + ".replay-" + suffix;

    const config::Loaded& loaded = session.connection().load();
    if (!loaded.config) return config::to_error(loaded);
    SLUICE_TRY(replay.pipeline, configured(loaded, history.pipeline));
    const auto sink = config::load_sink(*into, replay.name, loaded.config->data_dir, loaded.plugins);
    if (!sink.sink) return config::to_error(sink);
    for (const auto& pipeline : loaded.config->pipelines) {
        if (!sink.sink->claimed().empty() && pipeline.sink.claimed() == sink.sink->claimed()) {
            return Error{ErrorCode::configuration, *into + ": pipeline '" + pipeline.name +
                                                       "' writes there; a replay has a target of its own"};
        }
    }
    replay.sink = *sink.sink;
    replay.plugin = loaded.plugins.at(replay.sink.plugin);
    replay.skip_lost = session.invocation().has("--skip-lost");
    replay.workers = std::clamp(loaded.config->workers, 1, 4);
    const std::filesystem::path file = std::filesystem::absolute(*into);
    replay.state_dir = session.invocation().value("--state").value_or(
        (file.parent_path() / (file.stem().string() + "." + replay.name + ".state")).string());

    SLUICE_TRY(const auto rereader,
               kafka::Rereader::open({replay.pipeline.source.kafka, replay.pipeline.name,
                                      replay.pipeline.source.isolation_level}));
    std::set<std::string> topics;
    std::uint64_t records = 0;
    for (const auto& batch : replay.batches) {
        for (const auto& planned : batch.plan.ranges) topics.insert(planned.range.topic_partition.topic);
        for (const auto& books : batch.commit->books) records += books.polled;
    }
    SLUICE_TRY(const auto now, rereader->look(topics));
    Progress progress(session.err(), session.clock(), replay.name + ": records delivered", records);
    SLUICE_TRY(const auto answer,
               operations::replay_batches(replay, history, now, execute, std::move(notes),
                                          [&](std::uint64_t done) { progress.at(done); }, session.clock()));
    session.print(answer, view_replay);
    const auto& rows = array_of(answer, "batches");
    const bool differs = std::any_of(rows.begin(), rows.end(), [](const json::value& row) {
        return row.is_object() && !array_of(row.get_object(), "differences").empty();
    });
    return differs || number_of(answer, "not_retained").value_or(0) > 0 ? exit_found : exit_ok;
}

}  // namespace sluice::cli
