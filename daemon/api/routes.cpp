#include "daemon/api/routes.hpp"

#include <algorithm>
#include <utility>

#include "daemon/api/handlers.hpp"
#include "daemon/api/history_routes.hpp"
#include "daemon/api/replies.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/text.hpp"
#include "daemon/operations/batches.hpp"
#include "daemon/operations/losses.hpp"
#include "daemon/operations/offsets.hpp"
#include "daemon/operations/settle.hpp"
#include "daemon/operations/preview.hpp"
#include "daemon/operations/run_state.hpp"
#include "daemon/operations/status.hpp"

namespace sluice::api {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using control::Access;
using control::Request;
using control::Response;
using operations::Context;
using pipeline::State;
using JsonResult = Result<json::object>;

Response move(const Api& api, const std::string& name, bool execute, auto operation) {
    std::shared_ptr<const void> hold;
    if (execute && api.context.live) {
        hold = api.context.live->hold(name);
        if (!hold) return conflict(must_rest(api, name));
    }
    JsonResult answer = operation();
    if (!answer) return error_reply(answer.error());
    (*answer)["restarted"] = false;
    if (answer->at("executed").as_bool()) reread(api, name, *answer);
    return reply(*answer);
}

Error needs_daemon(const char* what) {
    return Error{ErrorCode::unavailable,
                 std::string("the daemon is not running, and ") + what + " concerns only a running one"};
}

// ---- the process -----------------------------------------------------------------------------------

Response root(const Api& api) {
    std::string cluster = api.context.kafka_cluster_id;
    if (const auto statuses = api.statuses(); statuses && cluster.empty()) {
        for (const auto& status : *statuses) {
            if (cluster.empty()) cluster = status.cluster_id;
        }
    }
    return reply({{"version", api.context.version},
                  {"commit", api.context.commit},
                  {"kafka_cluster_id", cluster}});
}

Response ready(const Api& api) {
    if (!api.context.live) return error_reply(needs_daemon("readiness"));
    json::array waiting;
    for (const auto& status : api.context.live->statuses()) {
        if (status.state != State::starting && status.state != State::retrying &&
            status.state != State::stalled && status.state != State::failed) {
            continue;
        }
        waiting.push_back(json::object{{"pipeline", status.name},
                                       {"state", pipeline::name_of(status.state)},
                                       {"reason", status.reason}});
    }
    const bool is_ready = waiting.empty();
    return reply({{"ready", is_ready}, {"pipelines", std::move(waiting)}}, is_ready ? 200 : 503);
}

asio::awaitable<Response> reload(Shared api) {
    if (!api->context.reload) co_return error_reply(needs_daemon("a reload"));
    if (api->reloading) co_return conflict("a reload is under way; wait for it");
    api->reloading = true;
    struct Done {
        bool& flag;
        ~Done() { flag = false; }
    } const done{api->reloading};
    const auto reloaded = co_await api->context.reload();
    if (!reloaded) co_return error_reply(reloaded.error());
    json::array findings;
    for (const auto& finding : reloaded->findings) findings.push_back(to_json(finding));
    if (reloaded->applied) {
        co_return reply({{"applied", true}, {"findings", std::move(findings)}});
    }
    const std::string message = "the configuration has errors; the running one stays in force";
    co_return reply({{"error_code", 400},
                     {"message", message},
                     {"code", name_of(ErrorCode::configuration)},
                     {"applied", false},
                     {"findings", std::move(findings)}},
                    400);
}

std::string_view name_of_level(log::Level level) {
    switch (level) {
        case log::Level::debug: return "debug";
        case log::Level::info: return "info";
        case log::Level::warning: return "warning";
        case log::Level::error: return "error";
        case log::Level::off: return "off";
    }
    return "info";
}

Response show_level() { return reply({{"level", name_of_level(log::level())}}); }

Result<Response> set_level(const Api& api, const Request& request) {
    if (!api.context.live) return error_reply(needs_daemon("its log level"));
    SLUICE_TRY(const auto body, operations::parse_body(request.body));
    const json::value* level = body.if_contains("level");
    log::Level wanted{};
    if (level == nullptr || !level->is_string() ||
        !log::parse_level(std::string_view(level->get_string()), wanted)) {
        return Error{ErrorCode::invalid_argument,
                     "\"level\" must be debug, info, warning, error or off"};
    }
    const auto before = log::level();
    log::set_level(wanted);
    log::info("log level changed", {{"from", name_of_level(before)}, {"to", name_of_level(wanted)}});
    return show_level();
}

void add_process_routes(control::Router& router, const Shared& api) {
    router.add("GET", "/", Access::read, [api](const Request&) { return root(*api); });
    router.add("GET", "/health", Access::read, [](const Request&) {
        return reply({{"status", "healthy"},
                      {"message", "Worker has completed startup and is ready to handle requests."}});
    });
    router.add("GET", "/ready", Access::read, [api](const Request&) { return ready(*api); });
    if (api->context.metrics) {
        router.add("GET", "/metrics", Access::read, [api](const Request&) {
            return Response{200, "text/plain; version=0.0.4; charset=utf-8", api->context.metrics(), {}};
        });
    }
    router.add("POST", "/api/reload", Access::write,
               [api](const Request&) { return reload(api); });
    router.add("GET", "/api/logs/level", Access::read, [](const Request&) { return show_level(); });
    router.add("PUT", "/api/logs/level", Access::write, [api](const Request& request) {
        auto answer = set_level(*api, request);
        return answer ? *std::move(answer) : error_reply(answer.error());
    });
}

// ---- looking at pipelines --------------------------------------------------------------------------

JsonResult batch_by_id(const Context& context, const Request& request) {
    const std::string& text = request.parameter("id");
    const auto id = parse_int64(text);
    if (!id || *id < 0) {
        return Error{ErrorCode::invalid_argument, "'" + text + "' is no batch id: a whole number"};
    }
    return operations::show_batch(context, request.parameter("name"), static_cast<std::uint64_t>(*id));
}

JsonResult find(const Context& context, const Request& request) {
    SLUICE_TRY(const auto partition, query_integer(request, "partition"));
    SLUICE_TRY(const auto offset, query_integer(request, "offset"));
    const auto topic = request.query_value("topic");
    if (topic.empty() || partition > INT32_MAX) {
        return Error{ErrorCode::invalid_argument,
                     "?topic=, ?partition= and ?offset= name the record, such as "
                     "?topic=orders&partition=0&offset=8123"};
    }
    return operations::find_batch(context, request.parameter("name"),
                                  {std::string(topic), static_cast<std::int32_t>(partition)}, offset);
}

JsonResult list_batches(const Context& context, const Request& request) {
    std::size_t limit = operations::batches_listed;
    if (!request.query_value("limit").empty()) {
        SLUICE_TRY(const auto wanted, query_integer(request, "limit"));
        limit = static_cast<std::size_t>(wanted);
    }
    return operations::list_batches(context, request.parameter("name"), limit);
}

void add_looks(control::Router& router, const Shared& api) {
    add_look(router, api, "/api/status", [](const Api& a, const Context& context, const Request& request) {
        return operations::status(context, a.statuses(), request.query_flag("all"), a.memory());
    });
    add_look(router, api, "/api/pipelines/{name}",
             [](const Api& a, const Context& context, const Request& request) {
                 const auto live = a.status_of(request.parameter("name"));
                 return operations::status_of(context, request.parameter("name"), live ? &*live : nullptr);
             });
    add_look(router, api, "/api/pipelines/{name}/plan",
             [](const Api& a, const Context& context, const Request& request) {
                 const auto live = a.status_of(request.parameter("name"));
                 return operations::preview_trigger(context, request.parameter("name"),
                                                    live ? &*live : nullptr);
             });
    add_look(router, api, "/api/pipelines/{name}/batches",
             [](const Api&, const Context& context, const Request& request) {
                 return list_batches(context, request);
             });
    add_look(router, api, "/api/pipelines/{name}/batches/{id}",
             [](const Api&, const Context& context, const Request& request) {
                 return batch_by_id(context, request);
             });
    add_look(router, api, "/api/pipelines/{name}/find",
             [](const Api&, const Context& context, const Request& request) {
                 return find(context, request);
             });
    add_look(router, api, "/api/pipelines/{name}/offsets",
             [](const Api&, const Context& context, const Request& request) {
                 return operations::show_offsets(context, request.parameter("name"));
             });
    add_look(router, api, "/api/pipelines/{name}/losses",
             [](const Api&, const Context& context, const Request& request) {
                 return operations::list_losses(context, request.parameter("name"));
             });
}

// ---- changing pipelines ----------------------------------------------------------------------------

Result<operations::MoveRequest> move_request(const Request& request) {
    SLUICE_TRY(const auto body, operations::parse_body(request.body));
    return operations::parse_move(body);
}

Response change_run_state(const Api& api, const Context& context, const std::string& name,
                          checkpoints::RunState state) {
    auto answer = operations::set_run_state(context, name, state);
    if (!answer) return error_reply(answer.error());
    const auto status = api.status_of(name);
    const bool told = status && !api.context.live->has_ended(name) &&
                      api.context.live->set_run_state(name, state);
    const bool waits = told && status->batch_id && state != checkpoints::RunState::running;
    (*answer)["effect"] = !told ? "at the next start" : waits ? "after the running batch" : "now";
    return reply(*answer);
}

Response restart(const Api& api, const Context& context, const std::string& name) {
    if (!api.context.live) return error_reply(needs_daemon("a restart"));
    if (const auto known = operations::configured(context, name); !known) {
        return error_reply(known.error());
    }
    if (api.context.live->has_ended(name)) {
        return conflict("pipeline '" + name + "' has ended; `sluice reload` starts it again");
    }
    if (!api.context.live->restart(name)) {
        return conflict("pipeline '" + name + "' is not running; `sluice reload` starts it");
    }
    return reply({{"pipeline", name}, {"restarted", true}});
}

Response forget(const Api& api, const Context& context, const std::string& name, bool execute) {
    if (api.status_of(name) && !api.context.live->has_ended(name)) {
        return conflict("pipeline '" + name +
                        "' is running: remove it from the configuration and reload first");
    }
    std::shared_ptr<const void> hold;  // no reload starts it meanwhile
    if (api.context.live) {
        hold = api.context.live->hold(name);
        if (!hold) return conflict(must_rest(api, name));
    }
    return reply(operations::forget(context, name, execute));
}

void add_changes(control::Router& router, const Shared& api) {
    router.add("POST", "/api/pipelines/{name}/offsets", Access::write,
               [api](const Request& request) -> asio::awaitable<Response> {
                   const auto wanted = move_request(request);
                   if (!wanted) co_return error_reply(wanted.error());
                   const std::string name = request.parameter("name");
                   co_return co_await changing(api, [&](const Context& context) {
                       return move(*api, name, wanted->execute,
                                   [&] { return operations::move_offsets(context, name, *wanted); });
                   });
               });
    router.add("POST", "/api/pipelines/{name}/losses/accept", Access::write,
               [api](const Request& request) -> asio::awaitable<Response> {
                   const auto execute = wants_execute(request);
                   if (!execute) co_return error_reply(execute.error());
                   const std::string name = request.parameter("name");
                   co_return co_await changing(api, [&](const Context& context) {
                       return move(*api, name, *execute, [&] {
                           return operations::accept_losses(context, name, *execute);
                       });
                   });
               });
    router.add("POST", "/api/pipelines/{name}/replan", Access::write,
               [api](const Request& request) -> asio::awaitable<Response> {
                   const auto execute = wants_execute(request);
                   if (!execute) co_return error_reply(execute.error());
                   const std::string name = request.parameter("name");
                   co_return co_await changing(api, [&](const Context& context) {
                       return move(*api, name, *execute,
                                   [&] { return operations::replan(context, name, *execute); });
                   });
               });
    const std::pair<const char*, checkpoints::RunState> states[] = {
        {"/api/pipelines/{name}/pause", checkpoints::RunState::paused},
        {"/api/pipelines/{name}/resume", checkpoints::RunState::running},
        {"/api/pipelines/{name}/stop", checkpoints::RunState::stopped}};
    for (const auto& [pattern, state] : states) {
        router.add("PUT", pattern, Access::write,
                   [api, state = state](const Request& request) -> asio::awaitable<Response> {
                       const std::string name = request.parameter("name");
                       co_return co_await changing(api, [&](const Context& context) {
                           return change_run_state(*api, context, name, state);
                       });
                   });
    }
    router.add("PUT", "/api/pipelines/{name}/restart", Access::write,
               [api](const Request& request) -> asio::awaitable<Response> {
                   const std::string name = request.parameter("name");
                   co_return co_await changing(api, [&](const Context& context) {
                       return restart(*api, context, name);
                   });
               });
    router.add("DELETE", "/api/pipelines/{name}", Access::write,
               [api](const Request& request) -> asio::awaitable<Response> {
                   const std::string name = request.parameter("name");
                   const bool execute = request.query_flag("execute");
                   co_return co_await changing(api, [&](const Context& context) {
                       return forget(*api, context, name, execute);
                   });
               });
}

}  // namespace

Live live(pipeline::Engine& engine) {
    return Live{[&engine] { return engine.statuses(); },
                [&engine](const std::string& name, checkpoints::RunState state) {
                    const auto pipeline = engine.find(name);
                    if (pipeline) pipeline->set_run_state(state);
                    return pipeline != nullptr;
                },
                [&engine](const std::string& name) {
                    const auto pipeline = engine.find(name);
                    if (pipeline) pipeline->restart();
                    return pipeline != nullptr;
                },
                [&engine](const std::string& name) {
                    const auto pipeline = engine.find(name);
                    return pipeline != nullptr && pipeline->has_ended();
                },
                [&engine](const std::string& name) { return engine.hold(name); },
                [&engine] { return engine.memory(); }};
}

void add_routes(control::Router& router, ApiContext context) {
    const auto api = std::make_shared<Api>(std::move(context));
    add_process_routes(router, api);
    add_looks(router, api);
    add_changes(router, api);
    add_history_routes(router, api);
}

}  // namespace sluice::api
