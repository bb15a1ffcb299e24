// Who may fetch beside whom, as values.

#include "daemon/kafka/memory_gate.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

using namespace sluice;
using namespace sluice::kafka;

namespace {

constexpr std::uint64_t mib = 1 << 20;
using Leased = std::vector<ClientMemory>;

/// Every list of up to `most` clients.
std::vector<Leased> every_list(std::size_t most) {
    std::vector<ClientMemory> kinds;
    for (const std::uint64_t held : {0U, 2U, 7U}) {
        for (const auto& known : std::vector<std::optional<std::uint64_t>>{std::nullopt, 0, 3, 9}) {
            kinds.push_back({held, known});
        }
    }
    std::vector<Leased> lists(1);
    for (std::size_t begin = 0, length = 0; length < most; ++length) {
        const std::size_t end = lists.size();
        for (std::size_t i = begin; i < end; ++i) {
            for (const ClientMemory& kind : kinds) {
                Leased longer = lists[i];
                longer.push_back(kind);
                lists.push_back(std::move(longer));
            }
        }
        begin = end;
    }
    return lists;
}

}  // namespace

TEST_CASE("as many clients as there may be fetch at once while each stays within its share") {
    for (std::size_t capacity = 1; capacity <= 64; ++capacity) {
        CAPTURE(capacity);
        const MemoryGate gate(256 * mib, capacity);
        Leased leased;
        for (std::size_t i = 0; i < capacity; ++i) {
            const ClientMemory client{0, gate.share() * i / capacity};
            CHECK(gate.admits(client, leased, 0, 0));
            leased.push_back({gate.share() * 9 / 10, client.most});
        }
    }
}

TEST_CASE("the usual pool lets sixteen clients read what is not compressed, and four that nothing is known of") {
    const MemoryGate gate(256 * mib, 16);
    CHECK(gate.share() == 16 * mib);
    CHECK(gate.admits({0, 14 * mib}, Leased(15, {13 * mib, 14 * mib}), 0, 0));
    CHECK(gate.admits({}, Leased(3), 0, 0));
    CHECK_FALSE(gate.admits({}, Leased(4), 0, 0));
    CHECK(gate.admits({0, 1 * mib}, Leased(3), 0, 3 * gate.share()));
    // Of records that fill 94 MiB with a fetch, two at once.
    CHECK(gate.admits({0, 94 * mib}, Leased(1, {90 * mib, 94 * mib}), 0, 0));
    CHECK_FALSE(gate.admits({0, 94 * mib}, Leased(2, {90 * mib, 94 * mib}), 0, 0));
    // What has been read before is no bound for what is held now.
    CHECK_FALSE(gate.admits({0, 16 * mib}, Leased(1, {241 * mib, 1 * mib}), 0, 0));
    CHECK_FALSE(gate.admits({0, 16 * mib}, {}, 241 * mib, 0));
}

TEST_CASE("beside any few clients one more is let in exactly when there is room, or nobody to wait for") {
    constexpr std::uint64_t memory_max = 20;
    constexpr std::size_t capacity = 10;
    const MemoryGate gate(memory_max, capacity);
    REQUIRE(gate.share() == 2);
    const auto counts = [](const ClientMemory& client) {
        return std::max<std::uint64_t>({2, client.held, client.most.value_or(8)});
    };
    for (const Leased& leased : every_list(3)) {
        std::uint64_t sum = 0;
        bool is_one_unknown = false;
        for (const ClientMemory& one : leased) {
            sum += counts(one);
            is_one_unknown = is_one_unknown || !one.most;
        }
        for (const std::uint64_t closing : {0U, 5U}) {
            for (const std::uint64_t kept : {0U, 2U, 10U}) {
                for (const ClientMemory& client : Leased{{}, {0, 1}, {0, 6}, {0, 30}}) {
                    const std::uint64_t others = sum + closing + kept;
                    const bool is_alone = leased.empty() && closing == 0;
                    const bool fits = others + counts(client) <= memory_max;
                    const bool is_first_unknown = !client.most && !is_one_unknown && others + 2 <= memory_max;
                    CHECK(gate.admits(client, leased, closing, kept) == (is_alone || fits || is_first_unknown));
                }
            }
        }
    }
}

TEST_CASE("one client is let in, however little memory there is") {
    for (const std::uint64_t memory_max : {0U, 1U, 5U}) {
        const MemoryGate gate(memory_max, 16);
        CHECK(gate.admits({}, {}, 0, 8));
        CHECK_FALSE(gate.admits({}, Leased(5, {0, 0}), 0, 0));
    }
}

TEST_CASE("of those that wait for memory a pipeline without a lease goes first, then the earliest") {
    for (const bool mine_has : {false, true}) {
        for (const bool other_has : {false, true}) {
            for (const bool is_later : {false, true}) {
                const MemoryWait mine{mine_has, is_later ? 2U : 1U};
                const MemoryWait other{other_has, is_later ? 1U : 2U};
                CHECK(gives_way(mine, other) == (mine_has == other_has ? is_later : mine_has));
                CHECK(gives_way(mine, other) != gives_way(other, mine));
            }
        }
    }
}

TEST_CASE("those that wait for memory in vain let others pass, for half of the time") {
    for (const int turn : {0, 1, 2, 3}) {
        CAPTURE(turn);
        CHECK(may_pass(memory_turn * turn) == (turn % 2 != 0));
        CHECK(may_pass(memory_turn * (turn + 1) - Milliseconds{1}) == (turn % 2 != 0));
    }
}

TEST_CASE("of what one fetch brought beyond the limit, a smaller one brings its part") {
    CHECK(expected_of_fetch(94 * mib, 14 * mib, 512 << 10, 64 << 10) == 24 * mib);
    CHECK(expected_of_fetch(94 * mib, 14 * mib, 512 << 10, 512 << 10) == 94 * mib);
    CHECK(expected_of_fetch(10 * mib, 14 * mib, 512 << 10, 64 << 10) == 10 * mib);
}

TEST_CASE("a client waited for fetches when it read much and never had much; not when it filled its queue or read little") {
    CHECK(waited_for_fetches({.read = 40 * mib, .most = 2 * mib, .allowed = 12 * mib}));
    CHECK_FALSE(waited_for_fetches({.read = 40 * mib, .most = 5 * mib, .allowed = 12 * mib}));
    CHECK_FALSE(waited_for_fetches({.read = 10 * mib, .most = 2 * mib, .allowed = 12 * mib}));
    CHECK_FALSE(waited_for_fetches({.read = 40 * mib, .most = 0, .allowed = 12 * mib}));
}

TEST_CASE("fewer records are queued where much of them is not counted") {
    CHECK(messages_queued(12'710, 8192, 0) == 12'710);
    CHECK(messages_queued(12'710, 8192, 20) == 12'710);
    CHECK(messages_queued(12'710, 8192, 50'000) == 167);
    CHECK(messages_queued(12'710, 8192, 50'000'000) == 1);
}
