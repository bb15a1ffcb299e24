#include "daemon/plan/headroom.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using namespace sluice;
using namespace sluice::plan;

namespace {

constexpr std::int64_t hour_ms = 3600 * 1000;
const WallTime now = from_epoch_ms(1'793'520'000'000);
const Milliseconds week{7 * 24 * hour_ms};

/// Records an hour apart, the youngest `youngest` hours old; asked until the age of `position` is known.
Milliseconds found(std::int64_t position, std::int64_t records, std::int64_t youngest, int& questions) {
    std::vector<std::int64_t> written;
    for (std::int64_t i = 0; i < records; ++i) {
        written.push_back(to_epoch_ms(now) - (youngest + records - 1 - i) * hour_ms);
    }
    WrittenAt known = unknown_age(now, week);
    while (const auto asked = next_question(known, week)) {
        const auto first = std::lower_bound(written.begin(), written.end(), *asked);
        std::optional<std::int64_t> answer;
        if (first != written.end()) answer = first - written.begin();
        known = narrowed(known, *asked, answer, position);
        ++questions;
        REQUIRE(questions <= 10);
    }
    return headroom(known, week, now);
}

}  // namespace

TEST_CASE("only a topic that deletes by age has a time retention") {
    CHECK(time_retention("delete", "3600000") == Milliseconds{3600000});
    CHECK(time_retention("compact,delete", "1000") == Milliseconds{1000});
    CHECK_FALSE(time_retention("compact", "3600000"));
    CHECK_FALSE(time_retention("delete", "-1"));
    CHECK_FALSE(time_retention("delete", ""));
    CHECK_FALSE(time_retention("delete", "soon"));
    CHECK_FALSE(time_retention("delete", "9223372036854775807"));
}

TEST_CASE("the headroom is the retention less the record's age, never too long, in ten questions") {
    for (const std::int64_t position : {0, 1, 50, 98, 99}) {
        CAPTURE(position);
        int questions = 0;
        const Milliseconds exact = week - Milliseconds{(3 + 99 - position) * hour_ms};
        const Milliseconds answer = found(position, 100, 3, questions);
        CHECK(answer <= exact);
        CHECK(exact - answer <= week / 200);
    }
}

TEST_CASE("what is older than the retention has no headroom, and it is never negative") {
    int questions = 0;
    CHECK(found(0, 300, 0, questions) == Milliseconds{0});
    CHECK(found(0, 1, 24 * 30, questions = 0) == Milliseconds{0});
    CHECK(headroom({0, 1000}, week, now) == Milliseconds{0});
}

TEST_CASE("a known age is not asked for again, and its headroom shrinks with time") {
    const WrittenAt known{to_epoch_ms(now) - hour_ms, to_epoch_ms(now) - hour_ms + 900};
    CHECK_FALSE(next_question(known, Milliseconds{10 * hour_ms}));
    CHECK(headroom(known, Milliseconds{10 * hour_ms}, now) == Milliseconds{9 * hour_ms});
    CHECK(headroom(known, Milliseconds{10 * hour_ms}, now + Milliseconds{hour_ms}) ==
          Milliseconds{8 * hour_ms});
}
