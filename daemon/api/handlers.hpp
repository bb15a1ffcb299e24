#pragma once
// What the handlers of one router share. Internal to the module.

#include <boost/asio/awaitable.hpp>
#include <boost/json/object.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/api/replies.hpp"
#include "daemon/api/routes.hpp"
#include "daemon/operations/context.hpp"
#include "daemon/pipeline/run_on.hpp"

namespace sluice::api {

/// Kept alive by the handlers of one router, and by nobody else.
struct Api {
    explicit Api(ApiContext given) : context(std::move(given)) {
        if (!context.make_source) context.make_source = operations::look_up_sources();
        if (!context.find_plugin) context.find_plugin = operations::plugin_files();
    }

    [[nodiscard]] std::optional<pipeline::MemoryUse> memory() const {
        if (!context.live || !context.live->memory) return std::nullopt;
        return context.live->memory();
    }
    [[nodiscard]] std::optional<std::vector<pipeline::Status>> statuses() const {
        if (!context.live) return std::nullopt;
        return context.live->statuses();
    }
    [[nodiscard]] std::optional<pipeline::Status> status_of(const std::string& name) const {
        if (!context.live) return std::nullopt;
        for (auto& status : context.live->statuses()) {
            if (status.name == name) return std::move(status);
        }
        return std::nullopt;
    }

    ApiContext context;
    std::mutex changes;  ///< held on the blocking pool: one change at a time, checked and done
    bool reloading = false;  ///< on the server's strand
};
using Shared = std::shared_ptr<Api>;

/// Runs `work(context)` on the blocking pool with the configuration in force.
template <class Work>
boost::asio::awaitable<control::Response> blocking(Shared api, Work work) {
    co_return co_await pipeline::run_on(api->context.blocking.get_executor(), [&]() -> control::Response {
        const auto config = api->context.config();
        const operations::Context context{api->context.store, *config, api->context.make_source,
                                          api->context.find_plugin, api->context.clock};
        return work(context);
    });
}

/// The same for what changes something.
template <class Work>
boost::asio::awaitable<control::Response> changing(Shared api, Work work) {
    co_return co_await blocking(api, [&](const operations::Context& context) {
        const std::lock_guard one_at_a_time(api->changes);
        return work(context);
    });
}

/// Why the checkpoint of a pipeline that does not rest is not changed, and what to do first.
std::string must_rest(const Api& api, const std::string& name);

/// An executed change of positions: the pipeline rereads its checkpoint; a failed one runs again.
void reread(const Api& api, const std::string& name, boost::json::object& answer);

Result<std::int64_t> query_integer(const control::Request& request, const char* key);
/// "execute" of the body; false when it has none.
Result<bool> wants_execute(const control::Request& request);

/// A route whose work blocks and changes nothing.
template <class Work>
void add_look(control::Router& router, const Shared& api, const char* pattern, Work work) {
    router.add("GET", pattern, control::Access::read, [api, work](const control::Request& request) {
        return blocking(api, [api, work, request](const operations::Context& context) {
            return reply(work(*api, context, request));
        });
    });
}

}  // namespace sluice::api
