// What strangers may send: nothing of it may hang, crash or blind the server.
#include <random>

#include "tests/unit/control/support.hpp"

using namespace sluice;
using namespace sluice::control;
using namespace sluice::control::test;

namespace {

Router router() {
    Router routes;
    routes.add("GET", "/hello", Access::read, [](const Request&) { return json_response("{}"); });
    routes.add("POST", "/size", Access::read, [](const Request& request) {
        return text_response(std::to_string(request.body.size()));
    });
    return routes;
}

std::string with_host(std::string_view host, std::string_view more = {}) {
    return "GET /hello HTTP/1.1\r\nHost: " + std::string(host) + "\r\n" + std::string(more) + "\r\n";
}

std::string post(std::size_t size) {
    return "POST /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(size) +
           "\r\n\r\n" + std::string(size, 'x');
}

}  // namespace

TEST_CASE("a Host that is not ours is refused on TCP and ignored on the control socket") {
    const Daemon daemon(router());
    CHECK(status_of(daemon.ask(with_host("evil.example"))) == 403);
    CHECK(status_of(daemon.ask(with_host("scrape.example:8083"))) == 200);
    CHECK(status_of(daemon.ask("GET /hello HTTP/1.1\r\n\r\n")) == 400);
    CHECK(status_of(daemon.ask(with_host("localhost", "Host: evil.example\r\n"))) == 400);
    Connection control = daemon.control();
    control.send(with_host("anything"));
    CHECK(status_of(control.read_responses(1)) == 200);
}

TEST_CASE("a page of another site is refused, one of ours is not") {
    const Daemon daemon(router());
    CHECK(status_of(daemon.ask(with_host("localhost:1", "Origin: http://localhost:1\r\n"))) == 200);
    CHECK(status_of(daemon.ask(with_host("localhost:1", "Origin: http://localhost:2\r\n"))) == 403);
    CHECK(status_of(daemon.ask(with_host("localhost", "Origin: http://evil.example\r\n"))) == 403);
    CHECK(status_of(daemon.ask(with_host("localhost", "Origin: null\r\n"))) == 403);
    CHECK(status_of(daemon.ask(with_host("localhost", "Origin: http://localhost\r\n"
                                                      "Origin: http://evil.example\r\n"))) == 403);
    Connection proxied = daemon.control();
    proxied.send(with_host("localhost", "Origin: http://evil.example\r\n"));
    CHECK(status_of(proxied.read_responses(1)) == 403);
}

TEST_CASE("a refused request ends its connection, so that its body is never taken for a request") {
    const Daemon daemon(router());
    Connection connection = daemon.tcp();
    connection.send("POST /size HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 100\r\n\r\n" +
                    get("/hello"));
    connection.shutdown_send();
    const std::string all = connection.read_all();
    CHECK(status_of(all) == 403);
    CHECK(Connection::responses_in(all) == 1);
}

TEST_CASE("headers end at their limit with a 431") {
    const Daemon daemon(router());
    CHECK(status_of(daemon.ask(get("/hello", "X: " + std::string(15'000, 'x') + "\r\n"))) == 200);
    CHECK(status_of(daemon.ask(get("/hello", "X: " + std::string(17'000, 'x') + "\r\n"))) == 431);
    CHECK(status_of(daemon.ask(get("/" + std::string(17'000, 'x')))) == 431);
    std::string many;
    for (int i = 0; i < 2000; ++i) many += "X" + std::to_string(i) + ": y\r\n";
    CHECK(status_of(daemon.ask(get("/hello", many))) == 431);
    // No end in sight: the answer comes without waiting for it.
    CHECK(status_of(daemon.ask("GET /" + std::string(100'000, 'x'))) == 431);
}

TEST_CASE("bodies end at their limit with a 413, however they are announced") {
    const Daemon daemon(router());
    const std::string allowed = daemon.ask(post(1U << 20));
    CHECK(status_of(allowed) == 200);
    CHECK(body_of(allowed) == "1048576");
    CHECK(status_of(daemon.ask(post((1U << 20) + 1))) == 413);
    CHECK(status_of(daemon.ask("POST /size HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Length: 18446744073709551615\r\n\r\n")) == 413);
    std::string chunked =
        "POST /size HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 20; ++i) chunked += "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
    CHECK(status_of(daemon.ask(chunked + "0\r\n\r\n")) == 413);
}

TEST_CASE("a client that is refused early may finish sending, and then finds the answer") {
    const Daemon daemon(router());
    Connection connection = daemon.tcp();
    CHECK(connection.send(post(6U << 20)));
    CHECK(status_of(connection.read_responses(1)) == 413);
}

TEST_CASE("a client that sends its request too slowly is cut off") {
    Limits limits;
    limits.read_timeout = Milliseconds{150};
    const Daemon daemon(router(), limits);
    const auto started = std::chrono::steady_clock::now();

    Connection silent = daemon.tcp();
    CHECK(silent.read_all().empty());

    Connection in_header = daemon.tcp();
    in_header.send("GET /hello HTTP/1.1\r\nHost: loc");
    CHECK(in_header.read_all().empty());

    Connection in_body = daemon.tcp();
    in_body.send("POST /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc");
    CHECK(in_body.read_all().empty());

    // One byte at a time keeps nobody's connection open: the limit is for the whole request.
    Connection trickling = daemon.tcp();
    trickling.send("GET /hello HTTP/1.1\r\n");
    const auto first_byte = std::chrono::steady_clock::now();
    CHECK(eventually([&] { return !trickling.send("X"); }));
    CHECK(std::chrono::steady_clock::now() - first_byte < std::chrono::seconds{2});
    CHECK(std::chrono::steady_clock::now() - started < std::chrono::seconds{4});
    CHECK(status_of(daemon.ask(get("/hello"))) == 200);
}

TEST_CASE("a connection that stays idle between requests is closed") {
    Limits limits;
    limits.idle_timeout = Milliseconds{50};
    const Daemon daemon(router(), limits);
    Connection connection = daemon.tcp();
    connection.send(get("/hello"));
    CHECK(connection.read_all().ends_with("{}"));
}

TEST_CASE("a client that does not take its response is cut off") {
    Limits limits;
    limits.write_timeout = Milliseconds{100};
    limits.connections_max = 1;
    Router big;
    big.add("GET", "/big", Access::read,
            [](const Request&) { return text_response(std::string(64U << 20, 'x')); });
    const Daemon daemon(std::move(big), limits);
    Connection lazy = daemon.tcp();
    lazy.send(get("/big"));
    // The one slot is free again without the client having read or closed.
    CHECK(eventually([&] { return status_of(daemon.ask(get("/none"))) == 404; }));
}

TEST_CASE("the 65th connection gets a 503, and a freed place is given to the next") {
    const Daemon daemon(router());
    std::vector<Connection> held;
    for (int i = 0; i < 64; ++i) {
        held.push_back(daemon.tcp());
        held.back().send(get("/hello"));
        REQUIRE(status_of(held.back().read_responses(1)) == 200);
    }
    const std::string refused = daemon.ask(get("/hello"));
    CHECK(status_of(refused) == 503);
    CHECK(contains(refused, "Retry-After: 1\r\n"));
    CHECK(contains(refused, "{\"error_code\":503,"));

    // The control socket has places of its own: an operator gets in.
    Connection control = daemon.control();
    control.send(get("/hello"));
    CHECK(status_of(control.read_responses(1)) == 200);

    held.pop_back();
    CHECK(eventually([&] { return status_of(daemon.ask(get("/hello"))) == 200; }));
}

TEST_CASE("a crowd beyond the limit is turned away without growing") {
    Limits limits;
    limits.connections_max = 2;
    const Daemon daemon(router(), limits);
    {
        std::vector<Connection> crowd;
        for (int i = 0; i < 60; ++i) crowd.push_back(daemon.tcp());
        // Two have a place, some are told, and the others find the door closed.
        int told = 0;
        for (std::size_t i = 2; i < crowd.size(); ++i) {
            if (status_of(crowd[i].read_all()) == 503) ++told;
        }
        CHECK(told >= 16);
        CHECK(told < 58);
    }
    CHECK(eventually([&] { return status_of(daemon.ask(get("/hello"))) == 200; }));
}

TEST_CASE("what is not HTTP gets a 400 and the door") {
    const Daemon daemon(router());
    const std::string_view nul("\0\0\0\0\r\n\r\n", 8);
    for (const std::string_view wrong :
         {std::string_view("hello\r\n\r\n"), nul, std::string_view("GET\r\n\r\n"),
          std::string_view("GET /hello HTTP/9.9\r\n\r\n"),
          std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
          std::string_view("GET /hello HTTP/1.1\r\nHost localhost\r\n\r\n"),
          std::string_view("GET /he llo HTTP/1.1\r\nHost: localhost\r\n\r\n"),
          std::string_view("GET /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"),
          std::string_view("GET /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
          std::string_view("POST /size HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked"
                           "\r\n\r\nzz\r\n\r\n")}) {
        CAPTURE(wrong);
        Connection connection = daemon.tcp();
        connection.send(wrong);
        connection.shutdown_send();
        CHECK(status_of(connection.read_all()) == 400);
    }
}

TEST_CASE("seeded noise neither crashes nor blinds the server") {
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    const std::string sample = "POST /size?a=%41 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
                               "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\nabcd";
    Limits limits;
    limits.read_timeout = Milliseconds{500};
    const Daemon daemon(router(), limits);
    for (int round = 0; round < 300; ++round) {
        std::string bytes;
        if (round % 3 == 0) {
            bytes.resize(random() % 600);
            for (char& c : bytes) c = static_cast<char>(random());
        } else {
            bytes = sample;
            for (auto edits = 1 + random() % 6; edits > 0; --edits) {
                const std::size_t at = random() % bytes.size();
                switch (random() % 3) {
                    case 0: bytes[at] = static_cast<char>(random()); break;
                    case 1: bytes.erase(at, 1 + random() % 10); break;
                    default: bytes.insert(at, bytes.substr(random() % bytes.size(), 20)); break;
                }
                if (bytes.empty()) bytes = sample;
            }
        }
        Connection connection = daemon.tcp();
        connection.send(bytes);
        connection.shutdown_send();
        const std::string all = connection.read_all();
        CAPTURE(round);
        // Whatever it was: silence, or well-formed responses and nothing else.
        if (!all.empty()) CHECK(status_of(all) >= 100);
    }
    CHECK(status_of(daemon.ask(get("/hello"))) == 200);
}
