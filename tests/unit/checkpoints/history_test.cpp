#include "backends.hpp"
#include "checkpoints/codec.hpp"

using namespace sluice;
using namespace sluice::checkpoints;
using namespace sluice::checkpoints::test;

namespace {

/// Batches `first` to `last` of one partition, one a second: batch n ends at n seconds.
void run_batches(Store& store, const std::string& pipeline, std::uint64_t first,
                 std::uint64_t last) {
    for (std::uint64_t id = first; id <= last; ++id) {
        const auto n = static_cast<std::int64_t>(id);
        run_batch(store, pipeline, id, n * 10, n * 10 + 10, at_ms(n * 1000));
    }
}

std::vector<std::uint64_t> kept(const Store& store, const std::string& pipeline) {
    std::vector<std::uint64_t> ids;
    for (const BatchSummary& one : must(store.batches(pipeline, 10'000))) {
        ids.insert(ids.begin(), one.plan.batch_id);
    }
    return ids;
}

/// What one such batch takes: two keys of 12 bytes, plan and commit.
std::uint64_t batch_bytes() {
    const Plan plan = make_plan(99, {range("orders", 0, 990, 1000)}, at_ms(99'000));
    return 24 + encode(plan).size() + encode(make_commit(plan, at_ms(99'000))).size();
}

constexpr Milliseconds for_ever{1LL << 50};
constexpr std::uint64_t no_limit = 1ULL << 40;

}  // namespace

TEST_CASE_TEMPLATE("history is trimmed by age", Kind, SLUICE_STORES) {
    Kind store;
    run_batches(*store, "p", 0, 9);
    must(store->trim_history({Milliseconds{4'500}, no_limit}, at_ms(10'000)));
    CHECK(kept(*store, "p") == std::vector<std::uint64_t>{6, 7, 8, 9});
    CHECK(error_of(store->batch("p", 5)).code == ErrorCode::not_found);
    must(store->trim_history({Milliseconds{4'500}, no_limit}, at_ms(10'000)));
    CHECK(kept(*store, "p").size() == 4);
}

TEST_CASE_TEMPLATE("history is trimmed by size, the oldest of all pipelines first", Kind,
                   SLUICE_STORES) {
    Kind store;
    run_batches(*store, "old", 0, 99);
    for (std::uint64_t id = 0; id < 100; ++id) {
        const auto n = static_cast<std::int64_t>(id);
        run_batch(*store, "young", id, n * 10, n * 10 + 10, at_ms(1'000'000 + n));
    }
    must(store->trim_history({for_ever, no_limit}, at_ms(2'000'000)));
    CHECK(kept(*store, "old").size() == 100);
    const std::uint64_t room = 150 * batch_bytes();
    must(store->trim_history({for_ever, room}, at_ms(2'000'000)));
    const auto old = kept(*store, "old");
    CHECK(old.size() > 40);
    CHECK(old.size() < 60);
    CHECK(old.back() == 99);
    CHECK(kept(*store, "young").size() == 100);
    // What is written and removed later is counted too.
    run_batches(*store, "old", 100, 149);
    must(store->trim_history({for_ever, room}, at_ms(2'000'000)));
    CHECK(kept(*store, "young").size() == 100);
    CHECK(kept(*store, "old").size() > 40);
    CHECK(kept(*store, "old").size() < 60);
    CHECK(kept(*store, "old").back() == 149);
}

TEST_CASE_TEMPLATE("the newest batch and the last that delivered always stay", Kind,
                   SLUICE_STORES) {
    Kind store;
    run_batches(*store, "done", 0, 5);
    run_batches(*store, "open", 0, 5);
    must(store->put_plan("open", make_plan(6, {range("orders", 0, 60, 70)}, at_ms(6'000)), {}));
    run_batches(*store, "abandoned", 0, 5);
    for (std::uint64_t id = 6; id < 9; ++id) {
        must(store->put_plan("abandoned", make_plan(id, {range("orders", 0, 60, 70)}), {}));
        Store::Move move;
        move.abandons = id;
        must(store->put_move("abandoned", move));
    }
    must(store->trim_history({Milliseconds{0}, 0}, at_ms(1'000'000'000)));
    CHECK(kept(*store, "done") == std::vector<std::uint64_t>{5});
    CHECK(kept(*store, "open") == std::vector<std::uint64_t>{5, 6});
    CHECK(kept(*store, "abandoned") == std::vector<std::uint64_t>{5, 8});
    CHECK(must(store->load("open")).unfinished->batch_id == 6);
}

TEST_CASE_TEMPLATE("batch ids are not reused after trimming", Kind, SLUICE_STORES) {
    Kind store;
    run_batches(*store, "p", 0, 20);
    must(store->trim_history({Milliseconds{0}, 0}, at_ms(1'000'000'000)));
    CHECK(must(store->load("p")).next_batch_id == 21);
    run_batches(*store, "p", 21, 22);
    CHECK(must(store->load("p")).next_batch_id == 23);
}

TEST_CASE_TEMPLATE("trimming many batches goes through windows", Kind, SLUICE_STORES) {
    Kind store;
    run_batches(*store, "p", 0, 499);
    must(store->trim_history({Milliseconds{100'000}, no_limit}, at_ms(500'000)));
    const auto ids = kept(*store, "p");
    REQUIRE(ids.size() == 100);
    CHECK(ids.front() == 400);
}

TEST_CASE_TEMPLATE("history starts anew after forget", Kind, SLUICE_STORES) {
    Kind store;
    run_batches(*store, "p", 0, 50);
    must(store->trim_history({for_ever, no_limit}, at_ms(0)));
    must(store->forget("p"));
    run_batches(*store, "p", 0, 9);
    must(store->trim_history({for_ever, 11 * batch_bytes()}, at_ms(0)));
    CHECK(kept(*store, "p").size() == 10);
}
