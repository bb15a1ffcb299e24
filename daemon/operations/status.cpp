#include "daemon/operations/status.hpp"

#include <algorithm>

#include "daemon/operations/json.hpp"
#include "daemon/operations/losses.hpp"

namespace sluice::operations {
namespace {

/// The newest batch with records behind it, for what the process itself does not remember. Batches are read one
/// by one, since each may have many ranges, as long as history has no hole: it keeps the last one with records longest.
Result<std::optional<checkpoints::Commit>> newest_commit(const Context& context, const std::string& pipeline,
                                                         std::uint64_t next_batch_id) {
    constexpr std::uint64_t looked_at = 16;  // in flight and abandoned ones may come first
    for (std::uint64_t back = 1; back <= std::min(looked_at, next_batch_id); ++back) {
        auto batch = context.store.batch(pipeline, next_batch_id - back);
        if (!batch && batch.error().code == ErrorCode::not_found) break;
        if (!batch) return std::move(batch).error();
        if (batch->commit && batch->commit->state != checkpoints::BatchState::abandoned) {
            return std::optional(*batch->commit);
        }
    }
    SLUICE_TRY(const auto batches, context.store.batches(pipeline, looked_at));
    for (const auto& batch : batches) {
        if (batch.commit && batch.commit->state != checkpoints::BatchState::abandoned) {
            return std::optional(*batch.commit);
        }
    }
    return std::optional<checkpoints::Commit>{};
}

json::array partitions_of(const checkpoints::PipelineState& state, const pipeline::Status* live) {
    json::array partitions;
    const auto add = [&](const plan::TopicPartition& tp, std::int64_t position, json::value latest) {
        partitions.push_back(json::object{{"topic", tp.topic},
                                          {"partition", tp.partition},
                                          {"position", position},
                                          {"latest", std::move(latest)}});
    };
    if (live != nullptr && !live->partitions.empty()) {
        for (const auto& [tp, status] : live->partitions) {
            json::value latest;
            if (status.latest) latest = *status.latest;
            add(tp, status.position, std::move(latest));
        }
    } else {
        for (const auto& [tp, position] : state.positions) add(tp, position.offset, nullptr);
    }
    return partitions;
}

json::array headroom_of(const pipeline::Status* live) {
    std::vector<std::pair<Milliseconds, plan::TopicPartition>> shortest_first;
    if (live != nullptr) {
        for (const auto& [tp, left] : live->headroom) shortest_first.emplace_back(left, tp);
    }
    std::sort(shortest_first.begin(), shortest_first.end());
    json::array array;
    for (const auto& [left, tp] : shortest_first) {
        array.push_back(json::object{{"topic", tp.topic},
                                     {"partition", tp.partition},
                                     {"seconds", left.count() / 1000}});
    }
    return array;
}

void add_live(json::object& object, const pipeline::Status& live) {
    object["state"] = pipeline::name_of(live.state);
    object["reason"] = live.reason;
    if (live.error_code) object["error"] = sluice::name_of(*live.error_code);
    object["since"] = to_iso8601(live.since);
    object["attempt"] = live.attempt;
    object["retry_at"] = time_or_null(live.retry_at);
    object["restarts"] = live.restarts;
    object["next_trigger"] = time_or_null(live.next_trigger);
    if (live.batch_id) {
        object["batch"] = {{"id", *live.batch_id},
                           {"offsets", live.batch_offsets},
                           {"polled", live.batch_polled}};
    }
    if (live.last_committed) {
        object["last_committed"] = *live.last_committed;
        object["last_commit_at"] = time_or_null(live.last_commit_at);
    }
    object["records_committed"] = live.records_committed;
    object["bytes_committed"] = live.bytes_committed;
    object["batches_committed"] = live.batches_committed;
    object["records_dead_lettered"] = live.records_dead_lettered;
    if (live.backlog) object["backlog"] = *live.backlog;
}

}  // namespace

Result<json::object> status_of(const Context& context, const std::string& pipeline,
                               const pipeline::Status* live) {
    SLUICE_TRY(const config::Pipeline* configuration, configured(context, pipeline));
    SLUICE_TRY(const auto state, context.store.load(pipeline));
    SLUICE_TRY(const auto losses, context.store.losses(pipeline));
    std::optional<checkpoints::Commit> newest;
    if (live == nullptr || !live->last_committed) {
        SLUICE_TRY(newest, newest_commit(context, pipeline, state.next_batch_id));
    }
    json::object object{{"pipeline", pipeline},
                        {"state", "DOWN"},
                        {"run_state", checkpoints::name_of(state.run_state)},
                        {"reason", ""},
                        {"error", nullptr},
                        {"since", nullptr},
                        {"attempt", 0},
                        {"retry_at", nullptr},
                        {"restarts", 0},
                        {"next_trigger", nullptr},
                        {"batch", nullptr},
                        {"last_committed", nullptr},
                        {"last_commit_at", nullptr},
                        {"records_committed", nullptr},
                        {"records_dead_lettered", nullptr},
                        {"bytes_committed", nullptr},
                        {"batches_committed", nullptr},
                        {"backlog", nullptr}};
    if (state.unfinished) {
        object["batch"] = {{"id", state.unfinished->batch_id},
                           {"offsets", offsets_of(state.unfinished->ranges)},
                           {"polled", nullptr}};
        if (live == nullptr) {
            object["reason"] = "batch " + std::to_string(state.unfinished->batch_id) +
                               " has no outcome: it is run again at the next start";
        }
    }
    if (newest) {
        object["last_committed"] = newest->batch_id;
        object["last_commit_at"] = to_iso8601(newest->committed_at);
    }
    if (live != nullptr) add_live(object, *live);
    object["records_lost"] = records_lost(losses);
    object["unaccepted_losses"] = std::count_if(losses.begin(), losses.end(),
                                                [](const auto& entry) { return !entry.accepted; });
    object["plugin"] = configuration->sink.plugin;
    object["guarantee"] = nullptr;
    if (live != nullptr && !live->guarantee.empty()) object["guarantee"] = live->guarantee;
    const std::string& cluster =
        live != nullptr && !live->cluster_id.empty() ? live->cluster_id : state.cluster_id;
    object["cluster_id"] = nullptr;
    if (!cluster.empty()) object["cluster_id"] = cluster;
    object["retention_headroom"] = headroom_of(live);
    object["partitions"] = partitions_of(state, live);
    return object;
}

Result<json::object> status(const Context& context,
                            const std::optional<std::vector<pipeline::Status>>& live, bool all,
                            const std::optional<pipeline::MemoryUse>& memory) {
    json::array pipelines;
    for (const auto& configuration : context.config.pipelines) {
        const pipeline::Status* mine = nullptr;
        if (live) {
            const auto found = std::find_if(live->begin(), live->end(), [&](const auto& status) {
                return status.name == configuration.name;
            });
            if (found != live->end()) mine = &*found;
        }
        SLUICE_TRY(auto object, status_of(context, configuration.name, mine));
        pipelines.push_back(std::move(object));
    }
    json::object answer{{"daemon", live ? "running" : "not running"},
                        {"pipelines", std::move(pipelines)},
                        {"orphans", nullptr},
                        {"memory", nullptr}};
    if (memory) {
        answer["memory"] = {{"max", memory->max},
                            {"consumers_max", memory->consumers_max},
                            {"consumers", memory->consumers},
                            {"in_flight", memory->in_flight},
                            {"sinks", memory->sinks}};
    }
    if (all) {
        SLUICE_TRY(const auto stored, context.store.pipelines());
        json::array orphans;
        for (const auto& name : stored) {
            if (!configured(context, name)) orphans.emplace_back(name);
        }
        answer["orphans"] = std::move(orphans);
    }
    return answer;
}

}  // namespace sluice::operations
