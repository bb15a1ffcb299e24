#pragma once
// What everything simulated shares: the seed's random numbers, the time, what may go wrong, the trace,
// and the crash that ends a process.

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "tests/simulation/random.hpp"

namespace sluice::simulation {

/// Ends the simulated process where it is thrown. No std::exception, so that nothing in the engine
/// takes it for an error; every effect after it throws it again.
struct Crash {};

/// How often what goes wrong, of 10,000; drawn from the seed, so that seeds differ in kind.
struct Faults {
    int crash = 0;           ///< at each effect
    int look_up = 0;         ///< a look-up fails, retriably
    int read = 0;            ///< a chunk is not read: broker gone, leader moved
    int false_range = 0;     ///< "out of range" without a reason
    int stale_end = 0;       ///< a look-up answers an older end
    int store_error = 0;     ///< a full disk, nothing written
    int store_doubt = 0;     ///< a full disk, although it was written
    int sink_retry = 0;
    int sink_fatal = 0;
    int sink_doubt = 0;      ///< commit answers RETRY (or FATAL) and is durable
    int sink_slow = 0;
    int produce = 0;         ///< at each effect
    int retention = 0;
    int new_leader = 0;
    int new_partition = 0;
    int recreate = 0;
    int operate = 0;
};

class SimulatedClock final : public Clock {
 public:
    [[nodiscard]] WallTime wall() const override { return from_epoch_ms(1'800'000'000'000) + now_; }
    [[nodiscard]] SteadyTime steady() const override { return SteadyTime{now_ + Milliseconds{1'000'000}}; }
    /// A worker that blocks: nothing else runs meanwhile.
    bool wait(Milliseconds time, const std::stop_token& stop) const override {
        if (stop.stop_requested()) return false;
        now_ += time;
        return true;
    }
    void advance(Milliseconds time) { now_ += time; }
    [[nodiscard]] Milliseconds now() const { return now_; }

 private:
    mutable Milliseconds now_{0};
};

/// Confined to one thread.
class World {
 public:
    World(std::uint64_t seed, bool print);
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World();

    /// Something is about to happen, or just did, that others can see: a line of the trace, a moment
    /// for the rest of the world to move, and one to crash. Throws Crash, also when dead.
    void effect(std::string_view what);
    /// A line of the trace only.
    void note(std::string_view what);
    /// An invariant does not hold. The first one counts.
    [[noreturn]] void violate(std::string what);
    void violate_quietly(std::string what) noexcept;
    /// Throws Crash when the process is dead.
    void still_alive() const {
        if (dead) throw Crash{};
    }
    /// A fault's turn, never once things are calm.
    bool fault(int per_myriad) { return !calm && !outside && random.chance(per_myriad); }
    /// Something slow.
    void maybe_slow();

    const std::uint64_t seed;
    Random random;
    SimulatedClock clock;
    Faults faults;
    bool calm = false;
    bool dead = false;
    bool outside = true;  ///< what happens now is the operator's doing, and does not fail
    std::uint64_t effects = 0;
    std::uint64_t effects_max = 0;
    std::uint64_t crashes = 0;
    std::optional<std::string> violation;
    std::function<void()> background;  ///< the rest of the world moves
    std::string trace;

 private:
    void line(std::string_view what);
    const bool print_;
    bool in_background_ = false;
};

/// The trace of the seed that the calling thread simulates; for the handler of SIGABRT.
const World* current_world() noexcept;

}  // namespace sluice::simulation
