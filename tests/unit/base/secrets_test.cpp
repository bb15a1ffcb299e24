#include <doctest/doctest.h>

#include <vector>

#include "daemon/base/secrets.hpp"

using namespace sluice;

TEST_CASE("a secret is replaced wherever it occurs, the longest first") {
    secrets::keep(std::vector<std::string>{"geheim", "geheim-2026"});
    CHECK(secrets::redacted("user x, geheim-2026geheim!") == "user x, (secret)(secret)!");
    CHECK(secrets::redacted("nothing of it") == "nothing of it");
}

TEST_CASE("what was a secret before stays one") {
    secrets::keep(std::vector<std::string>{"yesterdays"});
    secrets::keep(std::vector<std::string>{"todays"});
    CHECK(secrets::redacted("yesterdays, todays") == "(secret), (secret)");
}

TEST_CASE("what is too short to be a secret blots out nothing") {
    secrets::keep(std::vector<std::string>{"", "a", "abc"});
    CHECK(secrets::redacted("abc a") == "abc a");
}

TEST_CASE("no more secrets are kept than promised, the newest ones") {
    for (std::size_t i = 0; i < secrets::kept_max + 10; ++i) {
        secrets::keep(std::vector<std::string>{"many<" + std::to_string(i) + ">"});
    }
    CHECK(secrets::redacted("many<0>") == "many<0>");
    CHECK(secrets::redacted("many<" + std::to_string(secrets::kept_max) + ">") == "(secret)");
}
