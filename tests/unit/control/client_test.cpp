#include "daemon/control/client.hpp"

#include <algorithm>
#include <future>

#include "tests/unit/control/support.hpp"

using namespace sluice;
using namespace sluice::control;
using namespace sluice::control::test;

TEST_CASE("call gives status, type, headers and body of any answer") {
    Router router;
    router.add("POST", "/c", Access::write, [](const Request& request) {
        Response response = json_response(request.body, 201);
        response.headers.emplace_back("Location", "/c/" + url_encoded(request.query_value("name")));
        return response;
    });
    router.add("PUT", "/pause", Access::write, [](const Request&) { return empty_response(202); });
    const Daemon daemon(std::move(router));
    const auto made = call(daemon.socket_path(), "POST", "/c?name=a%2Fb", R"({"x":1})");
    REQUIRE_MESSAGE(made, made.error().message);
    CHECK(made->status == 201);
    CHECK(made->content_type == "application/json");
    CHECK(made->body == R"({"x":1})");
    CHECK(std::find(made->headers.begin(), made->headers.end(),
                    std::pair<std::string, std::string>{"Location", "/c/a%2Fb"}) !=
          made->headers.end());
    CHECK(call(daemon.socket_path(), "PUT", "/pause")->status == 202);
    CHECK(call(daemon.socket_path(), "PUT", "/pause")->content_type.empty());
    CHECK(call(daemon.socket_path(), "GET", "/none")->status == 404);
    CHECK(call(daemon.socket_path(), "HEAD", "/none")->status == 404);
}

TEST_CASE("call carries a large answer whole") {
    Router router;
    router.add("GET", "/big", Access::read,
               [](const Request&) { return text_response(std::string(20U << 20, 'x')); });
    const Daemon daemon(std::move(router));
    const auto big = call(daemon.socket_path(), "GET", "/big");
    REQUIRE(big);
    CHECK(big->body.size() == 20U << 20);
}

TEST_CASE("call hears a daemon that refuses a body before it has read all of it") {
    Router router;
    router.add("POST", "/c", Access::write, [](const Request&) { return empty_response(204); });
    const Daemon daemon(std::move(router));
    // 20 MiB are more than the server reads of what it has refused: it hangs up while we send.
    for (const std::size_t size : {6U << 20, 20U << 20}) {
        const auto refused = call(daemon.socket_path(), "POST", "/c", std::string(size, 'x'));
        REQUIRE_MESSAGE(refused, refused.error().message);
        CHECK(refused->status == 413);
    }
}

TEST_CASE("call says that no daemon answers, and how to look") {
    const TempDir directory;
    const auto nobody = call(directory.file("none"), "GET", "/");
    REQUIRE_FALSE(nobody);
    CHECK(nobody.error().code == ErrorCode::unavailable);
    CHECK(contains(nobody.error().message, "no daemon answers at " + directory.file("none").string() +
                                               ": is sluiced running? systemctl status sluice"));
    // Left over by a killed daemon: there is a file, and still nobody.
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, directory.file("stale").c_str(), sizeof(address.sun_path) - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    ::close(fd);
    CHECK(contains(call(directory.file("stale"), "GET", "/").error().message, "no daemon answers"));
    CHECK(call(directory.file(std::string(120, 'x').c_str()), "GET", "/").error().code ==
          ErrorCode::invalid_argument);
}

TEST_CASE("call does not wait longer than its timeout for a daemon that hangs") {
    const TempDir directory;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, directory.file("s").c_str(), sizeof(address.sun_path) - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(::listen(fd, 4) == 0);
    const auto started = std::chrono::steady_clock::now();
    const auto late = call(directory.file("s"), "GET", "/", {}, Milliseconds{100});
    REQUIRE_FALSE(late);
    CHECK(late.error().retriable);
    CHECK(contains(late.error().message, "within 100ms"));
    CHECK(std::chrono::steady_clock::now() - started < std::chrono::seconds{3});

    // One that goes away in the middle of its answer.
    auto leaving = std::async(std::launch::async, [&] {
        for (int i = 0; i < 2; ++i) {  // the first is the call above, given up
            const int peer = ::accept(fd, nullptr, nullptr);
            char buffer[512];
            (void)::recv(peer, buffer, sizeof(buffer), 0);
            (void)::send(peer, "HTTP/1.1 200 OK\r\nContent-Le", 27, MSG_NOSIGNAL);
            ::close(peer);
        }
    });
    const auto gone = call(directory.file("s"), "GET", "/");
    REQUIRE_FALSE(gone);
    CHECK(contains(gone.error().message, "went away"));
    leaving.get();
    ::close(fd);
}
