#pragma once
// The daemon's own interface over HTTP: operations/ and the running pipelines bound to routes. The
// `sluice` tool speaks it through the control socket; with the daemon down it dispatches the same
// routes in its own process, so that there is one truth for both.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/store.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/config/config.hpp"
#include "daemon/control/router.hpp"
#include "daemon/operations/context.hpp"
#include "daemon/pipeline/engine.hpp"

namespace sluice::api {

/// The running pipelines, as far as the API needs them. Called from the blocking pool and from the
/// server's strand: each function must be safe from any thread, and must not block.
struct Live {
    std::function<std::vector<pipeline::Status>()> statuses;
    /// False when no such pipeline runs; the state has been written to the store before.
    std::function<bool(const std::string& name, checkpoints::RunState state)> set_run_state;
    /// Leaves FAILED or a back-off behind and rereads the checkpoint. False when no such pipeline runs.
    std::function<bool(const std::string& name)> restart;
    /// True when its loop is over (done, or given up): nothing but a reload starts it again.
    std::function<bool(const std::string& name)> has_ended;
    /// pipeline::Engine::hold.
    std::function<std::shared_ptr<const void>(const std::string& name)> hold;
    std::function<pipeline::MemoryUse()> memory = {};
};

/// `engine` outlives what is returned.
Live live(pipeline::Engine& engine);

/// What became of a reload.
struct Reloaded {
    bool applied = false;  ///< false: the running configuration stays as it is
    std::vector<config::Finding> findings;  ///< errors when not applied; warnings either way
};

/// What the routes refer to; all of it outlives the server's run.
struct ApiContext {
    checkpoints::Store& store;
    /// The configuration in force; another one after a reload. Called from any thread.
    std::function<std::shared_ptr<const config::Config>()> config;
    boost::asio::thread_pool& blocking;  ///< store and Kafka look-ups
    const Clock& clock = system_clock();
    /// How pipelines' clusters are asked; empty: operations::look_up_sources().
    pipeline::SourceFactory make_source = {};
    /// Empty: operations::plugin_files().
    operations::PluginFinder find_plugin = {};

    std::optional<Live> live = {};  ///< nullopt: no daemon runs (the tool, offline)
    /// Loads the configuration again and applies it. Empty where nothing can be reloaded.
    std::function<boost::asio::awaitable<Result<Reloaded>>()> reload = {};
    std::function<std::string()> metrics = {};  ///< the Prometheus text; empty: no /metrics
    std::string version = {};
    std::string commit = {};
    /// Of the sources: Kafka Connect's word for which cluster this is. Empty = take it from statuses.
    std::string kafka_cluster_id = {};
};

/// Adds the routes below; README.md has their bodies. Errors are
/// {"error_code":404,"message":"…","code":"not_found"}, `code` being a sluice::ErrorCode.
///
///   GET  /                    {"version","commit","kafka_cluster_id"}
///   GET  /health              {"status":"healthy","message"}: this process answers
///   GET  /ready               200, or 503 with the pipelines that are STARTING, RETRYING, STALLED or FAILED
///   GET  /metrics             Prometheus text
///   GET  /api/status          ?all=true lists pipelines that are no longer configured, too
///   GET  /api/pipelines/{name}                       status of one
///   GET  /api/pipelines/{name}/batches               ?limit=20
///   GET  /api/pipelines/{name}/batches/{id}
///   GET  /api/pipelines/{name}/history               ?before=ID&limit=500: batches whole, page by page
///   GET  /api/pipelines/{name}/find                  ?topic=&partition=&offset=
///   GET  /api/pipelines/{name}/offsets
///   POST /api/pipelines/{name}/offsets               {"action":"set|reset|skip",…,"execute":bool}
///   GET  /api/pipelines/{name}/losses
///   POST /api/pipelines/{name}/losses/accept         {"execute":bool}
///   POST /api/pipelines/{name}/replan                {"execute":bool}: settles the unfinished batch
///   GET  /api/pipelines/{name}/plan
///   PUT  /api/pipelines/{name}/{pause,resume,stop,restart}
///   DELETE /api/pipelines/{name}                     ?execute=true: forgets its checkpoints
///   POST /api/reload          {"applied":true,"findings":[…]}; 400 with the findings when refused
///   GET, PUT /api/logs/level  {"level":"debug"}
///
/// Changes are made one at a time. Positions of a pipeline that runs are not changed: 409 unless it is
/// PAUSED, STOPPED, FAILED or DONE; afterwards the pipeline is told to reread its checkpoint.
void add_routes(control::Router& router, ApiContext context);

}  // namespace sluice::api
