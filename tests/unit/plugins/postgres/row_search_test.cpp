#include "plugins/postgres/row_search.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <set>
#include <vector>

using namespace sluice::plugins::postgres;

namespace {

/// What a server says of rows [at, at + size), the first bad one of which is at `bad`.
using Lines = std::function<std::optional<std::uint64_t>(std::size_t at, std::size_t size, std::size_t bad)>;

struct Found {
    std::vector<std::size_t> refused;
    std::size_t tries = 0;
};

Found found_by(std::size_t count, const std::set<std::size_t>& bad, const Lines& line_of) {
    Found found;
    for (RowSearch rows(count); !rows.is_done();) {
        ++found.tries;
        REQUIRE(found.tries <= 10 * count);
        const std::size_t at = rows.at();
        const auto first = bad.lower_bound(at);
        if (first == bad.end() || *first >= at + rows.size()) {
            rows.taken();
        } else if (rows.refused(line_of(at, rows.size(), *first))) {
            found.refused.push_back(at);
        }
    }
    return found;
}

const Lines exact = [](std::size_t at, std::size_t, std::size_t bad) { return bad - at + 1; };
const Lines none = [](std::size_t, std::size_t, std::size_t) { return std::nullopt; };
const Lines last = [](std::size_t, std::size_t size, std::size_t) { return size; };

}  // namespace

TEST_CASE("a bad row is found in a few tries, whether the server names it, none, or always the last") {
    for (const std::size_t bad : {0, 1, 499, 500, 998, 999}) {
        CAPTURE(bad);
        for (const Lines& lines : {exact, none, last}) {
            const Found found = found_by(1000, {bad}, lines);
            CHECK(found.refused == std::vector<std::size_t>{bad});
            CHECK(found.tries <= 32);
        }
    }
}

TEST_CASE("all bad rows are found, and no other, few or many") {
    for (const std::size_t step : {1, 2, 3, 7, 100}) {
        CAPTURE(step);
        std::set<std::size_t> bad;
        for (std::size_t row = 0; row < 300; row += step) bad.insert(row);
        for (const Lines& lines : {exact, none, last}) {
            const Found found = found_by(300, bad, lines);
            CHECK(found.refused == std::vector<std::size_t>(bad.begin(), bad.end()));
            CHECK(found.tries <= 20 * bad.size());
        }
    }
    CHECK(found_by(0, {}, none).tries == 0);
}

TEST_CASE("a line beyond what was sent is no help, and does no harm") {
    const Lines beyond = [](std::size_t, std::size_t size, std::size_t) { return size + 5; };
    CHECK(found_by(100, {41}, beyond).refused == std::vector<std::size_t>{41});
}
