#include "tests/simulation/world.hpp"

#include <cstdio>

namespace sluice::simulation {
namespace {

thread_local const World* current = nullptr;

}  // namespace

const World* current_world() noexcept { return current; }

World::World(std::uint64_t seed_, bool print) : seed(seed_), random(seed_), print_(print) {
    trace.reserve(1 << 16);
    current = this;
}

World::~World() { current = nullptr; }

void World::line(std::string_view what) {
    const std::size_t begin = trace.size();
    const std::string number = std::to_string(effects);
    const std::string ms = std::to_string(clock.now().count());
    if (number.size() < 6) trace.append(6 - number.size(), ' ');
    trace += number;
    trace.append(ms.size() < 9 ? 9 - ms.size() : 0, ' ');
    trace += ms;
    trace += "ms  ";
    trace += what;
    trace += '\n';
    if (print_) std::fwrite(trace.data() + begin, 1, trace.size() - begin, stdout);
}

void World::note(std::string_view what) { line(what); }

void World::effect(std::string_view what) {
    still_alive();
    ++effects;
    line(what);
    if (effects > effects_max) violate("no end: " + std::to_string(effects) + " effects");
    if (in_background_) return;
    if (background && !calm && !outside) {
        in_background_ = true;
        background();
        in_background_ = false;
    }
    if (fault(faults.crash)) {
        ++crashes;
        dead = true;
        line("CRASH");
        throw Crash{};
    }
}

void World::violate_quietly(std::string what) noexcept {
    if (!violation) {
        line("VIOLATION " + what);
        violation = std::move(what);
    }
    dead = true;
}

void World::violate(std::string what) {
    violate_quietly(std::move(what));
    throw Crash{};
}

void World::maybe_slow() {
    if (!fault(faults.sink_slow)) return;
    const Milliseconds time{random.between(1, 90'000)};
    clock.advance(time);
    note("slow: " + std::to_string(time.count()) + " ms");
}

}  // namespace sluice::simulation
