#include "daemon/plan/admission.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

using namespace sluice;
using namespace sluice::plan;
using namespace std::chrono_literals;

namespace {

constexpr auto int64_max = std::numeric_limits<std::int64_t>::max();

std::vector<Backlog> backlog(std::int64_t first, std::int64_t second) {
    return {{{{"orders", 0}, 100, 100 + first}}, {{{"orders", 1}, 100, 100 + second}}};
}

WallTime at(std::int64_t ms) {
    return from_epoch_ms(ms);
}

}  // namespace

TEST_CASE("should_wait waits for fewer offsets than the minimum") {
    CHECK(should_wait(backlog(10, 4), 15, 1s, 15min));
    CHECK_FALSE(should_wait(backlog(10, 5), 15, 1s, 15min));
    CHECK_FALSE(should_wait(backlog(10, 6), 15, 1s, 15min));
    CHECK(should_wait({}, 1, 1s, 15min));
}

TEST_CASE("should_wait never waits longer than the delay, nor before the first trigger") {
    CHECK(should_wait(backlog(1, 0), 15, 899'999ms, 15min));
    CHECK_FALSE(should_wait(backlog(1, 0), 15, 15min, 15min));
    CHECK_FALSE(should_wait(backlog(1, 0), 15, Milliseconds::max(), 15min));
    CHECK_FALSE(should_wait(backlog(1, 0), 15, Milliseconds::max(), Milliseconds::max()));
    CHECK_FALSE(should_wait(backlog(1, 0), 15, 0ms, 0ms));
}

TEST_CASE("should_wait counts inverted ranges negatively") {
    CHECK(should_wait(backlog(20, -6), 15, 1s, 15min));
    CHECK_FALSE(should_wait(backlog(20, -5), 15, 1s, 15min));
}

TEST_CASE("should_wait adds sizes beyond 64 bits") {
    const std::vector<Backlog> huge{{{{"orders", 0}, 0, int64_max}},
                                    {{{"orders", 1}, 0, int64_max}},
                                    {{{"orders", 2}, 0, int64_max}}};
    CHECK_FALSE(should_wait(huge, int64_max, 1s, 15min));
    const std::vector<Backlog> inverted{{{{"orders", 0}, int64_max, 0}},
                                        {{{"orders", 1}, int64_max, 0}},
                                        {{{"orders", 2}, int64_max, 0}}};
    CHECK(should_wait(inverted, 1, 1s, 15min));
}

TEST_CASE("next_trigger is the next multiple of the interval since the epoch") {
    CHECK(next_trigger(at(12'300), at(12'400), 5s) == at(15'000));
    CHECK(next_trigger(at(14'999), at(14'999), 5s) == at(15'000));
    // Exactly on a multiple: the next one, not the same again.
    CHECK(next_trigger(at(15'000), at(15'000), 5s) == at(20'000));
    CHECK(next_trigger(at(0), at(0), 1ms) == at(1));
}

TEST_CASE("next_trigger follows an overrun at once, and only once") {
    const WallTime now = at(33'000);  // the batch of 12.3 s missed 15, 20, 25 and 30 s
    CHECK(next_trigger(at(12'300), now, 5s) <= now);
    CHECK(next_trigger(now, now, 5s) == at(35'000));
    CHECK(next_trigger(at(12'300), at(15'000), 5s) <= at(15'000));
}

TEST_CASE("next_trigger is due at once without an interval") {
    CHECK(next_trigger(at(12'300), at(12'400), 0ms) <= at(12'400));
    CHECK(next_trigger(at(99'000), at(12'400), 0ms) <= at(12'400));
    CHECK(next_trigger(at(12'300), at(12'400), -5s) <= at(12'400));
}

TEST_CASE("next_trigger waits one interval at most when the clock was set back") {
    const WallTime now = at(7'000);
    const WallTime next = next_trigger(at(3'600'000), now, 5s);
    CHECK(next == at(10'000));
}

TEST_CASE("next_trigger holds at the ends of time") {
    CHECK(next_trigger(at(-12'300), at(-12'200), 5s) == at(-10'000));
    CHECK(next_trigger(at(-10'000), at(-10'000), 5s) == at(-5'000));
    CHECK(next_trigger(WallTime::max(), WallTime::max(), 5s) == WallTime::max());
    CHECK(next_trigger(at(1), at(1), Milliseconds::max()) == WallTime::max());
    CHECK(next_trigger(WallTime::min(), WallTime::min(), Milliseconds::max()) > WallTime::min());
    CHECK(next_trigger(WallTime::min(), at(0), 5s) <= at(0));
}
