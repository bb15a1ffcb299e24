#include "daemon/control/client.hpp"

#include <sys/un.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "daemon/base/text.hpp"

namespace sluice::control {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::uint64_t response_bytes_max = 64ULL << 20;

Error connect_error(const std::string& path, const error_code& why) {
    if (why == asio::error::connection_refused ||
        why == error_code(ENOENT, boost::system::system_category()) ||
        why == error_code(ENOTDIR, boost::system::system_category())) {
        return {ErrorCode::unavailable,
                "no daemon answers at " + path +
                    ": is sluiced running? systemctl status sluice; another daemon's socket is "
                    "named with --socket",
                true};
    }
    if (why == asio::error::access_denied) {
        return {ErrorCode::unavailable,
                "not allowed to use " + path +
                    ": be root or in the group of that socket (usermod -aG sluice $USER, then log in "
                    "again)"};
    }
    return {ErrorCode::unavailable, "can't connect to " + path + ": " + why.message()};
}

Error talk_error(const std::string& path, const error_code& why, Milliseconds timeout) {
    if (why == beast::error::timeout) {
        return {ErrorCode::unavailable,
                "the daemon at " + path + " did not answer within " + format_duration(timeout) +
                    ": it may be busy or stopping; its log says more (journalctl -u sluice)",
                true};
    }
    if (why == http::error::end_of_stream || why == http::error::partial_message ||
        why == asio::error::connection_reset || why == asio::error::broken_pipe) {
        return {ErrorCode::unavailable,
                "the daemon at " + path + " went away before it answered: it may have been stopped",
                true};
    }
    return {ErrorCode::unavailable, "no usable answer from " + path + ": " + why.message()};
}

}  // namespace

Result<Response> call(const std::filesystem::path& socket, std::string_view method,
                      std::string_view target, std::string_view body, Milliseconds timeout) {
    const std::string path = socket.string();
    if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
        return Error{ErrorCode::invalid_argument,
                     "'" + path + "' can't be the path of a Unix socket: it must have 1 to " +
                         std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes"};
    }
    asio::io_context io;
    beast::basic_stream<asio::local::stream_protocol> stream(io);
    error_code failed;
    // Blocks only while the daemon's backlog is full, and the daemon accepts to refuse.
    stream.socket().connect(asio::local::stream_protocol::endpoint(path), failed);
    if (failed) return connect_error(path, failed);

    http::request<http::string_body> request;
    request.version(11);
    request.method_string({method.data(), method.size()});
    request.target({target.data(), target.size()});
    request.set(http::field::host, "localhost");
    request.set(http::field::user_agent, "sluice");
    request.keep_alive(false);
    if (!body.empty()) request.set(http::field::content_type, "application/json");
    request.body() = body;
    request.prepare_payload();

    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(response_bytes_max);
    if (method == "HEAD") parser.skip(true);

    stream.expires_after(timeout);
    http::async_write(stream, request, [&](const error_code& not_written, std::size_t) {
        // A daemon that refuses has answered before it read all: look for the answer all the same.
        const bool cut = not_written == asio::error::broken_pipe ||
                         not_written == asio::error::connection_reset;
        if (not_written && !cut) {
            failed = not_written;
            return;
        }
        http::async_read(stream, buffer, parser,
                         [&](const error_code& not_read, std::size_t) { failed = not_read; });
    });
    io.run();
    if (failed) return talk_error(path, failed, timeout);

    Response response;
    response.status = static_cast<int>(parser.get().result_int());
    for (const auto& field : parser.get()) {
        if (field.name() == http::field::content_type) {
            response.content_type = std::string(field.value());
        } else {
            response.headers.emplace_back(std::string(field.name_string()),
                                          std::string(field.value()));
        }
    }
    if (parser.get().count(http::field::content_type) == 0) response.content_type.clear();
    response.body = std::move(parser.get().body());
    return response;
}

}  // namespace sluice::control
