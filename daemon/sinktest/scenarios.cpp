#include "daemon/sinktest/scenarios.hpp"

#include <array>
#include <thread>

#include "daemon/base/text.hpp"

namespace sluice::sinktest {
namespace {

/// Why a scenario was not tried; nothing when it was.
using Tried = Result<std::optional<std::string>>;

Tried tried() { return std::optional<std::string>{}; }
Tried not_tried(std::string why) { return std::optional<std::string>{std::move(why)}; }

std::string named(const Planned& planned) { return "batch " + std::to_string(planned.batch.id); }

/// "behind commit() of batch 7": what was answered last.
std::string behind(const Planned& planned, const std::vector<Step>& steps, std::size_t count) {
    if (count == 0) return "before begin() of " + named(planned);
    return "behind " + to_string(steps[count - 1], planned.batch.id);
}

/// A batch to which nothing happens, looked at before its commit and after it.
Result<void> whole_batch(Driver& driver, const Shape& shape, Order order) {
    SLUICE_CHECK(driver.open());
    const Planned planned = driver.plan(shape);
    const auto steps = driver.steps_of(planned, order);
    SLUICE_TRY(bool is_committed, driver.run(planned, steps, 0, steps.size() - 1));
    if (!is_committed) {
        SLUICE_CHECK(driver.look("before commit() of " + named(planned)));
        SLUICE_TRY(is_committed, driver.run(planned, steps, steps.size() - 1, steps.size()));
    }
    driver.store(planned);
    return driver.look("after commit() of " + named(planned));
}

/// Killed behind so many calls; looked at; run again; looked at.
Result<void> killed_batch(Driver& driver, const Planned& planned, const std::vector<Step>& steps,
                          std::size_t count) {
    SLUICE_CHECK(driver.open());
    SLUICE_CHECK(driver.run(planned, steps, 0, count));
    driver.kill();
    const std::string moment = "after kill -9 " + behind(planned, steps, count);
    SLUICE_CHECK(driver.look(moment));
    SLUICE_CHECK(driver.finish(planned));
    return driver.look(moment + " and a re-run");
}

// ---- the scenarios -----------------------------------------------------------------------------------

Tried open_and_close(Driver& driver) {
    Answer first;
    Answer last;
    for (int turn = 0; turn < 4; ++turn) {
        SLUICE_CHECK(driver.open());
        SLUICE_CHECK(driver.close());
        SLUICE_TRY(last, driver.ask(Op::count));
        if (turn == 0) first = last;  // what a library opens once may stay
    }
    const auto compare = [&](const char* what, std::uint64_t before, std::uint64_t now) {
        if (now <= before) return;
        driver.find({Proof::exactly_once,
                     std::string("close() leaves ") + what + " behind: " + std::to_string(before) +
                         " after the first open and close, " + std::to_string(now) + " after the fourth",
                     "close() frees the sink, with all it opened", true});
    };
    compare("file descriptors", first.descriptors, last.descriptors);
    compare("threads", first.threads, last.threads);
    return tried();
}

Tried batches(Driver& driver) {
    for (const int ranges : {1, 2, 4}) SLUICE_CHECK(whole_batch(driver, {ranges, 20}, Order::one_by_one));
    return tried();
}

Tried call_orders(Driver& driver) {
    if (driver.options.plugin->ordered()) return not_tried("the sink is ordered: its writers come one by one");
    for (int i = 0; i < 4; ++i) SLUICE_CHECK(whole_batch(driver, {4, 10}, Order::interleaved));
    return tried();
}

Tried parallel_writers(Driver& driver) {
    if (driver.options.plugin->ordered()) return not_tried("the sink is ordered: its writers come one by one");
    for (int i = 0; i < 3; ++i) SLUICE_CHECK(whole_batch(driver, {8, 200}, Order::parallel));
    for (int i = 0; i < 3; ++i) {
        const Planned planned = driver.plan({8, 200});
        const auto steps = driver.steps_of(planned, Order::parallel);
        SLUICE_CHECK(driver.open());
        SLUICE_CHECK(driver.kill_inside(planned, steps, 1));
        const std::string moment = "after kill -9 while all ranges of " + named(planned) + " were written";
        SLUICE_CHECK(driver.look(moment));
        SLUICE_CHECK(driver.finish(planned));
        SLUICE_CHECK(driver.look(moment + " and a re-run"));
    }
    return tried();
}

Tried restarts(Driver& driver) {
    for (int i = 0; i < 2; ++i) {
        SLUICE_CHECK(driver.close());
        SLUICE_CHECK(whole_batch(driver, {2, 12}, Order::one_by_one));
    }
    // A stop in the middle of a batch: it is committed if that is quick, else aborted.
    const Planned planned = driver.plan({2, 12});
    const auto steps = driver.steps_of(planned, Order::interleaved);
    SLUICE_CHECK(driver.run(planned, steps, 0, steps.size() / 2));
    SLUICE_CHECK(driver.ask(Op::stop));
    SLUICE_CHECK(driver.abort(planned));
    SLUICE_CHECK(driver.close());
    driver.end();
    SLUICE_CHECK(driver.look("after a stop in the middle of " + named(planned)));
    SLUICE_CHECK(driver.finish(planned));
    SLUICE_CHECK(driver.look("after a stop in the middle of " + named(planned) + " and a re-run"));
    return tried();
}

Tried aborts(Driver& driver) {
    std::size_t count = 1;
    for (bool more = true; more; ++count) {
        SLUICE_CHECK(driver.open());
        const Planned planned = driver.plan({2, 8});
        const auto steps = driver.steps_of(planned, Order::interleaved);
        const std::size_t until = std::min(count, steps.size() - 1);
        more = until == count;
        SLUICE_TRY(const bool is_committed, driver.run(planned, steps, 0, until));
        if (is_committed) {
            driver.store(planned);
            continue;
        }
        SLUICE_CHECK(driver.abort(planned));
        const std::string moment = "after abort() " + behind(planned, steps, until);
        SLUICE_CHECK(driver.look(moment));
        SLUICE_CHECK(driver.finish(planned));
        SLUICE_CHECK(driver.look(moment + " and a re-run"));
    }
    return tried();
}

Tried kills_between_calls(Driver& driver) {
    std::size_t count = 0;
    for (bool more = true; more; ++count) {
        const Planned planned = driver.plan({2, 8});
        const auto steps = driver.steps_of(planned, Order::interleaved);
        more = count < steps.size();
        SLUICE_CHECK(killed_batch(driver, planned, steps, std::min(count, steps.size())));
    }
    return tried();
}

/// The sink has the batch, the daemon's own disk is full, and the same process asks again.
Tried checkpoints_in_doubt(Driver& driver) {
    for (int i = 0; i < 2; ++i) {
        SLUICE_CHECK(driver.open());
        const Planned planned = driver.plan({2, 12});
        const auto steps = driver.steps_of(planned, Order::interleaved);
        SLUICE_CHECK(driver.run(planned, steps, 0, steps.size()));
        SLUICE_CHECK(driver.finish(planned));
        SLUICE_CHECK(driver.look("after commit() of " + named(planned) +
                                 ", whose checkpoint could not be written, and a re-run by the same process"));
    }
    return tried();
}

Tried kills_of_reruns(Driver& driver) {
    for (int i = 0; i < 3; ++i) {
        const Planned planned = driver.plan({2, 12});
        for (int kill = 0; kill < 3; ++kill) {
            SLUICE_CHECK(driver.open());
            const auto steps = driver.steps_of(planned, Order::interleaved);
            SLUICE_CHECK(driver.run(planned, steps, 0, driver.random.below(steps.size() + 1)));
            driver.kill();
        }
        SLUICE_CHECK(driver.finish(planned));
        SLUICE_CHECK(driver.look("after " + named(planned) + " was killed three times, and run again"));
    }
    return tried();
}

/// Most of them inside commit(), evenly over its time: what is half done there is lost or comes twice.
Tried kills_inside_calls(Driver& driver) {
    SLUICE_CHECK(whole_batch(driver, {2, 40}, Order::interleaved));  // how long a commit takes
    const int in_commit = driver.options.rounds * 2;
    for (int i = 0; i < driver.options.rounds + in_commit; ++i) {
        SLUICE_CHECK(driver.open());
        const Planned planned = driver.plan({2, 40});
        const auto steps = driver.steps_of(planned, Order::interleaved);
        const std::size_t at = i < in_commit ? steps.size() - 1 : driver.random.below(steps.size());
        std::optional<double> part;
        if (i < in_commit) part = (i + 0.5) / in_commit;
        SLUICE_CHECK(driver.kill_inside(planned, steps, at, part));
        const std::string moment = "after kill -9 inside " + to_string(steps[at], planned.batch.id);
        // Inside a commit all is allowed: the re-run has to put it right.
        if (steps[at].op != Op::commit) SLUICE_CHECK(driver.look(moment));
        SLUICE_CHECK(driver.finish(planned));
        SLUICE_CHECK(driver.look(moment + " and a re-run"));
    }
    return tried();
}

Tried given_up_batches(Driver& driver) {
    for (int i = 0; i < 4; ++i) {
        SLUICE_CHECK(driver.open());
        const Planned planned = driver.plan({3, 12});
        const auto steps = driver.steps_of(planned, Order::interleaved);
        const std::size_t count = i == 0 ? steps.size() : driver.random.below(steps.size());
        SLUICE_CHECK(driver.run(planned, steps, 0, count));
        driver.kill();
        SLUICE_CHECK(driver.give_up(planned));
        const std::string moment = "after " + named(planned) + " was given up, killed " + behind(planned, steps, count);
        SLUICE_CHECK(driver.look(moment));
        SLUICE_CHECK(whole_batch(driver, {6, 12}, Order::interleaved));
    }
    return tried();
}

Tried slow_calls(Driver& driver) {
    constexpr std::chrono::milliseconds idle{500};
    SLUICE_CHECK(driver.open());
    const Planned planned = driver.plan({2, 6});
    const auto steps = driver.steps_of(planned, Order::interleaved);
    std::this_thread::sleep_for(idle);
    const std::size_t middle = steps.size() / 2;
    SLUICE_TRY(bool is_committed, driver.run(planned, steps, 0, middle));
    std::this_thread::sleep_for(idle);
    if (!is_committed) SLUICE_CHECK(driver.run(planned, steps, middle, steps.size()));
    driver.store(planned);
    if (driver.options.plugin->ordered()) return tried();
    driver.pause_ms = 10;
    auto delivered = whole_batch(driver, {6, 60}, Order::parallel);
    driver.pause_ms = 0;
    SLUICE_CHECK(delivered);
    return tried();
}

Tried refused_records(Driver& driver) {
    if (!driver.options.bad_value) return not_tried("--refused VALUE names a value that the sink must refuse");
    const auto check = [&driver](const Planned& planned) {
        const auto taken = driver.ledger.bad_ones_taken(planned.batch.id);
        if (taken.empty()) return;
        driver.find({Proof::exactly_once,
                     to_string(taken.front()) + " has the value that --refused names, and was taken",
                     "a record that the sink refuses is named, in one of the ways of sluice_rejected", true});
    };
    for (int i = 0; i < 4; ++i) {
        SLUICE_CHECK(driver.open());
        const Planned planned = driver.plan({2, 40, Flavor::refused});
        const auto steps = driver.steps_of(planned, Order::one_by_one);
        const bool is_killed = i % 2 == 1;
        const std::size_t until = is_killed ? driver.random.below(steps.size() + 1) : steps.size();
        SLUICE_TRY(const bool is_committed, driver.run(planned, steps, 0, until));
        if (is_killed) driver.kill();
        if (is_killed || !is_committed) SLUICE_CHECK(driver.finish(planned));
        if (!is_killed && is_committed) driver.store(planned);
        check(planned);
        SLUICE_CHECK(driver.look("after " + named(planned) + " with records that the sink refused"));
    }
    return tried();
}

Tried outage(Driver& driver) {
    if (!driver.options.down) return not_tried("--down COMMAND takes the target away, --up COMMAND brings it back");
    SLUICE_CHECK(driver.open());
    const Planned sample = driver.plan({2, 12});
    const auto all = driver.steps_of(sample, Order::one_by_one);
    SLUICE_CHECK(driver.run(sample, all, 0, all.size()));
    driver.store(sample);
    for (const std::size_t behind_step : {std::size_t{0}, std::size_t{1}, std::size_t{3}, all.size()}) {
        const Planned planned = driver.plan({2, 12});
        const auto steps = driver.steps_of(planned, Order::one_by_one);
        const std::size_t count = behind_step == all.size() ? steps.size() - 1 : behind_step;
        SLUICE_CHECK(driver.open());
        SLUICE_CHECK(driver.survive_outage(planned, steps, count));
        SLUICE_CHECK(driver.look("after an outage " + behind(planned, steps, count)));
    }
    return tried();
}

Tried histories(Driver& driver) {
    for (int i = 0; i < driver.options.rounds; ++i) {
        Random& random = driver.random;
        const Planned planned = driver.plan({static_cast<int>(random.between(1, 5)), random.between(1, 60)});
        std::string story = named(planned);
        for (std::uint64_t accidents = random.below(4); accidents > 0; --accidents) {
            SLUICE_CHECK(driver.open());
            const auto steps = driver.steps_of(planned, random.coin() ? Order::interleaved : Order::parallel);
            const std::size_t count = random.below(steps.size() + 1);
            SLUICE_TRY(const bool is_committed, driver.run(planned, steps, 0, count));
            const bool is_kill = is_committed || random.coin();
            if (is_kill) {
                driver.kill();
            } else {
                SLUICE_CHECK(driver.abort(planned));
                if (random.coin()) SLUICE_CHECK(driver.close());
            }
            story += std::string(is_kill ? ", killed " : ", aborted ") + behind(planned, steps, count);
        }
        SLUICE_CHECK(driver.finish(planned));
        SLUICE_CHECK(driver.look("after " + story + ", and a re-run"));
    }
    return tried();
}

Tried odd_records(Driver& driver) {
    for (int i = 0; i < 2; ++i) SLUICE_CHECK(whole_batch(driver, {2, 100, Flavor::odd}, Order::one_by_one));
    const Planned planned = driver.plan({2, 100, Flavor::odd});
    const auto steps = driver.steps_of(planned, Order::interleaved);
    SLUICE_CHECK(killed_batch(driver, planned, steps, steps.size() - 1));
    return tried();
}

constexpr std::array all{
    Scenario{"open and close", open_and_close},
    Scenario{"batches", batches},
    Scenario{"orders of calls", call_orders},
    Scenario{"parallel writers", parallel_writers},
    Scenario{"slow calls", slow_calls},
    Scenario{"restarts", restarts},
    Scenario{"aborts", aborts},
    Scenario{"checkpoints in doubt", checkpoints_in_doubt},
    Scenario{"kills between calls", kills_between_calls},
    Scenario{"kills of re-runs", kills_of_reruns},
    Scenario{"kills inside calls", kills_inside_calls},
    Scenario{"given up batches", given_up_batches},
    Scenario{"refused records", refused_records},
    Scenario{"outage", outage},
    Scenario{"histories", histories},
    Scenario{"odd records", odd_records},
};

}  // namespace

std::span<const Scenario> scenarios() { return all; }

}  // namespace sluice::sinktest
