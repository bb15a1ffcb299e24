#pragma once
// The routes over a store in memory and pipelines that are plain values.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <mutex>

#include "daemon/api/routes.hpp"
#include "tests/unit/operations/support.hpp"

namespace sluice::api::test {

namespace asio = boost::asio;
namespace json = boost::json;

/// Running pipelines as the routes see them; what they were told is kept.
struct FakeEngine {
    void runs(const std::string& name, pipeline::State state, std::string reason = {}) {
        pipeline::Status status;
        status.name = name;
        status.state = state;
        status.reason = std::move(reason);
        status.cluster_id = "cluster-1";
        statuses.push_back(std::move(status));
    }
    Live live() {
        return {[this] {
                    const std::lock_guard lock(mutex);
                    return statuses;
                },
                [this](const std::string& name, checkpoints::RunState state) {
                    const std::lock_guard lock(mutex);
                    told.push_back(name + " " + std::string(checkpoints::name_of(state)));
                    return true;
                },
                [this](const std::string& name) {
                    const std::lock_guard lock(mutex);
                    told.push_back(name + " restart");
                    return true;
                },
                [this](const std::string&) {
                    const std::lock_guard lock(mutex);
                    return ended;
                },
                [this](const std::string& name) -> std::shared_ptr<const void> {
                    const std::lock_guard lock(mutex);
                    for (const auto& status : statuses) {
                        if (status.name == name && !ended && !rests(status.state)) return nullptr;
                    }
                    held.push_back(name);
                    return {this, [this](const void*) {
                                const std::lock_guard relock(mutex);
                                held.pop_back();
                            }};
                }};
    }
    static bool rests(pipeline::State state) {
        return state == pipeline::State::paused || state == pipeline::State::stopped ||
               state == pipeline::State::failed || state == pipeline::State::done;
    }
    std::mutex mutex;
    std::vector<pipeline::Status> statuses;
    std::vector<std::string> told;
    std::vector<std::string> held;
    bool ended = false;
};

struct Answer {
    int status = 0;
    json::value body;
    std::string text;
    std::string content_type;
};

class ApiFixture : public operations::test::Fixture {
 public:
    ~ApiFixture() { blocking.join(); }

    ApiContext api_context(bool with_daemon = true) {
        ApiContext context{.store = *store,
                           .config = [this] { return std::make_shared<const config::Config>(config); },
                           .blocking = blocking,
                           .clock = clock};
        context.make_source = make_source;
        context.find_plugin = find_plugin;
        context.version = "1.2.3";
        context.commit = "abc";
        context.metrics = [] { return std::string("sluice_up 1\n"); };
        context.reload = reload;
        if (with_daemon) context.live = engine.live();
        return context;
    }

    Answer ask(const std::string& method, const std::string& target, const std::string& body = {},
               bool is_control = true, bool with_daemon = true) {
        control::Router router;
        add_routes(router, api_context(with_daemon));
        control::Request request;
        request.method = method;
        request.target = target;
        request.body = body;
        request.is_control = is_control;
        asio::io_context io;
        control::Response response;
        std::exception_ptr failure;
        asio::co_spawn(io, router.dispatch(std::move(request)),
                       [&](std::exception_ptr thrown, control::Response answer) {
                           failure = thrown;
                           response = std::move(answer);
                       });
        io.run();
        if (failure) std::rethrow_exception(failure);
        Answer answer{response.status, nullptr, response.body, response.content_type};
        if (response.content_type == "application/json") answer.body = json::parse(response.body);
        return answer;
    }

    FakeEngine engine;
    boost::asio::thread_pool blocking{2};
    std::function<asio::awaitable<Result<Reloaded>>()> reload;
};

}  // namespace sluice::api::test
