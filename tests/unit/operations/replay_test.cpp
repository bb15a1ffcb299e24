#include "daemon/operations/replay.hpp"

#include "daemon/operations/notation.hpp"
#include "tests/unit/operations/support.hpp"

namespace sluice::operations {
using namespace test;
using checkpoints::BatchState;
using checkpoints::BatchSummary;

namespace {

BatchSummary batch(std::uint64_t id, std::int64_t from, std::int64_t until) {
    BatchSummary summary;
    summary.plan.batch_id = id;
    summary.plan.ranges.push_back({{orders0, from, until}, 2, "id-o", 1});
    summary.commit.emplace();
    summary.commit->books.push_back({static_cast<std::uint64_t>(until - from), 0,
                                     static_cast<std::uint64_t>(until - from), 0, 0, 0, 70});
    return summary;
}

kafka::TopicsNow now(std::int64_t earliest, std::int64_t latest, const std::string& id = "id-o") {
    return {"fake", {{orders0, {earliest, latest, id}}}, {}};
}

}  // namespace

TEST_CASE("batches are named one by one or as a span") {
    const auto span = parse_batch_span("orders/812..815");
    REQUIRE(span);
    CHECK(span->pipeline == "orders");
    CHECK(span->first == 812);
    CHECK(span->last == 815);
    const auto one = parse_batch_span("orders/7");
    REQUIRE(one);
    CHECK(one->first == one->last);
    for (const char* wrong : {"orders", "orders/", "orders/8..7", "orders/8..", "orders/..8", "/8..9", "orders/8...9"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_batch_span(wrong));
    }
}

TEST_CASE("a replay takes what was delivered: no abandoned batch, none that is open") {
    History history{"orders", "fake", {batch(0, 0, 10), batch(1, 10, 20), batch(2, 10, 20)}, {}, {}};
    history.batches[1].commit->state = BatchState::abandoned;
    std::vector<std::string> notes;
    const auto chosen = choose_batches(history, notes);
    REQUIRE(chosen);
    REQUIRE(chosen->size() == 2);
    CHECK((*chosen)[1].plan.batch_id == 2);
    CHECK(notes.size() == 1);

    history.batches[2].commit.reset();
    CHECK_FALSE(choose_batches(history, notes));
    history.batches.clear();
    const auto none = choose_batches(history, notes);
    REQUIRE_FALSE(none);
    CHECK(none.error().code == ErrorCode::not_found);
}

TEST_CASE("what is not retained any more is missing from where it ends, all of it on another topic") {
    const checkpoints::Plan plan = batch(0, 10, 20).plan;
    CHECK(missing_from(plan, now(0, 30), {}).empty());
    CHECK(missing_from(plan, now(10, 20), {}).empty());
    CHECK(missing_from(plan, now(14, 30), {}) == pipeline::Adjustments{{0, 14}});
    CHECK(missing_from(plan, now(25, 30), {}) == pipeline::Adjustments{{0, 20}});
    CHECK(missing_from(plan, now(0, 19), {}) == pipeline::Adjustments{{0, 20}});
    CHECK(missing_from(plan, now(0, 30, "id-new"), {}) == pipeline::Adjustments{{0, 20}});
    CHECK(missing_from(plan, {"fake", {}, {}}, {}) == pipeline::Adjustments{{0, 20}});
}

TEST_CASE("what was written anew after a log was cut is not delivered as the recorded batch") {
    const auto known = from_epoch_ms(1);  // batches of these tests were planned before
    const std::vector<checkpoints::LossEntry> ledger{
        {{orders0, plan::LossKind::truncated, "id-o", 20, 20, 15}, {}, known, true}};
    checkpoints::Plan plan = batch(0, 10, 20).plan;
    CHECK(missing_from(plan, now(0, 30), ledger) == pipeline::Adjustments{{0, 20}});
    plan.planned_at = known;  // what is there now is what it read
    CHECK(missing_from(plan, now(0, 30), ledger).empty());
    CHECK(missing_from(batch(0, 5, 15).plan, now(0, 30), ledger).empty());
}

TEST_CASE("a replay over a cut log is refused before anything is written, unless what is lost is skipped") {
    History history{"orders", "fake", {batch(0, 0, 15), batch(1, 15, 20)}, {}, {}};
    history.losses.push_back({{orders0, plan::LossKind::truncated, "id-o", 20, 20, 15}, {}, from_epoch_ms(1), true});
    Replay replay;
    replay.name = "orders.replay-0-1";
    replay.state_dir = std::filesystem::temp_directory_path() / "sluice-no-such-replay.state";
    replay.batches = history.batches;
    FixedClock clock;
    const auto dry = replay_batches(replay, history, now(0, 30), false, {}, [](std::uint64_t) {}, clock);
    REQUIRE_MESSAGE(dry, dry.error().message);
    CHECK(dry->at("not_retained") == 5);
    CHECK(dry->at("batches").at(0).at("not_retained") == 0);
    const auto refused = replay_batches(replay, history, now(0, 30), true, {}, [](std::uint64_t) {}, clock);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::data_loss);
    CHECK_FALSE(std::filesystem::exists(replay.state_dir));
}

TEST_CASE("books that differ are named with both numbers") {
    const BatchSummary recorded = batch(0, 10, 20);
    CHECK(compare_books(recorded, recorded.commit->books).empty());
    auto books = recorded.commit->books;
    books[0].polled = books[0].accepted = 8;
    books[0].gaps = 2;
    CHECK(compare_books(recorded, books) ==
          std::vector<std::string>{"orders-0 [10, 20): polled 10 then, 8 now, accepted 10 then, 8 now"});
    CHECK(compare_books(recorded, {}).size() == 1);
}

}  // namespace sluice::operations
