#include "daemon/control/router.hpp"

#include <algorithm>
#include <set>
#include <string>

namespace sluice::control {

bool Router::matches(const Route& route, const std::vector<std::string>& segments) {
    return std::equal(route.segments.begin(), route.segments.end(), segments.begin(), segments.end(),
                      [](const Segment& wanted, const std::string& segment) {
                          return wanted.is_parameter ? !segment.empty() : wanted.text == segment;
                      });
}

bool Router::more_specific(const Route& a, const Route& b) {
    // Both match the same path, so they have the same number of segments.
    for (std::size_t i = 0; i < a.segments.size(); ++i) {
        if (a.segments[i].is_parameter != b.segments[i].is_parameter) {
            return b.segments[i].is_parameter;
        }
    }
    return false;
}

void Router::insert(std::string_view method, std::string_view pattern, Access access,
                    Handler handler) {
    const auto parsed = parse_target(pattern);
    SLUICE_ASSERT(parsed && parsed->query.empty());
    Route route{std::string(method), {}, access, std::move(handler)};
    for (const std::string& text : parsed->segments) {
        const bool is_parameter = text.size() > 2 && text.front() == '{' && text.back() == '}';
        route.segments.push_back(
            {is_parameter ? text.substr(1, text.size() - 2) : text, is_parameter});
    }
    for (const Route& other : routes_) {
        const bool same = std::equal(
            route.segments.begin(), route.segments.end(), other.segments.begin(),
            other.segments.end(), [](const Segment& a, const Segment& b) {
                return a.is_parameter == b.is_parameter && (a.is_parameter || a.text == b.text);
            });
        SLUICE_ASSERT(!same || other.method != route.method);
    }
    routes_.push_back(std::move(route));
}

boost::asio::awaitable<Response> Router::dispatch(Request request) const {
    auto target = parse_target(request.target);
    if (!target) {
        co_return error_response(400, "the request target must be a path, properly %-encoded");
    }
    if (request.method == "HEAD") request.method = "GET";

    const Route* chosen = nullptr;
    std::set<std::string> allowed;
    for (const Route& route : routes_) {
        if (!matches(route, target->segments)) continue;
        allowed.insert(route.method);
        if (route.method == "GET") allowed.insert("HEAD");
        if (route.method != request.method) continue;
        if (chosen == nullptr || more_specific(route, *chosen)) chosen = &route;
    }
    const std::string path = request.target.substr(0, request.target.find('?'));
    if (allowed.empty()) co_return error_response(404, "there is nothing at " + path);
    if (chosen == nullptr) {
        std::string list;
        for (const std::string& method : allowed) {
            if (!list.empty()) list += ", ";
            list += method;
        }
        Response response =
            error_response(405, request.method + " is not allowed for " + path + ", but " + list);
        response.headers.emplace_back("Allow", list);
        co_return response;
    }
    if (chosen->access == Access::write && !request.is_control && tcp_writes_ != TcpWrites::open) {
        co_return error_response(
            403, request.method + " " + path +
                     " changes something, and this port only answers questions: use the control "
                     "socket (as the sluice tool does), or set http.write in the configuration");
    }

    for (std::size_t i = 0; i < chosen->segments.size(); ++i) {
        if (chosen->segments[i].is_parameter) {
            request.parameters.insert_or_assign(chosen->segments[i].text,
                                                std::move(target->segments[i]));
        }
    }
    request.query = std::move(target->query);
    Response response = co_await chosen->handler(std::move(request));
    co_return response;
}

}  // namespace sluice::control
