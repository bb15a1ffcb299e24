#include <doctest/doctest.h>

#include <limits>

#include "daemon/plan/restart.hpp"

using namespace sluice;
using namespace sluice::plan;
using namespace std::chrono_literals;

TEST_CASE("pauses between restarts grow by n squared plus n minutes, up to the limit") {
    const auto after = [](int restarts) { return restart_after(ErrorCode::unavailable, restarts, 60min); };
    CHECK(after(0) == 2min);
    CHECK(after(1) == 6min);
    CHECK(after(2) == 12min);
    CHECK(after(6) == 56min);
    CHECK(after(7) == 60min);
    CHECK(after(std::numeric_limits<int>::max()) == 60min);
}

TEST_CASE("a shorter limit holds from the first restart on, and 0 means never") {
    CHECK(restart_after(ErrorCode::failed, 0, 50ms) == 50ms);
    CHECK_FALSE(restart_after(ErrorCode::failed, 0, 0ms));
}

TEST_CASE("only faults that can pass are started after") {
    for (const auto code : {ErrorCode::failed, ErrorCode::unavailable, ErrorCode::denied}) {
        CHECK_MESSAGE(restart_after(code, 0, 60min), name_of(code));
    }
    for (const auto code : {ErrorCode::data_loss, ErrorCode::configuration, ErrorCode::locked,
                            ErrorCode::exists, ErrorCode::storage, ErrorCode::fatal, ErrorCode::stopping}) {
        CHECK_MESSAGE(!restart_after(code, 0, 60min), name_of(code));
    }
}
