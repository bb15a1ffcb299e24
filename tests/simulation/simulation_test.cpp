#include <doctest/doctest.h>

#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "daemon/base/log.hpp"
#include "tests/simulation/simulation.hpp"
#include "tests/simulation/world.hpp"

using namespace sluice;
using namespace sluice::simulation;

namespace {

struct Seeds {
    std::uint64_t from = 1;
    std::uint64_t to = SLUICE_SIMULATION_SEEDS;  ///< included
    bool one = false;
};

/// SLUICE_SEED=n, or SLUICE_SEEDS=from..to.
Seeds seeds_wanted() {
    Seeds seeds;
    const auto number = [](std::string_view text, std::uint64_t& value) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        REQUIRE_MESSAGE((error == std::errc{} && end == text.data() + text.size()),
                        "SLUICE_SEED=n or SLUICE_SEEDS=from..to: ", std::string(text));
    };
    if (const char* const one = std::getenv("SLUICE_SEED")) {
        number(one, seeds.from);
        seeds.to = seeds.from;
        seeds.one = true;
    } else if (const char* const range = std::getenv("SLUICE_SEEDS")) {
        const std::string_view text(range);
        const auto dots = text.find("..");
        REQUIRE_MESSAGE(dots != std::string_view::npos, "SLUICE_SEEDS=from..to");
        number(text.substr(0, dots), seeds.from);
        number(text.substr(dots + 2), seeds.to);
    }
    return seeds;
}

/// An assertion of the engine or the store ends the process: say which seed it was, and how it came to it.
void say_seed(int) {
    const World* const world = current_world();
    if (world != nullptr) {
        const std::string seed = "\nSEED " + std::to_string(world->seed) + ": an assertion failed\n";
        (void)!::write(STDOUT_FILENO, world->trace.data(), world->trace.size());
        (void)!::write(STDOUT_FILENO, seed.data(), seed.size());
    }
    std::signal(SIGABRT, SIG_DFL);
}

void prepare() {
    log::set_level(log::Level::off);
    std::signal(SIGABRT, say_seed);
}

}  // namespace

TEST_CASE("whatever happens, nothing is skipped, delivered twice, or lost without being counted") {
    prepare();
    const Seeds seeds = seeds_wanted();
    std::atomic<std::uint64_t> next{seeds.from};
    std::atomic<bool> failed{false};
    std::mutex mutex;
    std::optional<Outcome> first;
    std::uint64_t first_seed = 0;
    Outcome sum;
    const auto work = [&] {
        for (std::uint64_t seed = next++; seed <= seeds.to && !failed; seed = next++) {
            Outcome outcome = simulate(seed, seeds.one);
            const std::lock_guard lock(mutex);
            sum.effects += outcome.effects;
            sum.crashes += outcome.crashes;
            sum.processes += outcome.processes;
            sum.batches += outcome.batches;
            sum.recovered += outcome.recovered;
            sum.records += outcome.records;
            sum.lost += outcome.lost;
            sum.moves += outcome.moves;
            sum.refused += outcome.refused;
            if (!outcome.violation) continue;
            failed = true;
            if (first && first_seed < seed) continue;
            first = std::move(outcome);
            first_seed = seed;
        }
    };
    std::vector<std::thread> threads;
    const unsigned count = seeds.one ? 1 : std::max(1U, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < count; ++i) threads.emplace_back(work);
    for (auto& thread : threads) thread.join();
    std::printf("%llu effects, %llu processes, %llu crashes, %llu batches (%llu recovered), %llu records, "
                "%llu offsets lost, %llu moves, "
                "%llu records refused\n",
                static_cast<unsigned long long>(sum.effects), static_cast<unsigned long long>(sum.processes),
                static_cast<unsigned long long>(sum.crashes), static_cast<unsigned long long>(sum.batches),
                static_cast<unsigned long long>(sum.recovered), static_cast<unsigned long long>(sum.records),
                static_cast<unsigned long long>(sum.lost), static_cast<unsigned long long>(sum.moves),
                static_cast<unsigned long long>(sum.refused));
    if (first && !seeds.one) std::fwrite(first->trace.data(), 1, first->trace.size(), stdout);
    if (first) {
        std::printf("SEED %llu: %s\n", static_cast<unsigned long long>(first_seed), first->violation->c_str());
    }
    CHECK_MESSAGE(!first, "SLUICE_SEED=", first_seed, " shows it again");
}

TEST_CASE("the same seed gives the same trace, byte by byte") {
    prepare();
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        const Outcome once = simulate(seed);
        const Outcome again = simulate(seed);
        CHECK(once.trace == again.trace);
        CHECK(once.effects > 20);
    }
}
