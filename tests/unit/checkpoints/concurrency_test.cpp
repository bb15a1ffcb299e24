#include <atomic>
#include <thread>

#include "backends.hpp"

using namespace sluice;
using namespace sluice::checkpoints;
using namespace sluice::checkpoints::test;

TEST_CASE_TEMPLATE("pipelines write, readers read and history is trimmed at the same time", Kind,
                   SLUICE_STORES) {
    constexpr std::uint64_t batches = 60;
    Kind store;
    std::atomic<int> failures{0};  // doctest's checks are for one thread
    {
        std::vector<std::jthread> writers;
        for (int i = 0; i < 3; ++i) {
            writers.emplace_back([&, name = "p" + std::to_string(i)] {
                for (std::uint64_t id = 0; id < batches; ++id) {
                    const auto from = static_cast<std::int64_t>(id) * 10;
                    const Plan plan = make_plan(id, {range("orders", 0, from, from + 10)});
                    if (!store->put_plan(name, plan, {})) ++failures;
                    if (!store->put_commit(name, make_commit(plan), ends_of(plan), {}, {})) ++failures;
                }
            });
        }
        const auto sees_whole_batches = [&](const std::string& name) {
            const auto state = store->load(name);
            if (!state) return false;
            const std::uint64_t done = state->next_batch_id - (state->unfinished ? 1 : 0);
            // Commit and positions are one write: no reader sees one without the other.
            if (done > 0 &&
                state->positions.at({"orders", 0}).offset != static_cast<std::int64_t>(done) * 10) {
                return false;
            }
            const auto newest = store->batches(name, 5);
            if (!newest) return false;
            for (std::size_t i = 1; i < newest->size(); ++i) {
                if (!(*newest)[i].commit) return false;
            }
            return true;
        };
        std::vector<std::jthread> others;
        others.emplace_back([&](const std::stop_token& stop) {
            while (!stop.stop_requested()) {
                for (const char* name : {"p0", "p1", "p2"}) {
                    if (!sees_whole_batches(name)) ++failures;
                }
            }
        });
        others.emplace_back([&](const std::stop_token& stop) {
            while (!stop.stop_requested()) {
                if (!store->trim_history({Milliseconds{0}, 0}, at_ms(1'000'000))) ++failures;
                if (!store->pipelines()) ++failures;
            }
        });
        writers.clear();  // joins
    }
    CHECK(failures == 0);
    for (const char* name : {"p0", "p1", "p2"}) {
        CHECK(must(store->load(name)).next_batch_id == batches);
    }
}
