#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include "daemon/control/router.hpp"

using namespace sluice;
using namespace sluice::control;
namespace asio = boost::asio;

namespace {

Response ask(const Router& router, std::string method, std::string target, bool is_control = true) {
    asio::io_context io;
    Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.is_control = is_control;
    auto future = asio::co_spawn(io, router.dispatch(std::move(request)), asio::use_future);
    io.run();
    return future.get();
}

auto says(std::string text) {
    return [text = std::move(text)](const Request&) { return json_response(text); };
}

}  // namespace

TEST_CASE("a route is found by method and path, with or without a trailing slash") {
    Router router;
    router.add("GET", "/", Access::read, says("root"));
    router.add("GET", "/connectors", Access::read, says("list"));
    router.add("POST", "/connectors", Access::write, says("create"));
    router.add("GET", "/connectors/{name}/status", Access::read, [](const Request& request) {
        return json_response(request.parameter("name"));
    });
    CHECK(ask(router, "GET", "/").body == "root");
    CHECK(ask(router, "GET", "/connectors").body == "list");
    CHECK(ask(router, "GET", "/connectors/").body == "list");
    CHECK(ask(router, "POST", "/connectors/?x=1").body == "create");
    CHECK(ask(router, "GET", "/connectors/a%2Fb/status").body == "a/b");
}

TEST_CASE("a literal further left wins over a parameter, in whatever order they were added") {
    Router router;
    router.add("GET", "/p/{name}/{part}", Access::read, says("both"));
    router.add("GET", "/p/{name}/status", Access::read, says("status"));
    router.add("GET", "/p/all/{part}", Access::read, says("all"));
    CHECK(ask(router, "GET", "/p/orders/x").body == "both");
    CHECK(ask(router, "GET", "/p/orders/status").body == "status");
    CHECK(ask(router, "GET", "/p/all/status").body == "all");
}

TEST_CASE("an unknown path is a 404 in JSON, and a parameter never takes an empty segment") {
    Router router;
    router.add("GET", "/p/{name}/status", Access::read, says(""));
    for (const char* target : {"/nothing", "/p", "/p//status", "/p/a/status/more", "/P/a/status"}) {
        CAPTURE(target);
        const Response response = ask(router, "GET", target);
        CHECK(response.status == 404);
        CHECK(response.content_type == "application/json");
        CHECK(response.body.find("{\"error_code\":404,\"message\":\"there is nothing at /") == 0);
    }
}

TEST_CASE("the method table: what a path does not take is a 405 that lists what it takes") {
    Router router;
    router.add("GET", "/c", Access::read, says("get"));
    router.add("POST", "/c", Access::write, says("post"));
    router.add("PUT", "/c/{name}/pause", Access::write, says("put"));
    struct Case {
        const char* method;
        const char* target;
        int status;
        const char* allow;
    };
    for (const Case& c : {Case{"GET", "/c", 200, ""}, Case{"HEAD", "/c", 200, ""},
                          Case{"POST", "/c", 200, ""}, Case{"PUT", "/c", 405, "GET, HEAD, POST"},
                          Case{"DELETE", "/c/", 405, "GET, HEAD, POST"},
                          Case{"OPTIONS", "/c", 405, "GET, HEAD, POST"},
                          Case{"get", "/c", 405, "GET, HEAD, POST"},
                          Case{"HEAD", "/c/a/pause", 405, "PUT"},
                          Case{"GET", "/c/a/pause", 405, "PUT"}}) {
        CAPTURE(c.method);
        CAPTURE(c.target);
        const Response response = ask(router, c.method, c.target);
        CHECK(response.status == c.status);
        const std::string allow = response.headers.empty() ? "" : response.headers[0].second;
        CHECK(allow == c.allow);
        if (c.status == 405) CHECK(response.body.find("{\"error_code\":405,") == 0);
    }
}

TEST_CASE("a write through TCP is refused unless writes are open, and says what to do") {
    for (const TcpWrites writes : {TcpWrites::refused, TcpWrites::open}) {
        Router router(writes);
        int calls = 0;
        router.add("PUT", "/x", Access::write, [&](const Request&) {
            ++calls;
            return empty_response(202);
        });
        router.add("GET", "/x", Access::read, says("read"));
        CHECK(ask(router, "PUT", "/x", true).status == 202);
        CHECK(calls == 1);
        const Response tcp = ask(router, "PUT", "/x", false);
        CHECK(tcp.status == (writes == TcpWrites::open ? 202 : 403));
        CHECK(calls == (writes == TcpWrites::open ? 2 : 1));
        if (writes == TcpWrites::refused) {
            CHECK(tcp.body.find("control socket") != std::string::npos);
            CHECK(tcp.body.find("http.write") != std::string::npos);
        }
        CHECK(ask(router, "GET", "/x", false).status == 200);
    }
}

TEST_CASE("a handler may give a Result, and its error becomes status and message") {
    Router router;
    router.add("GET", "/p/{name}", Access::read, [](const Request& request) -> Result<Response> {
        if (request.parameter("name") == "orders") return json_response("{}");
        return Error{ErrorCode::not_found, "no pipeline \"x\""};
    });
    CHECK(ask(router, "GET", "/p/orders").status == 200);
    const Response missing = ask(router, "GET", "/p/other");
    CHECK(missing.status == 404);
    CHECK(missing.body == R"({"error_code":404,"message":"no pipeline \"x\""})");
}

TEST_CASE("a coroutine handler may hop to a pool, its request by reference stays alive") {
    Router router;
    asio::thread_pool pool(1);
    router.add("GET", "/a/{name}", Access::read,
               [&](const Request& request) -> asio::awaitable<Response> {
                   co_await asio::post(pool, asio::use_awaitable);
                   co_return json_response(request.parameter("name") + request.target);
               });
    router.add("GET", "/b/{name}", Access::read,
               [&](Request request) -> asio::awaitable<Result<Response>> {
                   co_await asio::post(pool, asio::use_awaitable);
                   co_return Error{ErrorCode::unavailable, request.parameter("name")};
               });
    CHECK(ask(router, "GET", "/a/a-name-too-long-for-small-strings").body ==
          "a-name-too-long-for-small-strings/a/a-name-too-long-for-small-strings");
    CHECK(ask(router, "GET", "/b/x").status == 503);
}

TEST_CASE("a handler reads the query by key, by flag and by pair") {
    Router router;
    std::vector<std::string> seen;
    router.add("GET", "/q", Access::read, [&](const Request& request) {
        seen = {std::string(request.query_value("first")),
                std::string(request.query_value("none", "otherwise")),
                request.query_flag("bare") ? "yes" : "no",
                request.query_flag("true") ? "yes" : "no",
                request.query_flag("false") ? "yes" : "no",
                request.query_flag("none") ? "yes" : "no",
                request.query_has("first", "2") ? "yes" : "no",
                request.query_has("first", "3") ? "yes" : "no"};
        return empty_response(204);
    });
    CHECK(ask(router, "GET", "/q?first=1&first=2&bare&true=true&false=false").status == 204);
    CHECK(seen == std::vector<std::string>{"1", "otherwise", "yes", "yes", "no", "no", "yes", "no"});
}

TEST_CASE("a target that is not a path is a 400") {
    Router router;
    router.add("GET", "/", Access::read, says(""));
    for (const char* target : {"*", "/%zz", "http://localhost/", ""}) {
        CHECK(ask(router, "GET", target).status == 400);
    }
}

TEST_CASE("every error code has the status its client can act on") {
    CHECK(http_status(ErrorCode::invalid_argument) == 400);
    CHECK(http_status(ErrorCode::not_found) == 404);
    CHECK(http_status(ErrorCode::exists) == 409);
    CHECK(http_status(ErrorCode::unavailable) == 503);
    CHECK(http_status(ErrorCode::failed) == 500);
}
