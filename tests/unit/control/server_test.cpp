#include <grp.h>
#include <sys/stat.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fstream>
#include <future>
#include <semaphore>

#include "tests/unit/control/support.hpp"

using namespace sluice;
using namespace sluice::control;
using namespace sluice::control::test;
namespace asio = boost::asio;

namespace {

Router small_router() {
    Router router;
    router.add("GET", "/hello", Access::read, [](const Request&) { return json_response("{}"); });
    router.add("POST", "/echo", Access::read,
               [](const Request& request) { return text_response(request.body); });
    router.add("PUT", "/pause", Access::write, [](const Request&) { return empty_response(202); });
    router.add("DELETE", "/it", Access::write, [](const Request&) {
        Response response = empty_response(204);
        response.body = "a bug";
        return response;
    });
    return router;
}

}  // namespace

TEST_CASE("a server answers on TCP, keeps the connection and says who it is") {
    const Daemon daemon(small_router());
    Connection connection = daemon.tcp();
    connection.send(get("/hello"));
    const std::string first = connection.read_responses(1);
    CHECK(status_of(first) == 200);
    CHECK(body_of(first) == "{}");
    CHECK(contains(first, "Content-Type: application/json\r\n"));
    CHECK(contains(first, "X-Content-Type-Options: nosniff\r\n"));
    connection.send(get("/nothing"));
    CHECK(contains(connection.read_responses(2), "HTTP/1.1 404 Not Found"));
}

TEST_CASE("pipelined requests are answered one after the other, in order") {
    const Daemon daemon(small_router());
    Connection connection = daemon.tcp();
    std::string requests;
    for (int i = 0; i < 50; ++i) {
        const std::string body = "body " + std::to_string(i);
        requests += "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    connection.send(requests);
    const std::string responses = connection.read_responses(50);
    CHECK(Connection::responses_in(responses) == 50);
    std::size_t at = 0;
    for (int i = 0; i < 50; ++i) {
        at = responses.find("body " + std::to_string(i), at);
        REQUIRE(at != std::string::npos);
    }
}

TEST_CASE("HEAD has the length of GET and no body, 204 has neither") {
    const Daemon daemon(small_router());
    Connection connection = daemon.control();
    connection.send("HEAD /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    "DELETE /it HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    "PUT /pause HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    const std::string all = connection.read_all();
    const std::size_t second = all.find("HTTP/1.1 204");
    const std::size_t third = all.find("HTTP/1.1 202");
    REQUIRE(second != std::string::npos);
    REQUIRE(third != std::string::npos);
    CHECK(contains(all.substr(0, second), "Content-Length: 2\r\n"));
    CHECK_FALSE(contains(all.substr(0, second), "{}"));
    CHECK_FALSE(contains(all.substr(second, third - second), "Content-Length"));
    CHECK(all.substr(second, third - second).ends_with("\r\n\r\n"));
    CHECK(contains(all.substr(third), "Content-Length: 0\r\n"));
}

TEST_CASE("writes go through the Unix socket and not through TCP") {
    const Daemon daemon(small_router());
    const std::string request = "PUT /pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    Connection tcp = daemon.tcp();
    tcp.send(request);
    CHECK(status_of(tcp.read_responses(1)) == 403);
    Connection control = daemon.control();
    control.send(request);
    CHECK(status_of(control.read_responses(1)) == 202);
}

TEST_CASE("a client that waits for 100-continue gets it, and its whole body is read") {
    const Daemon daemon(small_router());
    Connection connection = daemon.tcp();
    connection.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                    "Content-Length: 5\r\n\r\n");
    CHECK(contains(connection.read_responses(1), "100 Continue"));
    connection.send("12345");
    CHECK(contains(connection.read_responses(2), "12345"));
}

TEST_CASE("a chunked body is put together") {
    const Daemon daemon(small_router());
    CHECK(body_of(daemon.ask("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked"
                             "\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) == "abcde");
}

TEST_CASE("HTTP/1.0 without Host is answered and closed") {
    const Daemon daemon(small_router());
    Connection connection = daemon.tcp();
    connection.send("GET /hello HTTP/1.0\r\n\r\n");
    const std::string response = connection.read_all();
    CHECK(status_of(response) == 200);
    CHECK(response.ends_with("{}"));
}

TEST_CASE("a client that has sent everything and closed its side is still answered") {
    const Daemon daemon(small_router());
    Connection connection = daemon.tcp();
    connection.send(get("/hello"));
    connection.shutdown_send();
    CHECK(connection.read_all().ends_with("{}"));
}

TEST_CASE("an exception in a handler is a 500 that keeps its secrets, and the server lives on") {
    Router router = small_router();
    router.add("GET", "/throws", Access::read, [](const Request&) -> Response {
        throw std::runtime_error("the password is swordfish");
    });
    router.add("GET", "/throws-int", Access::read, [](const Request&) -> Response { throw 7; });
    router.add("GET", "/throws-later", Access::read,
               [](Request) -> asio::awaitable<Response> {
                   co_await asio::post(asio::use_awaitable);
                   throw std::runtime_error("later");
               });
    const Daemon daemon(std::move(router));
    Connection connection = daemon.tcp();
    connection.send(get("/throws") + get("/throws-int") + get("/throws-later") + get("/hello"));
    const std::string all = connection.read_responses(4);
    CHECK(Connection::responses_in(all) == 4);
    CHECK(contains(all, "{\"error_code\":500,"));
    CHECK_FALSE(contains(all, "swordfish"));
    CHECK(all.ends_with("{}"));
}

TEST_CASE("a handler's header with a line break in it is left out") {
    Router router;
    router.add("GET", "/", Access::read, [](const Request&) {
        Response response = json_response("{}", 201);
        response.headers = {{"Location", "/connectors/a"}, {"X-Bad", "a\r\nSet-Cookie: b=c"}};
        return response;
    });
    const std::string response = Daemon(std::move(router)).ask(get("/"));
    CHECK(status_of(response) == 201);
    CHECK(contains(response, "Location: /connectors/a\r\n"));
    CHECK_FALSE(contains(response, "Set-Cookie"));
}

TEST_CASE("one slow handler does not keep others from being answered") {
    std::promise<void> go;
    asio::thread_pool pool(1);
    Router router = small_router();
    router.add("GET", "/slow", Access::read, [&](const Request&) -> asio::awaitable<Response> {
        co_await asio::co_spawn(
            pool,
            [&]() -> asio::awaitable<void> {
                go.get_future().wait();
                co_return;
            },
            asio::use_awaitable);
        co_return json_response("slow");
    });
    const Daemon daemon(std::move(router));
    Connection slow = daemon.tcp();
    slow.send(get("/slow"));
    CHECK(body_of(daemon.ask(get("/hello"))) == "{}");
    go.set_value();
    CHECK(body_of(slow.read_responses(1)) == "slow");
}

TEST_CASE("stop lets a running request end, closes idle connections and removes the socket file") {
    std::promise<void> go;
    std::atomic<bool> entered = false;
    asio::thread_pool pool(1);
    Router router = small_router();
    router.add("GET", "/slow", Access::read, [&](const Request&) -> asio::awaitable<Response> {
        co_await asio::co_spawn(
            pool,
            [&]() -> asio::awaitable<void> {
                entered = true;
                go.get_future().wait();
                co_return;
            },
            asio::use_awaitable);
        co_return json_response("slow");
    });
    Daemon daemon(std::move(router));
    Connection idle = daemon.tcp();
    idle.send(get("/hello"));
    idle.read_responses(1);
    Connection busy = daemon.control();
    busy.send(get("/slow"));
    REQUIRE(eventually([&] { return entered.load(); }));

    auto stopped = std::async(std::launch::async, [&] { daemon.stop(); });
    CHECK(idle.read_all().ends_with("{}"));
    CHECK(eventually([&] { return !std::filesystem::exists(daemon.socket_path()); }));
    CHECK_FALSE(daemon.tcp().connected());
    CHECK(stopped.wait_for(std::chrono::milliseconds{0}) == std::future_status::timeout);
    go.set_value();
    stopped.get();
    const std::string last = busy.read_all();
    CHECK(body_of(last) == "slow");
    CHECK(contains(last, "Connection: close"));
}

TEST_CASE("stop gives up on a request that outlasts the grace") {
    std::promise<void> go;
    std::atomic<bool> entered = false;
    asio::thread_pool pool(1);
    Router router;
    router.add("GET", "/slow", Access::read, [&](const Request&) -> asio::awaitable<Response> {
        co_await asio::co_spawn(
            pool,
            [&]() -> asio::awaitable<void> {
                entered = true;
                go.get_future().wait();
                co_return;
            },
            asio::use_awaitable);
        co_return json_response("slow");
    });
    {
        Daemon daemon(std::move(router));
        Connection busy = daemon.tcp();
        busy.send(get("/slow"));
        REQUIRE(eventually([&] { return entered.load(); }));
        daemon.stop(Milliseconds{20});
        CHECK(busy.read_all().empty());
        go.set_value();
    }
    pool.join();
}

TEST_CASE("the control socket has mode 0660 and, where we may, its group") {
    const TempDir directory;
    asio::io_context io;
    Server server(io.get_executor(), Router{});
    const ::group* group = ::getgrnam("daemon");
    REQUIRE(group != nullptr);
    const gid_t wanted = group->gr_gid;
    REQUIRE(server.listen_unix(directory.file("s"), "daemon"));
    struct stat status {};
    REQUIRE(::stat(directory.file("s").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0660);
    if (::geteuid() == 0) CHECK(status.st_gid == wanted);
    REQUIRE(server.listen_unix(directory.file("t"), "no-such-group"));
}

TEST_CASE("a socket file that nobody answers on is replaced, one in use is not") {
    const TempDir directory;
    const auto path = directory.file("s");
    asio::io_context io;
    {
        // A daemon that was killed: bound, and gone without unlink.
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
        const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
        REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
        ::close(fd);
    }
    {
        Server server(io.get_executor(), Router{});
        REQUIRE(server.listen_unix(path));
        Server second(io.get_executor(), Router{});
        const auto refused = second.listen_unix(path);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::locked);
        CHECK(contains(refused.error().message, path.string()));
        CHECK(Connection::unix_socket(path).connected());
    }
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a file that is not a socket is never replaced") {
    const TempDir directory;
    asio::io_context io;
    Server server(io.get_executor(), Router{});
    std::ofstream(directory.file("s")) << "precious";
    const auto refused = server.listen_unix(directory.file("s"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::configuration);
    CHECK(std::filesystem::file_size(directory.file("s")) == 8);
}

TEST_CASE("a socket file that another daemon put there meanwhile is not removed at stop") {
    Daemon daemon(small_router());
    std::filesystem::remove(daemon.socket_path());
    std::ofstream(daemon.socket_path()) << "another's";
    daemon.stop();
    CHECK(std::filesystem::exists(daemon.socket_path()));
}

TEST_CASE("a control socket's path must fit, and its directory must exist") {
    const TempDir directory;
    asio::io_context io;
    Server server(io.get_executor(), Router{});
    const auto missing = server.listen_unix(directory.file("no/such/s"));
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ErrorCode::storage);
    CHECK(contains(missing.error().message, "RuntimeDirectory"));
    const auto too_long = server.listen_unix(directory.file(std::string(120, 'x').c_str()));
    REQUIRE_FALSE(too_long);
    CHECK(too_long.error().code == ErrorCode::configuration);
}

TEST_CASE("listen_tcp takes numbers only, and says what to write") {
    asio::io_context io;
    Server server(io.get_executor(), Router{});
    for (const char* wrong : {"", "localhost:8083", "127.0.0.1", ":8083", "127.0.0.1:", "::1:8083",
                              "127.0.0.1:65536", "127.0.0.1:-1", "[127.0.0.1]:80", "[::1]",
                              "127.0.0.1:80a", "127.0.0.1:+80x"}) {
        CAPTURE(wrong);
        const auto refused = server.listen_tcp(wrong);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::configuration);
        CHECK(contains(refused.error().message, "write 127.0.0.1:8083"));
    }
}

TEST_CASE("a taken port is an error that may pass, and names the remedy") {
    asio::io_context io;
    Server first(io.get_executor(), Router{});
    REQUIRE(first.listen_tcp("127.0.0.1:0"));
    Server second(io.get_executor(), Router{});
    const auto refused = second.listen_tcp("127.0.0.1:" + std::to_string(first.tcp_port()));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::unavailable);
    CHECK(refused.error().retriable);
    CHECK(contains(refused.error().message, "http.listen"));
    const auto elsewhere = second.listen_tcp("192.0.2.1:8083");
    REQUIRE_FALSE(elsewhere);
    CHECK(contains(elsewhere.error().message, "ip address"));
}
