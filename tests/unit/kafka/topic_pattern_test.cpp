#include "daemon/kafka/topic_pattern.hpp"

#include <doctest/doctest.h>

#include <chrono>

using namespace sluice;
using sluice::kafka::TopicPattern;

namespace {

bool matches(const std::string& regex, const std::string& name) {
    const auto pattern = TopicPattern::compile(regex);
    REQUIRE(pattern);
    return pattern->matches(name);
}

std::string refusal(const std::string& regex) {
    const auto pattern = TopicPattern::compile(regex);
    if (pattern) return "";
    CHECK(pattern.error().code == ErrorCode::configuration);
    return pattern.error().message;
}

}  // namespace

TEST_CASE("a pattern is found anywhere in a name unless it is anchored") {
    CHECK(matches("orders", "eu.orders.v2"));
    CHECK_FALSE(matches("^orders$", "eu.orders.v2"));
    CHECK(matches("^orders-.*", "orders-1"));
    CHECK(matches(R"(^(orders|payments)(-[a-z]+)*\.v[0-9]{1,3}$)", "orders-eu-west.v12"));
    CHECK_FALSE(matches("^(?!test)", "test.orders"));
}

TEST_CASE("Kafka's own topics never match") {
    CHECK_FALSE(matches(".*", "__consumer_offsets"));
    CHECK_FALSE(matches("^__transaction_state$", "__transaction_state"));
    CHECK(matches(".*", "__mine"));
}

TEST_CASE("a pattern that would backtrack for ever answers at once") {
    const auto start = std::chrono::steady_clock::now();
    CHECK_FALSE(matches("^(a+)+$", std::string(248, 'a') + "b"));
    CHECK_FALSE(matches("^(a|aa|a?)*$", std::string(248, 'a') + "b"));
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE("a pattern that is no regular expression is refused with the reason") {
    CHECK(refusal("orders[").find("a [ without its ]") != std::string::npos);
    CHECK(refusal("(orders").find("a ( without its )") != std::string::npos);
    CHECK(refusal("*orders").find("nothing before it") != std::string::npos);
    CHECK(refusal("").find("'.*' takes every topic") != std::string::npos);
    CHECK(refusal(R"((a)\1)").find("back-references") != std::string::npos);
}

TEST_CASE("a pattern can't be made to use up the stack") {
    CHECK(refusal(std::string(2000, 'a')).find("1024") != std::string::npos);
    CHECK(refusal("(a?){100000}").find("repeats too often") != std::string::npos);
    CHECK(refusal("((a?){200}){200}").find("repeats too often") != std::string::npos);
    CHECK(refusal("(a{99999999999999999999}").find("repeats too often") != std::string::npos);
    CHECK(refusal("((a?){10}){100}") == "");
    CHECK(matches("((a?){10}){100}", std::string(249, 'a')));
}
