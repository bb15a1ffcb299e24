#include "backends.hpp"

using namespace sluice;
using namespace sluice::checkpoints;
using namespace sluice::checkpoints::test;

TEST_CASE_TEMPLATE("a loss is created once, and kept as it was", Kind, SLUICE_STORES) {
    Kind store;
    LossEntry first = loss("orders", 0, 10, 20);
    first.batch_id = 7;
    must(store->put_losses("p", {first, loss("orders", 1, 10, 20)}));
    LossEntry again = first;
    again.batch_id = 9;
    again.detected_at = at_ms(999);
    must(store->put_losses("p", {again}));
    const auto ledger = must(store->losses("p"));
    REQUIRE(ledger.size() == 2);
    CHECK(ledger[0] == first);
    CHECK(ledger[1] == loss("orders", 1, 10, 20));
}

TEST_CASE_TEMPLATE("acceptance may turn true, and never back", Kind, SLUICE_STORES) {
    Kind store;
    must(store->put_losses("p", {loss("orders", 0, 10, 20)}));
    LossEntry accepted = loss("orders", 0, 10, 20, true);
    accepted.detected_at = at_ms(999);
    must(store->put_losses("p", {accepted}));
    auto ledger = must(store->losses("p"));
    REQUIRE(ledger.size() == 1);
    CHECK(ledger[0].accepted);
    CHECK(ledger[0].detected_at == at_ms(500));
    must(store->put_losses("p", {loss("orders", 0, 10, 20, false)}));
    CHECK(must(store->losses("p"))[0].accepted);
}

TEST_CASE_TEMPLATE("losses differ by topic, id, partition and both ends", Kind, SLUICE_STORES) {
    Kind store;
    std::vector<LossEntry> all{loss("orders", 0, 10, 20), loss("orders", 0, 10, 21),
                               loss("orders", 0, 11, 20), loss("orders", 1, 10, 20)};
    all.push_back(all[0]);
    all.back().loss.topic_id = "topic-id-2";
    // Unknown ids don't make one topic's loss another's.
    all.push_back(all[0]);
    all.back().loss.topic_id = "";
    all.push_back(all.back());
    all.back().loss.topic_partition.topic = "payments";
    must(store->put_losses("p", all));
    must(store->put_losses("p", all));
    CHECK(must(store->losses("p")).size() == all.size());
}

TEST_CASE_TEMPLATE("one loss named twice in one call is one entry, accepted when either is", Kind,
                   SLUICE_STORES) {
    Kind store;
    must(store->put_losses("p", {loss("orders", 0, 1, 2), loss("orders", 0, 1, 2, true),
                                 loss("orders", 0, 1, 2)}));
    const auto ledger = must(store->losses("p"));
    REQUIRE(ledger.size() == 1);
    CHECK(ledger[0].accepted);
}

TEST_CASE_TEMPLATE("the ledger is in the order losses were detected", Kind, SLUICE_STORES) {
    Kind store;
    LossEntry late = loss("a", 0, 1, 2);
    late.detected_at = at_ms(30);
    LossEntry early = loss("z", 0, 1, 2);
    early.detected_at = at_ms(10);
    must(store->put_losses("p", {late, early}));
    CHECK(must(store->losses("p"))[0] == early);
}

TEST_CASE_TEMPLATE("plan and commit carry the losses they step over in their own write", Kind,
                   SLUICE_STORES) {
    Kind store;
    const Plan plan = make_plan(0, {range("orders", 0, 20, 30)});
    must(store->put_plan("p", plan, {loss("orders", 0, 10, 20, true)}));
    CHECK(must(store->losses("p")).size() == 1);
    must(store->put_commit("p", make_commit(plan), ends_of(plan), {},
                           {loss("orders", 0, 20, 25, true)}));
    CHECK(must(store->losses("p")).size() == 2);
    // A refused write leaves nothing of itself.
    CHECK_FALSE(store->put_plan("p", plan, {loss("orders", 5, 0, 1)}).has_value());
    CHECK(must(store->losses("p")).size() == 2);
}

TEST_CASE_TEMPLATE("a move accepts losses, known ones and new ones", Kind, SLUICE_STORES) {
    Kind store;
    must(store->put_losses("p", {loss("orders", 0, 10, 20), loss("orders", 1, 10, 20)}));
    Store::Move move;
    move.accept = {loss("orders", 0, 10, 20), loss("orders", 2, 0, 4)};
    move.positions = {{{"orders", 0}, position(20)}};
    must(store->put_move("p", move));
    const auto ledger = must(store->losses("p"));
    REQUIRE(ledger.size() == 3);
    CHECK(ledger[0].accepted);
    CHECK_FALSE(ledger[1].accepted);
    CHECK(ledger[2].accepted);
}

TEST_CASE_TEMPLATE("a loss that is accepted settles the older ones of its partition that it covers", Kind,
                   SLUICE_STORES) {
    Kind store;
    const LossEntry other_kind = [] {
        LossEntry entry = loss("orders", 0, 31, 33);
        entry.loss.kind = plan::LossKind::new_starts_late;
        return entry;
    }();
    must(store->put_losses("p", {loss("orders", 0, 30, 40), loss("orders", 0, 30, 60), loss("orders", 0, 10, 40),
                                 loss("orders", 1, 30, 40), other_kind}));
    const auto unaccepted = [&] {
        std::vector<std::string> names;
        for (const LossEntry& entry : must(store->losses("p"))) {
            if (entry.accepted) continue;
            names.push_back(plan::to_string(entry.loss.topic_partition) + " " + std::to_string(entry.loss.from) + " " +
                            std::to_string(entry.loss.until));
        }
        return names;
    };
    CHECK(unaccepted().size() == 5);
    must(store->put_losses("p", {loss("orders", 0, 30, 50)}));  // noted, and nothing more
    CHECK(unaccepted().size() == 6);
    Store::Move move;
    move.accept = {loss("orders", 0, 30, 50)};
    must(store->put_move("p", move));
    CHECK(unaccepted() ==
          std::vector<std::string>{"orders-0 10 40", "orders-0 30 60", "orders-0 31 33", "orders-1 30 40"});

    LossEntry gone = loss("orders", 0, 20, 20, true);  // with all that it held from there on
    gone.loss.kind = plan::LossKind::topic_recreated;
    must(store->put_losses("p", {gone}));
    CHECK(unaccepted() == std::vector<std::string>{"orders-0 10 40", "orders-1 30 40"});
    CHECK(must(store->losses("p")).size() == 7);
}

TEST_CASE_TEMPLATE("a position goes back only over a loss recorded at the position", Kind,
                   SLUICE_STORES) {
    Kind store;
    run_batch(*store, "p", 0, 0, 100);
    // The log was truncated to 50: nothing to count, reading goes on at the end.
    LossEntry went_back = loss("orders", 0, 100, 100, true);
    went_back.loss.kind = plan::LossKind::went_back;
    went_back.loss.adjusted_start = 50;
    const Plan plan = make_plan(1, {range("orders", 0, 50, 80)});
    must(store->put_plan("p", plan, {went_back}));
    must(store->put_commit("p", make_commit(plan), ends_of(plan), {}, {}));
    CHECK(must(store->load("p")).positions.at({"orders", 0}).offset == 80);
}

TEST_CASE_TEMPLATE("losses and audit outlive the history", Kind, SLUICE_STORES) {
    Kind store;
    for (std::uint64_t id = 0; id < 5; ++id) {
        const auto from = static_cast<std::int64_t>(id) * 10;
        run_batch(*store, "p", id, from, from + 10);
    }
    must(store->put_losses("p", {loss("orders", 0, 10, 20)}));
    must(store->put_run_state("p", RunState::paused, {at_ms(1), "pause", ""}));
    must(store->trim_history({Milliseconds{0}, 0}, at_ms(1'000'000)));
    CHECK(must(store->batches("p", 10)).size() == 1);
    CHECK(must(store->losses("p")).size() == 1);
    CHECK(must(store->audit("p")).size() == 1);
    CHECK(must(store->load("p")).run_state == RunState::paused);
}
