#include <doctest/doctest.h>
#include <unistd.h>

#include "daemon/control/guard.hpp"

using namespace sluice::control;

TEST_CASE("a loopback listener answers to loopback names only") {
    const HostGuard guard("127.0.0.1", {"Scrape.Example"});
    for (const char* host : {"localhost", "LOCALHOST:8083", "localhost.:1", "127.0.0.1",
                             "127.0.0.1:9", "127.1.2.3:8083", "[::1]", "[::1]:8083",
                             "scrape.example:80"}) {
        CAPTURE(host);
        CHECK(guard.allows(host));
    }
    for (const char* host : {"", "evil.example", "evil.example:8083", "localhost.evil.example",
                             "127.0.0.1.evil.example", "10.0.0.5", "[::1", "[::1]x", "[]", "::1",
                             "0x7f000001", "2130706433", "evil@localhost", ":8083"}) {
        CAPTURE(host);
        CHECK_FALSE(guard.allows(host));
    }
}

TEST_CASE("a listener answers to its own address, and one on all addresses to any number") {
    CHECK(HostGuard("10.0.0.5", {}).allows("10.0.0.5:8083"));
    CHECK_FALSE(HostGuard("10.0.0.5", {}).allows("10.0.0.6"));
    CHECK(HostGuard("2001:db8::1", {}).allows("[2001:DB8:0::1]:8083"));
    CHECK(HostGuard("0.0.0.0", {}).allows("192.0.2.7:8083"));
    CHECK(HostGuard("::", {}).allows("[2001:db8::1]"));
    CHECK_FALSE(HostGuard("0.0.0.0", {}).allows("evil.example"));
}

TEST_CASE("a listener answers to this machine's host name") {
    char name[256] = {};
    REQUIRE(::gethostname(name, sizeof(name) - 1) == 0);
    CHECK(HostGuard("127.0.0.1", {}).allows(std::string(name) + ":8083"));
    CHECK_FALSE(HostGuard("127.0.0.1", {}).allows(std::string(name) + ".evil.example"));
}

TEST_CASE("an origin is the same only with the same host and port") {
    CHECK(is_same_origin("http://localhost:8083", "localhost:8083"));
    CHECK(is_same_origin("https://Sluice.example", "sluice.example"));
    CHECK_FALSE(is_same_origin("http://localhost:3000", "localhost:8083"));
    CHECK_FALSE(is_same_origin("http://evil.example", "localhost:8083"));
    CHECK_FALSE(is_same_origin("null", "null"));
    CHECK_FALSE(is_same_origin("", ""));
    CHECK_FALSE(is_same_origin("file://localhost", "localhost"));
}
