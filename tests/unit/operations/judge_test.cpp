#include "daemon/operations/judge.hpp"

#include "daemon/operations/offsets.hpp"
#include "daemon/operations/verify.hpp"
#include "tests/unit/operations/support.hpp"

namespace sluice::operations {
using namespace test;
using checkpoints::BatchState;
using checkpoints::BatchSummary;
using checkpoints::RangeBooks;

namespace {

/// A committed batch over ranges of orders-0, planned `id` hours after the clock's start.
BatchSummary batch(std::uint64_t id, const std::vector<std::pair<std::int64_t, std::int64_t>>& ranges,
                   const std::string& topic_id = "id-o") {
    BatchSummary summary;
    summary.plan.batch_id = id;
    summary.plan.planned_at = from_epoch_ms(static_cast<std::int64_t>(id) * 3'600'000);
    summary.commit.emplace();
    summary.commit->batch_id = id;
    summary.commit->committed_at = summary.plan.planned_at;
    for (const auto& [from, until] : ranges) {
        summary.plan.ranges.push_back({{orders0, from, until}, 2, topic_id, std::nullopt});
        RangeBooks books;
        books.polled = books.accepted = static_cast<std::uint64_t>(until - from);
        books.bytes = books.polled * 10;
        summary.commit->books.push_back(books);
    }
    return summary;
}

History history(std::vector<BatchSummary> batches) { return {"orders", "fake", std::move(batches), {}, {}}; }

/// Noted while batch `before_batch` was about to be planned.
checkpoints::LossEntry noted(std::uint64_t before_batch, const plan::Loss& loss) {
    return {loss, {}, from_epoch_ms(static_cast<std::int64_t>(before_batch) * 3'600'000 - 1), true};
}

PositionMove moved(std::uint64_t before_batch, std::int64_t before, std::int64_t after) {
    return {from_epoch_ms(static_cast<std::int64_t>(before_batch) * 3'600'000 - 1), "offsets set", orders0,
            before, after};
}

std::vector<std::string> kinds(const std::vector<Finding>& findings) {
    std::vector<std::string> names;
    for (const Finding& one : findings) names.emplace_back(name_of(one.kind));
    return names;
}
using Kinds = std::vector<std::string>;

}  // namespace

TEST_CASE("books that balance have no finding") {
    CHECK(judge_books(batch(3, {{10, 20}, {20, 25}}), {}).empty());
}

TEST_CASE("books that contradict themselves or their plan are found, with the numbers") {
    BatchSummary one = batch(3, {{10, 20}, {20, 25}});
    one.commit->books[0].accepted = 9;
    one.commit->books[1].gaps = 1;
    const auto findings = judge_books(one, {});
    REQUIRE(kinds(findings) == Kinds{"unbalanced", "unbalanced"});
    CHECK(findings[0].range == 0U);
    CHECK(findings[0].text ==
          "orders-0: [10, 20) 10 polled, but 9 accepted + 0 filtered + 0 dead-lettered");
    CHECK(findings[1].text == "orders-0: [20, 25) 5 offsets, but 5 polled + 1 gaps + 0 lost");
}

TEST_CASE("a committed batch without books is found; a recovered and an open one have none to find") {
    BatchSummary one = batch(3, {{10, 20}});
    one.commit->books.clear();
    CHECK(kinds(judge_books(one, {})) == Kinds{"books_missing"});
    one.commit->state = BatchState::recovered;
    CHECK(judge_books(one, {}).empty());
    one.commit.reset();
    CHECK(judge_books(one, {}).empty());
}

TEST_CASE("what books call lost must be in the ledger") {
    BatchSummary one = batch(3, {{10, 20}});
    one.commit->books[0] = {6, 0, 6, 0, 0, 4, 60};
    CHECK(kinds(judge_books(one, {})) == Kinds{"not_in_ledger"});
    const plan::Loss enough{orders0, plan::LossKind::expired, "id-o", 5, 14, 14};
    CHECK(judge_books(one, {noted(3, enough)}).empty());
    const plan::Loss too_little{orders0, plan::LossKind::expired, "id-o", 5, 13, 13};
    CHECK(kinds(judge_books(one, {noted(3, too_little)})) == Kinds{"not_in_ledger"});
}

TEST_CASE("ranges that follow each other leave nothing to say, however a partition is split") {
    CHECK(judge_continuity(history({batch(0, {{5, 10}, {0, 5}}), batch(1, {{10, 12}}), batch(2, {{12, 30}})}))
              .empty());
}

TEST_CASE("a hole is found and its offsets are named") {
    const auto findings = judge_continuity(history({batch(0, {{0, 10}}), batch(1, {{15, 20}})}));
    REQUIRE(kinds(findings) == Kinds{"hole"});
    CHECK(findings[0].batch_id == 1);
    CHECK(findings[0].text.find("[10, 15), 5 offsets, was read by no batch: batch 0 ends at 10") !=
          std::string::npos);
}

TEST_CASE("a hole inside one batch is found") {
    CHECK(kinds(judge_continuity(history({batch(0, {{0, 10}, {11, 20}})}))) == Kinds{"hole"});
}

TEST_CASE("losses and moves explain a hole, as far as they go") {
    History one = history({batch(0, {{0, 10}}), batch(1, {{15, 20}})});
    one.losses.push_back(noted(1, {orders0, plan::LossKind::expired, "id-o", 10, 13, 13}));
    const auto rest = judge_continuity(one);
    REQUIRE(kinds(rest) == Kinds{"hole"});
    CHECK(rest[0].text.find("[13, 15), 2 offsets") != std::string::npos);
    one.moves.push_back(moved(1, 13, 15));
    CHECK(judge_continuity(one).empty());
}

TEST_CASE("a move long before, and one of another partition, explain nothing") {
    History one = history({batch(0, {{0, 5}}), batch(1, {{5, 10}}), batch(2, {{15, 20}})});
    one.moves.push_back(moved(1, 10, 15));
    one.moves.push_back(moved(2, 10, 15));
    one.moves.back().topic_partition.partition = 1;
    CHECK(kinds(judge_continuity(one)) == Kinds{"hole"});
}

TEST_CASE("an overlap is found, unless an operator moved the position back") {
    History one = history({batch(0, {{0, 10}}), batch(1, {{4, 12}})});
    const auto findings = judge_continuity(one);
    REQUIRE(kinds(findings) == Kinds{"overlap"});
    CHECK(findings[0].text.find("[4, 10), 6 offsets, was read by batch 0 already") != std::string::npos);
    one.moves.push_back(moved(1, 10, 4));
    CHECK(judge_continuity(one).empty());
}

TEST_CASE("an abandoned batch delivered nothing: the next one begins where it did") {
    History one = history({batch(0, {{0, 10}}), batch(1, {{10, 20}}), batch(2, {{10, 25}})});
    one.batches[1].commit->state = BatchState::abandoned;
    CHECK(judge_continuity(one).empty());
}

TEST_CASE("a batch without a record between two that have one is found") {
    const auto findings = judge_continuity(history({batch(0, {{0, 10}}), batch(3, {{10, 20}})}));
    REQUIRE(kinds(findings) == Kinds{"batch_missing"});
    CHECK(findings[0].batch_id == 1);
}

TEST_CASE("a topic that was created anew starts over, if the ledger says so") {
    History one = history({batch(0, {{0, 10}}), batch(1, {{0, 3}}, "id-new")});
    CHECK(kinds(judge_continuity(one)) == Kinds{"hole"});
    one.losses.push_back(noted(1, {orders0, plan::LossKind::topic_recreated, "id-o", 10, 10, 0}));
    CHECK(judge_continuity(one).empty());
}

TEST_CASE("gaps are aborted records and markers exactly, on a topic that is not compacted") {
    const RangeBooks books{90, 10, 90, 0, 0, 0, 900};
    const Explained explained = explain(books, {90, 900, 97, false});
    CHECK_FALSE(explained.differs);
    CHECK(explained.aborted == 7);
    CHECK(explained.control == 3);
    CHECK(explained.compacted_or_control == 0);
}

TEST_CASE("on a compacted topic the rest is compacted or control, and fewer records may be left") {
    const RangeBooks books{90, 10, 90, 0, 0, 0, 900};
    const Explained explained = explain(books, {60, 600, 62, true});
    CHECK_FALSE(explained.differs);
    CHECK(explained.aborted == 2);
    CHECK(explained.control == 0);
    CHECK(explained.compacted_or_control == 8);
    CHECK(explained.compacted_since == 30);
}

TEST_CASE("a second count that can't be right differs: fewer, more, other bytes, too many aborted") {
    const RangeBooks books{90, 10, 90, 0, 0, 0, 900};
    CHECK(explain(books, {89, 890, 95, false}).differs);
    CHECK(explain(books, {91, 910, 95, false}).differs);
    CHECK(explain(books, {91, 910, 95, true}).differs);
    CHECK(explain(books, {90, 901, 95, false}).differs);
    CHECK(explain(books, {90, 900, 101, false}).differs);
}

TEST_CASE("verify reads ranges with gaps twice, others once, and says what is no longer retained") {
    History one = history({batch(0, {{0, 10}}), batch(1, {{10, 20}}), batch(2, {{20, 30}})});
    one.batches[2].commit->books[0] = {7, 3, 7, 0, 0, 0, 70};
    std::vector<std::string> asked;
    Reread reread;
    reread.look = [](const std::set<std::string>& topics) -> Result<kafka::TopicsNow> {
        CHECK(topics == std::set<std::string>{"orders"});
        return kafka::TopicsNow{"fake", {{orders0, {10, 40, "id-o"}}}, {{"orders", "delete"}}};
    };
    reread.count = [&](const plan::OffsetRange& range,
                       const std::string& isolation) -> Result<kafka::RangeCounts> {
        asked.push_back(std::to_string(range.from) + " " + isolation);
        kafka::RangeCounts counts;
        counts.polled = range.from == 10 ? 10 : isolation == "read_committed" ? 7 : 9;
        counts.gaps = 10 - counts.polled;
        counts.bytes = counts.polled * 10;
        return counts;
    };
    const auto report = verify(one, &reread);
    REQUIRE(report);
    CHECK(asked == std::vector<std::string>{"10 read_committed", "20 read_committed", "20 read_uncommitted"});
    CHECK(report->at("findings").as_array().empty());
    CHECK(report->at("total").at("aborted") == 2);
    CHECK(report->at("total").at("control") == 1);
    CHECK(report->at("total").at("not_retained") == 1);
    CHECK(report->at("ranges").at(0).at("again") == "no longer retained");
    CHECK(report->at("ranges").at(2).at("again") == "same");
}

TEST_CASE("a log that was cut since concerns the ranges that were read before, and reach beyond the cut") {
    const plan::PlannedRange range = batch(0, {{40, 80}}).plan.ranges[0];
    const WallTime planned = from_epoch_ms(1000);
    const WallTime later = from_epoch_ms(1001);
    for (const plan::LossKind kind : {plan::LossKind::truncated, plan::LossKind::went_back}) {
        const std::vector<checkpoints::LossEntry> ledger{{{orders0, kind, "id-o", 100, 100, 60}, {}, later, false}};
        CHECK(cut_since(range, planned, ledger) == &ledger[0]);
        CHECK(cut_since(range, later, ledger) == nullptr);  // read when that was known
        CHECK(cut_since(batch(0, {{80, 100}}).plan.ranges[0], planned, ledger) == &ledger[0]);
        CHECK(cut_since(batch(0, {{20, 60}}).plan.ranges[0], planned, ledger) == nullptr);
        CHECK(cut_since(batch(0, {{40, 80}}, "id-new").plan.ranges[0], planned, ledger) == nullptr);
        plan::PlannedRange other = range;
        other.range.topic_partition.partition = 1;
        CHECK(cut_since(other, planned, ledger) == nullptr);
    }
    CHECK(cut_since(range, planned, {{{orders0, plan::LossKind::expired, "id-o", 0, 90, 50}, {}, later, false}}) ==
          nullptr);
}

TEST_CASE("verify compares nothing with what was written anew after a log was cut, and says so") {
    History one = history({batch(0, {{0, 60}}), batch(1, {{60, 100}}), batch(2, {{60, 90}})});
    Reread reread;
    reread.look = [](const std::set<std::string>&) -> Result<kafka::TopicsNow> {
        return kafka::TopicsNow{"fake", {{orders0, {0, 200, "id-o"}}}, {{"orders", "delete"}}};
    };
    std::vector<std::int64_t> asked;
    reread.count = [&](const plan::OffsetRange& range, const std::string&) -> Result<kafka::RangeCounts> {
        asked.push_back(range.from);
        kafka::RangeCounts counts;
        counts.polled = plan::size_of(range);
        counts.bytes = counts.polled * (range.until == 100 ? 12U : 10U);  // other records, of other lengths
        return counts;
    };
    one.losses.push_back(noted(2, {orders0, plan::LossKind::truncated, "id-o", 100, 100, 60}));
    const auto report = verify(one, &reread);
    REQUIRE(report);
    CHECK_MESSAGE(report->at("findings").as_array().empty(), json::serialize(report->at("findings")));
    CHECK(asked == std::vector<std::int64_t>{0, 60});
    CHECK(report->at("ranges").at(0).at("again") == "same");
    CHECK(report->at("ranges").at(1).at("again") == "truncated since");
    CHECK(report->at("ranges").at(2).at("again") == "same");
    CHECK(report->at("total").at("not_retained") == 1);
    CHECK(report->at("notes").at(0).as_string().find("orders-0: 1 range was read before the log was cut at offset 60") !=
          json::string::npos);

    one.losses.clear();  // without it they are other records than were counted, and nobody says why
    one.batches.pop_back();
    const auto unexplained = verify(one, &reread);
    REQUIRE(unexplained);
    CHECK(unexplained->at("findings").at(0).at("kind") == "count_differs");
}

TEST_CASE("verify refuses another cluster, and stops reading when a broker is silent") {
    const History one = history({batch(0, {{0, 10}}), batch(1, {{10, 20}})});
    Reread reread;
    reread.look = [](const std::set<std::string>&) -> Result<kafka::TopicsNow> {
        return kafka::TopicsNow{"other", {}, {}};
    };
    const auto other = verify(one, &reread);
    REQUIRE_FALSE(other);
    CHECK(other.error().code == ErrorCode::configuration);

    int asked = 0;
    reread.look = [](const std::set<std::string>&) -> Result<kafka::TopicsNow> {
        return kafka::TopicsNow{"fake", {{orders0, {0, 40, ""}}}, {{"orders", "delete"}}};
    };
    reread.count = [&](const plan::OffsetRange&, const std::string&) -> Result<kafka::RangeCounts> {
        ++asked;
        return Error{ErrorCode::unavailable, "brokers are down", true};
    };
    const auto silent = verify(one, &reread);
    REQUIRE(silent);
    CHECK(asked == 1);
    CHECK(silent->at("not_read_because") == "brokers are down");
    CHECK(silent->at("total").at("not_read") == 2);
}

TEST_CASE("history goes through JSON unchanged, page by page") {
    Fixture fixture;
    fixture.start_at({{orders0, 1000}});
    for (std::int64_t from = 1000; from < 1500; from += 100) {
        fixture.commit(fixture.put_plan({{orders0, from, from + 60}, {orders0, from + 60, from + 100}}));
    }
    fixture.put_plan({{orders0, 1500, 1600}});
    std::vector<BatchSummary> batches;
    std::optional<std::uint64_t> before;
    int pages = 0;
    do {
        const auto answer = show_history(fixture.context(), "orders", before, 4);
        REQUIRE(answer);
        const auto page = parse_history(json::parse(json::serialize(*answer)).as_object());
        REQUIRE_MESSAGE(page, page.error().message);
        batches.insert(batches.begin(), page->history.batches.begin(), page->history.batches.end());
        before = page->next;
        ++pages;
    } while (before);
    CHECK(pages == 2);
    REQUIRE(batches.size() == 6);
    for (std::size_t i = 0; i < batches.size(); ++i) {
        const auto stored = fixture.store->batch("orders", i);
        REQUIRE(stored);
        CHECK(batches[i].plan == stored->plan);
        REQUIRE(batches[i].commit.has_value() == stored->commit.has_value());
        if (stored->commit) CHECK(batches[i].commit->books == stored->commit->books);
    }
    CHECK(judge_continuity(history(batches)).empty());
}

TEST_CASE("a loss is found again in the history, with when it was noted") {
    Fixture fixture;
    fixture.start_with({});
    fixture.commit(fixture.put_plan({{orders0, 1000, 1500}}));
    const checkpoints::LossEntry cut{{orders0, plan::LossKind::truncated, "id-o", 1500, 1500, 1200},
                                     {}, fixture.clock.now + Milliseconds{1}, true};
    REQUIRE(fixture.store->put_losses("orders", {cut}));
    const auto answer = show_history(fixture.context(), "orders", {}, 10);
    REQUIRE(answer);
    const auto page = parse_history(json::parse(json::serialize(*answer)).as_object());
    REQUIRE_MESSAGE(page, page.error().message);
    const History& found = page->history;
    REQUIRE(found.losses.size() == 1);
    CHECK(found.losses[0].loss == cut.loss);
    CHECK(found.losses[0].detected_at == cut.detected_at);
    CHECK(cut_since(found.batches[0].plan.ranges[0], found.batches[0].plan.planned_at, found.losses) != nullptr);
}

TEST_CASE("an operator's move is found again in the history") {
    Fixture fixture;
    fixture.start_with({});
    fixture.commit(fixture.put_plan({{orders0, 1000, 1500}}));
    MoveRequest request;
    request.action = MoveRequest::Action::set;
    request.execute = true;
    request.offsets[orders0] = 2000;
    const auto done = move_offsets(fixture.context(), "orders", request);
    REQUIRE_MESSAGE(done, done.error().message);
    fixture.commit(fixture.put_plan({{orders0, 2000, 2100}}));
    const auto answer = show_history(fixture.context(), "orders", {}, 10);
    REQUIRE(answer);
    const auto page = parse_history(*answer);
    REQUIRE(page);
    REQUIRE(page->history.moves.size() == 1);
    CHECK(page->history.moves[0].before == 1500);
    CHECK(page->history.moves[0].after == 2000);
    CHECK(judge_continuity(page->history).empty());
    History forgotten = page->history;
    forgotten.moves.clear();
    CHECK(kinds(judge_continuity(forgotten)) == Kinds{"hole"});
}

}  // namespace sluice::operations
