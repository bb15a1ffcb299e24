#include "daemon/api/history_routes.hpp"

#include "daemon/operations/history.hpp"

namespace sluice::api {
namespace {

Result<boost::json::object> history(const operations::Context& context, const control::Request& request) {
    std::optional<std::uint64_t> before;
    if (!request.query_value("before").empty()) {
        SLUICE_TRY(const auto id, query_integer(request, "before"));
        before = static_cast<std::uint64_t>(id);
    }
    std::size_t limit = operations::history_page_max;
    if (!request.query_value("limit").empty()) {
        SLUICE_TRY(const auto wanted, query_integer(request, "limit"));
        limit = static_cast<std::size_t>(wanted);
    }
    return operations::show_history(context, request.parameter("name"), before, limit);
}

}  // namespace

void add_history_routes(control::Router& router, const Shared& api) {
    add_look(router, api, "/api/pipelines/{name}/history",
             [](const Api&, const operations::Context& context, const control::Request& request) {
                 return history(context, request);
             });
}

}  // namespace sluice::api
