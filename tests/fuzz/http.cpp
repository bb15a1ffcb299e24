#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

#include "daemon/base/text.hpp"
#include "daemon/control/guard.hpp"
#include "daemon/control/session.hpp"
#include "daemon/control/url.hpp"
#include "tests/fuzz/targets.hpp"

namespace sluice::fuzz {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using namespace control;

constexpr char echo_mark = '>';  // no answer begins with it, nor does a body without it

/// What each handler sees is checked here; the answers say where a request went.
Router make_router() {
    Router router;
    const auto echo = [](const Request& request) {
        std::string body(1, echo_mark);
        for (const auto& [name, value] : request.parameters) {
            require(!value.empty(), "a parameter is not empty");
            body += name + '=' + url_encoded(value) + ';';
        }
        for (const auto& [key, value] : request.query)
            body += key + '=' + value + '&';
        require(request.target.starts_with('/'), "a target is a path");
        Response response = text_response(body + request.body);
        if (request.query_flag("move")) {
            response.headers.emplace_back("Location", std::string(request.query_value("move")));
        }
        return response;
    };
    router.add("GET", "/hello", Access::read, echo);
    router.add("GET", "/api/pipelines/{name}", Access::read, echo);
    router.add("GET", "/api/pipelines/status", Access::read, echo);
    router.add("POST", "/api/{what}/{name}/offsets", Access::read, echo);
    router.add("PUT", "/api/pipelines/{name}/pause", Access::write, [](const Request& request) {
        require(request.is_control, "a write comes over the control socket");
        return empty_response(204);
    });
    return router;
}

/// Both ends of one connection, which is fed `bytes` and then closed from the far side.
std::string exchange(Bytes bytes, bool is_control) {
    static const Router router = make_router();
    static const HostGuard guard("127.0.0.1", {"scrape.example"});
    static const Limits limits = [] {
        Limits small;
        small.header_bytes_max = 2048;  // reached often
        small.body_bytes_max = 4096;
        return small;
    }();
    const bool stopping = false;

    asio::io_context io(1);
    asio::local::stream_protocol::socket client(io);
    asio::local::stream_protocol::socket server(io);
    asio::local::connect_pair(client, server);
    Stream::socket_type near(io, Protocol(AF_UNIX, 0), server.release());
    Session session{Stream(std::move(near)), router, limits, is_control ? nullptr : &guard,
                    stopping};

    std::exception_ptr thrown;
    asio::co_spawn(io, serve(session), [&](std::exception_ptr failed) {
        thrown = failed;
        boost::system::error_code ignored;
        session.stream.socket().close(ignored);
    });
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            boost::system::error_code failed;
            co_await asio::async_write(client, asio::buffer(bytes.data(), bytes.size()),
                                       asio::redirect_error(asio::use_awaitable, failed));
            client.shutdown(asio::socket_base::shutdown_send, failed);
        },
        asio::detached);
    std::string answered;
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            std::array<char, 16384> piece;
            boost::system::error_code failed;
            while (!failed) {
                const std::size_t size = co_await client.async_read_some(
                    asio::buffer(piece), asio::redirect_error(asio::use_awaitable, failed));
                answered.append(piece.data(), size);
            }
        },
        asio::detached);
    const auto begun = std::chrono::steady_clock::now();
    io.run();
    // Nothing is held back here: a session that waits for one of its timers is stuck.
    require(std::chrono::steady_clock::now() - begun < limits.read_timeout,
            "a session ends with its client");
    if (thrown) std::rethrow_exception(thrown);
    return answered;
}

/// Whole responses and nothing else, however the connection ended.
void check_responses(std::string_view left) {
    while (!left.empty()) {
        http::response_parser<http::string_body> parser;
        parser.eager(false);
        parser.body_limit(1U << 20);
        boost::system::error_code failed;
        const std::size_t header = parser.put(asio::buffer(left.data(), left.size()), failed);
        require(!failed || failed == http::error::need_more, "an answer has a header");
        require(parser.is_header_done(), "an answer's header is whole");
        const auto& message = parser.get();
        left.remove_prefix(header);
        if (message.result_int() == 100) continue;
        require(message.result_int() >= 200 && message.result_int() < 500,
                "an answer is no error of ours");
        const std::string_view type(message[http::field::content_type].data(),
                                    message[http::field::content_type].size());
        if (message.result_int() == 204) continue;
        require(parser.content_length().has_value(), "an answer says how long it is");
        // Nothing follows the header of an answer to HEAD; no body of ours begins like an answer.
        const bool is_head = left.empty() || left.starts_with("HTTP/1.");
        if (is_head) continue;
        require(*parser.content_length() <= left.size(), "an answer is whole");
        const std::string_view body = left.substr(0, *parser.content_length());
        if (type == "application/json") require(is_valid_utf8(body), "JSON is UTF-8");
        left.remove_prefix(body.size());
    }
}

/// The target, as it stands in a request line, taken apart and put together.
void check_target(std::string_view text) {
    const auto target = parse_target(text);
    require(!target || text.starts_with('/'), "a target is a path");
    const auto whole = parse_target("/" + url_encoded(text));
    require(
        whole && (text.empty() ? whole->segments.empty()
                               : whole->segments == std::vector<std::string>{std::string(text)}),
        "what is encoded is one segment");
    if (!target) return;
    std::string again;
    for (const std::string& segment : target->segments)
        again += '/' + url_encoded(segment);
    // A last empty segment would be taken for the one slash that may end a path.
    const bool ends_empty = !target->segments.empty() && target->segments.back().empty();
    if (again.empty() || ends_empty) again += '/';
    char before = '?';
    for (const auto& [key, value] : target->query) {
        again += before + url_encoded(key) + '=' + url_encoded(value);
        before = '&';
    }
    const auto second = parse_target(again);
    require(second && second->segments == target->segments && second->query == target->query,
            "a target means the same when it is encoded again: " + again);
}

}  // namespace

void fuzz_http(Bytes bytes) {
    Input in(bytes);
    const bool is_control = in.byte() % 2 == 1;
    const std::string_view text = text_of(in.rest());
    check_responses(exchange(in.rest(), is_control));

    const std::size_t space = text.find(' ');
    check_target(space == std::string_view::npos
                     ? text
                     : text.substr(space + 1, text.find(' ', space + 1) - space - 1));
    static const HostGuard anywhere("0.0.0.0", {});
    const std::size_t host = text.find("Host: ");
    if (host != std::string_view::npos) {
        const std::string_view name = text.substr(host + 6, text.find('\r', host) - host - 6);
        if (anywhere.allows(name)) require(!name.empty(), "a host that is allowed has a name");
        require(is_same_origin("http://" + std::string(name), name), "an origin is its own");
    }
}

}  // namespace sluice::fuzz
