#pragma once
// Which handler answers which method and path.
//
//   router.add("GET", "/api/pipelines/{name}", Access::read,
//              [&](const Request& request) -> Result<Response> {
//                  SLUICE_TRY(auto status, engine.status(request.parameter("name")));
//                  return json_response(to_json(status));
//              });
//   router.add("PUT", "/api/pipelines/{name}/pause", Access::write,
//              [&](const Request& request) -> boost::asio::awaitable<Result<Response>> { … });

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/control/message.hpp"

namespace sluice::control {

enum class Access {
    read,   ///< changes nothing: anyone who reaches the port may ask
    write,  ///< changes something: the control socket, and TCP only where `http.write` says so
};

/// Whether write routes answer on TCP too. Loopback is no boundary between users, so not by itself.
enum class TcpWrites { refused, open };

/// Filled before the server starts, constant afterwards; then safe for concurrent calls.
class Router {
 public:
    using Handler = std::function<boost::asio::awaitable<Response>(Request)>;

    explicit Router(TcpWrites tcp_writes = TcpWrites::refused) : tcp_writes_(tcp_writes) {}

    /// `pattern`  segments are literal or `{name}`, which takes one whole segment, never an empty
    ///            one. Where several patterns match, the one with a literal further left wins.
    /// `handler`  takes Request (or const Request&) and gives Response or Result<Response>, or an
    ///            awaitable of either. It is run on the server's strand: what blocks belongs on a
    ///            pool that it awaits. What it throws becomes a 500 and a line in the log.
    /// The same method and pattern twice is a bug, and asserted.
    template <class F>
    void add(std::string_view method, std::string_view pattern, Access access, F handler) {
        insert(method, pattern, access, to_handler(std::move(handler)));
    }

    /// Answers one request. 400 for a target that can't be parsed, 404 and 405 (with Allow) as JSON,
    /// 403 for a write on TCP. One trailing slash is accepted, HEAD is answered as GET (the server
    /// drops the body). The router must outlive the awaitable.
    boost::asio::awaitable<Response> dispatch(Request request) const;

 private:
    struct Segment {
        std::string text;  ///< the literal, or the parameter's name
        bool is_parameter = false;
    };
    struct Route {
        std::string method;
        std::vector<Segment> segments;
        Access access;
        Handler handler;
    };

    template <class T>
    static constexpr bool is_answer = std::is_same_v<T, Response> || std::is_same_v<T, Result<Response>>;
    static Response to_response(Response response) { return response; }
    static Response to_response(Result<Response> result) {
        return result ? std::move(*result) : error_response(result.error());
    }

    /// The wrapping coroutine keeps the request alive for handlers that take it by reference.
    template <class F>
    static Handler to_handler(F handler) {
        using Answer = std::invoke_result_t<F&, Request>;
        if constexpr (is_answer<Answer>) {
            return [handler = std::move(handler)](
                       Request request) mutable -> boost::asio::awaitable<Response> {
                co_return to_response(handler(std::move(request)));
            };
        } else {
            return [handler = std::move(handler)](
                       Request request) mutable -> boost::asio::awaitable<Response> {
                auto answer = co_await handler(std::move(request));
                co_return to_response(std::move(answer));
            };
        }
    }

    static bool matches(const Route& route, const std::vector<std::string>& segments);
    static bool more_specific(const Route& a, const Route& b);
    void insert(std::string_view method, std::string_view pattern, Access access, Handler handler);

    TcpWrites tcp_writes_;
    std::vector<Route> routes_;
};

}  // namespace sluice::control
