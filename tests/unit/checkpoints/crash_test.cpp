// kill -9 at random moments between and inside plans and commits, and disks that refuse: what returned
// is there, and nothing dies that was not killed.

#include <chrono>
#include <csignal>
#include <list>
#include <optional>
#include <random>
#include <thread>

#include "support.hpp"

using namespace sluice;
using namespace sluice::checkpoints;
using namespace sluice::checkpoints::test;

TEST_CASE("everything that returned before a kill -9 is there afterwards") {
    const std::uint64_t seed = 20'261'124;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const TempDir dir;
    std::uint64_t planned = 0;    // plans that returned
    std::uint64_t committed = 0;  // commits that returned
    for (int round = 0; round < 15 || committed <= 15; ++round) {  // a slow machine gets less done before it dies
        CAPTURE(round);
        REQUIRE(round < 500);
        // Large plans too, so that logs change and memtables are written while it dies.
        Child child({"write", dir.path().string(), round % 3 == 0 ? "2000" : "3"});
        REQUIRE(child.line().starts_with("open "));
        const auto delay = std::chrono::microseconds(random() % (round % 3 == 0 ? 300'000 : 40'000));
        std::thread killer([&] {
            std::this_thread::sleep_for(delay);
            child.kill();
        });
        for (std::string line = child.line(); !line.empty(); line = child.line()) {
            const std::uint64_t id = std::stoull(line.substr(line.find(' ') + 1));
            if (line.starts_with("plan ")) planned = id + 1;
            if (line.starts_with("commit ")) committed = id + 1;
            CHECK_FALSE(line.starts_with("error"));
        }
        killer.join();
        CHECK(child.wait() == -SIGKILL);

        const auto store = must(open_store(dir.path()));
        const PipelineState state = must(store->load("orders"));
        CHECK(state.next_batch_id >= planned);
        CHECK(state.next_batch_id <= planned + 1);  // one may have been on its way
        const std::uint64_t done = state.next_batch_id - (state.unfinished ? 1 : 0);
        CHECK(done >= committed);
        CHECK(done <= committed + 1);
        if (done == 0) continue;
        // Plan, commit, positions and receipt are of one batch.
        CHECK(state.positions.at({"orders", 0}).offset == static_cast<std::int64_t>(done) * 10);
        REQUIRE(state.receipt);
        CHECK(state.receipt->bytes == "batch " + std::to_string(done - 1));
        const auto newest = must(store->batches("orders", 1'000'000));
        CHECK(newest.size() == state.next_batch_id);
        for (const BatchSummary& one : newest) {
            CHECK(one.commit.has_value() == (one.plan.batch_id < done));
        }
        planned = state.next_batch_id;
        committed = done;
    }
}

namespace {

struct Ending {
    std::uint64_t planned = 0;
    std::uint64_t committed = 0;
    std::vector<std::string> refusals;
    int status = 0;
};

Ending run(Child& child) {
    Ending outcome;
    for (std::string line = child.line(); !line.empty(); line = child.line()) {
        const std::string word = line.substr(0, line.find(' '));
        if (word == "full" || word == "error") {
            outcome.refusals.push_back(line);
        } else {
            const std::uint64_t id = std::stoull(line.substr(line.find(' ') + 1));
            if (word == "plan") outcome.planned = id + 1;
            if (word == "commit") outcome.committed = id + 1;
        }
    }
    outcome.status = child.wait();
    return outcome;
}

}  // namespace

TEST_CASE("a full disk is said to be full, and work goes on once there is space") {
    struct Run {
        explicit Run(int writes) : count(writes) {
            { const auto store = must(open_store(dir.path())); }
            child.emplace(std::vector<std::string>{"full", dir.path().string(), std::to_string(count)});
        }
        int count;
        TempDir dir;
        std::optional<Child> child;
    };
    // RocksDB looks for space every few seconds: all at once.
    std::list<Run> runs;
    for (const int count : {0, 10, 50, 51, 80, 140}) runs.emplace_back(count);
    int refused_writes = 0;
    for (Run& one : runs) {
        CAPTURE(one.count);
        const Ending outcome = run(*one.child);
        REQUIRE_FALSE(outcome.refusals.empty());
        CHECK(outcome.refusals.front().find("Free space") != std::string::npos);
        const auto store = must(open_store(one.dir.path()));
        if (outcome.refusals.front().starts_with("error storage can't open") ||
            outcome.refusals.front().starts_with("error storage can't write checkpoints")) {
            CHECK(outcome.status == 1);
            continue;
        }
        ++refused_writes;
        CHECK(outcome.status == 0);
        CHECK(outcome.committed == 100);
        const PipelineState state = must(store->load("orders"));
        CHECK(state.next_batch_id == 100);
        CHECK_FALSE(state.unfinished);
        CHECK(must(store->batches("orders", 1'000)).size() == 100);
    }
    CHECK(refused_writes >= 3);
}

TEST_CASE("a disk that fails a sync is an error, and loses nothing that returned") {
    for (const int count : {0, 1, 3, 20, 21, 150}) {
        CAPTURE(count);
        const TempDir dir;
        { const auto store = must(open_store(dir.path())); }
        Child child({"broken", dir.path().string(), std::to_string(count)});
        const Ending outcome = run(child);
        CHECK(outcome.status == 1);
        REQUIRE(outcome.refusals.size() == 1);
        CHECK(outcome.refusals.front().starts_with("error storage"));
        const auto store = must(open_store(dir.path()));
        const PipelineState state = must(store->load("orders"));
        CHECK(state.next_batch_id >= outcome.planned);
        CHECK(state.next_batch_id <= outcome.planned + 1);
        CHECK(must(store->batches("orders", 1'000)).size() == state.next_batch_id);
        const std::uint64_t done = state.next_batch_id - (state.unfinished ? 1 : 0);
        CHECK(done >= outcome.committed);
    }
}
