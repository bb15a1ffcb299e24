#include "daemon/control/session.hpp"

#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <optional>

#include "daemon/base/log.hpp"

namespace sluice::control {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::chrono::seconds linger_time{1};
constexpr std::size_t linger_bytes_max = 8U << 20;
constexpr std::size_t read_size = 4096;

/// What a failed read deserves; nullopt when the client is gone or too slow: nobody would read it.
std::optional<Response> answer_to(const error_code& failed, const Limits& limits) {
    if (failed == http::error::header_limit || failed == http::error::buffer_overflow) {
        return error_response(431, "request line and headers have more than " +
                                       std::to_string(limits.header_bytes_max) + " bytes");
    }
    if (failed == http::error::body_limit) {
        return error_response(413, "the body has more than " +
                                       std::to_string(limits.body_bytes_max) + " bytes");
    }
    const bool is_syntax = failed.category() == make_error_code(http::error::bad_method).category();
    if (is_syntax && failed != http::error::end_of_stream &&
        failed != http::error::partial_message) {
        return error_response(400, "not an HTTP/1.1 request: " + failed.message());
    }
    return std::nullopt;
}

/// Why a request from a browser's page or with a strange name is refused; nullopt for all others.
template <class Fields>
std::optional<Response> refusal(const http::header<true, Fields>& request, const HostGuard* guard) {
    if (request.count(http::field::host) > 1) {
        return error_response(400, "a request must have one Host header, not several");
    }
    const std::string host(request[http::field::host]);
    if (guard != nullptr) {
        // HTTP/1.0 has no Host and no browser speaks it; health checkers still do.
        if (host.empty() && request.version() >= 11) {
            return error_response(400, "a request must have a Host header");
        }
        if (!host.empty() && !guard->allows(host)) {
            return error_response(403, "this daemon is not called '" + host +
                                           "': use localhost or the address it listens on");
        }
    }
    if (request.count(http::field::origin) > 0) {
        const std::string origin(request[http::field::origin]);
        if (request.count(http::field::origin) > 1 || !is_same_origin(origin, host)) {
            return error_response(403, "pages of '" + origin + "' may not use this daemon");
        }
    }
    return std::nullopt;
}

/// Header values can carry what a user named a pipeline: a line break must not end the header.
bool is_safe_header_value(const std::string& value) {
    for (const char c : value) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
    }
    return true;
}

template <class Body>
void fill_header(http::response<Body>& message, const Response& response, bool keep_alive) {
    message.set(http::field::server, "sluice");
    message.set(http::field::cache_control, "no-store");
    message.set("X-Content-Type-Options", "nosniff");
    if (!response.content_type.empty()) {
        message.set(http::field::content_type, response.content_type);
    }
    for (const auto& [name, value] : response.headers) {
        if (is_safe_header_value(value)) message.set(name, value);
    }
    message.keep_alive(keep_alive);
    // A 204 has no body and must not say how long that is (RFC 9110, 8.6).
    if (response.status != 204) message.content_length(response.body.size());
}

/// False when the client did not take it.
asio::awaitable<bool> send(Session& session, Response response, unsigned version, bool is_head,
                           bool keep_alive) {
    error_code failed;
    session.stream.expires_after(session.limits.write_timeout);
    const auto status = static_cast<unsigned>(response.status);
    if (is_head || response.status == 204) {
        http::response<http::empty_body> message;
        message.version(version);
        message.result(status);
        fill_header(message, response, keep_alive);
        co_await http::async_write(session.stream, message,
                                   asio::redirect_error(asio::use_awaitable, failed));
    } else {
        http::response<http::string_body> message;
        message.version(version);
        message.result(status);
        fill_header(message, response, keep_alive);
        message.body() = std::move(response.body);
        co_await http::async_write(session.stream, message,
                                   asio::redirect_error(asio::use_awaitable, failed));
    }
    co_return !failed;
}

/// Closes so that the response arrives: a socket closed with unread bytes answers with a reset, which
/// can overtake what was just sent.
asio::awaitable<void> linger(Stream& stream) {
    error_code failed;
    stream.socket().shutdown(asio::socket_base::shutdown_send, failed);
    if (failed) co_return;
    stream.expires_after(linger_time);
    std::array<char, 4096> discarded;
    std::size_t total = 0;
    while (!failed && total < linger_bytes_max) {
        total += co_await stream.async_read_some(asio::buffer(discarded),
                                                 asio::redirect_error(asio::use_awaitable, failed));
    }
}

asio::awaitable<Response> answer(const Router& router, Request request) {
    const std::string what = request.method + ' ' + request.target;
    const auto started = std::chrono::steady_clock::now();
    Response response;
    try {
        response = co_await router.dispatch(std::move(request));
    } catch (const std::exception& thrown) {
        log::error("request failed", {{"request", what}, {"error", thrown.what()}});
        response = error_response(500, "internal error, see the daemon's log");
    } catch (...) {
        log::error("request failed", {{"request", what}, {"error", "not a std::exception"}});
        response = error_response(500, "internal error, see the daemon's log");
    }
    const auto took = std::chrono::steady_clock::now() - started;
    log::debug("request",
               {{"request", what},
                {"status", response.status},
                {"ms", std::chrono::duration_cast<std::chrono::milliseconds>(took).count()}});
    co_return response;
}

/// Waits for the first byte of a request; false when none comes.
asio::awaitable<bool> request_begins(Session& session, beast::flat_buffer& buffer, bool is_first) {
    if (buffer.size() > 0) co_return true;
    error_code failed;
    session.stream.expires_after(is_first ? session.limits.read_timeout
                                          : session.limits.idle_timeout);
    session.is_idle = true;
    const std::size_t count = co_await session.stream.async_read_some(
        buffer.prepare(read_size), asio::redirect_error(asio::use_awaitable, failed));
    session.is_idle = false;
    buffer.commit(count);
    co_return !failed && count > 0;
}

/// Beast's own header_limit() holds for one line: of short lines it would take any number.
asio::awaitable<error_code> read_header(Session& session, beast::flat_buffer& buffer,
                                        http::request_parser<http::string_body>& parser) {
    std::size_t parsed = 0;
    while (true) {
        error_code failed;
        const std::size_t count = parser.put(buffer.data(), failed);
        buffer.consume(count);
        parsed += count;
        if (failed && failed != http::error::need_more) co_return failed;
        if (parsed > session.limits.header_bytes_max) co_return http::error::header_limit;
        if (parser.is_header_done()) co_return error_code{};

        if (buffer.max_size() - buffer.size() < read_size) co_return http::error::buffer_overflow;
        failed = {};
        const std::size_t received = co_await session.stream.async_read_some(
            buffer.prepare(read_size), asio::redirect_error(asio::use_awaitable, failed));
        buffer.commit(received);
        if (failed) co_return failed;
    }
}

}  // namespace

asio::awaitable<void> serve(Session& session) {
    // Room for a header and for what was read beyond it.
    beast::flat_buffer buffer{std::size_t{2} * session.limits.header_bytes_max + 2 * read_size};
    bool is_first = true;
    while (!session.server_stopping) {
        const bool begins = co_await request_begins(session, buffer, is_first);
        if (!begins) co_return;
        is_first = false;

        http::request_parser<http::string_body> parser;
        parser.header_limit(session.limits.header_bytes_max);
        parser.body_limit(session.limits.body_bytes_max);
        session.stream.expires_after(session.limits.read_timeout);
        error_code failed = co_await read_header(session, buffer, parser);

        std::optional<Response> refused;
        if (!failed) refused = refusal(parser.get().base(), session.guard);
        if (!failed && !refused && !parser.is_done()) {
            if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
                static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
                co_await asio::async_write(session.stream, asio::buffer(go_on),
                                           asio::redirect_error(asio::use_awaitable, failed));
            }
            if (!failed) {
                co_await http::async_read(session.stream, buffer, parser,
                                          asio::redirect_error(asio::use_awaitable, failed));
            }
        }
        if (failed) refused = answer_to(failed, session.limits);
        if (failed && !refused) co_return;

        const unsigned version = parser.get().version() >= 11 ? 11 : 10;
        const bool is_head = !failed && parser.get().method() == http::verb::head;
        bool keep_alive = !refused && parser.get().keep_alive();
        Response response;
        if (refused) {
            response = std::move(*refused);
        } else {
            auto message = parser.release();
            Request request;
            request.method = std::string(message.method_string());
            request.target = std::string(message.target());
            request.body = std::move(message.body());
            request.is_control = session.guard == nullptr;
            session.stream.expires_never();
            response = co_await answer(session.router, std::move(request));
        }
        keep_alive = keep_alive && !session.server_stopping;
        const bool sent =
            co_await send(session, std::move(response), version, is_head, keep_alive);
        if (!sent) co_return;
        if (!keep_alive) break;
    }
    if (!session.server_stopping) co_await linger(session.stream);
}

asio::awaitable<void> refuse(Stream stream) {
    static constexpr std::string_view body =
        R"({"error_code":503,"message":"too many connections, try again"})";
    static const std::string text =
        "HTTP/1.1 503 Service Unavailable\r\nServer: sluice\r\nContent-Type: application/json\r\n"
        "Retry-After: 1\r\nConnection: close\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
    error_code failed;
    stream.expires_after(linger_time);
    co_await asio::async_write(stream, asio::buffer(text),
                               asio::redirect_error(asio::use_awaitable, failed));
    if (!failed) co_await linger(stream);
}

}  // namespace sluice::control
