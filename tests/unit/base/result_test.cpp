#include <doctest/doctest.h>

#include <memory>

#include "daemon/base/result.hpp"

using namespace sluice;

namespace {

Result<int> half(int n) {
    if (n % 2 != 0) return Error{ErrorCode::invalid_argument, std::to_string(n) + " is odd"};
    return n / 2;
}
Result<int> quarter(int n) {
    SLUICE_TRY(const int first, half(n));
    SLUICE_TRY(const int second, half(first));
    return second;
}
Result<void> divisible_by_four(int n) {
    SLUICE_CHECK(quarter(n));
    return {};
}

}  // namespace

TEST_CASE("SLUICE_TRY passes values on and returns the first error") {
    CHECK(*quarter(8) == 2);
    REQUIRE_FALSE(quarter(6));
    CHECK(quarter(6).error().message == "3 is odd");
    CHECK(divisible_by_four(4));
    CHECK_FALSE(divisible_by_four(2));
}

TEST_CASE("Result carries values that can only be moved") {
    Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
    const std::unique_ptr<int> taken = *std::move(result);
    CHECK(*taken == 7);
}

TEST_CASE("every error code has an exit code that sysexits.h knows") {
    CHECK(exit_code(ErrorCode::configuration) == 78);
    CHECK(exit_code(ErrorCode::locked) == 75);
    CHECK(exit_code(ErrorCode::storage) == 74);
    CHECK(exit_code(ErrorCode::unavailable) == 69);
    CHECK(exit_code(ErrorCode::invalid_argument) == 64);
    CHECK(exit_code(ErrorCode::fatal) == 1);
}
