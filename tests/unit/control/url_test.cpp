#include <doctest/doctest.h>

#include "daemon/control/url.hpp"

using namespace sluice::control;
using Segments = std::vector<std::string>;

TEST_CASE("parse_target splits before it decodes, so that %2F stays inside a name") {
    const auto target = parse_target("/api/a%2Fb/c%20d");
    REQUIRE(target);
    CHECK(target->segments == Segments{"api", "a/b", "c d"});
    CHECK(target->query.empty());
}

TEST_CASE("parse_target takes one trailing slash away and no more") {
    CHECK(parse_target("/")->segments.empty());
    CHECK(parse_target("/connectors/")->segments == Segments{"connectors"});
    CHECK(parse_target("/connectors//")->segments == Segments{"connectors", ""});
    CHECK(parse_target("/connectors/?expand=status")->segments == Segments{"connectors"});
}

TEST_CASE("parse_target keeps every value of a repeated key, in order") {
    const auto target = parse_target("/c?expand=status&expand=info&&flag&x=a%3Db+c&e=");
    REQUIRE(target);
    const Query expected{{"expand", "status"}, {"expand", "info"}, {"flag", ""},
                         {"x", "a=b c"},       {"e", ""}};
    CHECK(target->query == expected);
}

TEST_CASE("parse_target leaves a plus in a path alone") {
    CHECK(parse_target("/a+b")->segments == Segments{"a+b"});
}

TEST_CASE("parse_target refuses what is no path and broken escapes") {
    for (const char* wrong : {"", "*", "api", "http://localhost/", "/%", "/%2", "/%zz", "/a?%4",
                              "/a?b=%-1"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_target(wrong));
    }
}

TEST_CASE("url_encoded makes any bytes one segment") {
    const std::string name{"a/b ?&=+%\n\xff\0z", 12};
    const auto target = parse_target("/x/" + url_encoded(name) + "?k=" + url_encoded(name));
    REQUIRE(target);
    CHECK(target->segments == Segments{"x", name});
    CHECK(target->query.find("k")->second == name);
    CHECK(url_encoded("orders-0_1.~") == "orders-0_1.~");
}
