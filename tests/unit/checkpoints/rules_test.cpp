#include <csignal>

#include "backends.hpp"

using namespace sluice;
using namespace sluice::checkpoints;
using namespace sluice::checkpoints::test;

TEST_CASE_TEMPLATE("a pipeline nobody wrote for loads as a first start", Kind, SLUICE_STORES) {
    Kind store;
    const PipelineState state = must(store->load("orders"));
    CHECK(state.positions.empty());
    CHECK_FALSE(state.unfinished);
    CHECK(state.next_batch_id == 0);
    CHECK_FALSE(state.receipt);
    CHECK_FALSE(state.initial_offsets);
    CHECK(state.run_state == RunState::running);
    CHECK(state.cluster_id.empty());
    CHECK(must(store->pipelines()).empty());
    CHECK(must(store->batches("orders", 10)).empty());
    CHECK(must(store->losses("orders")).empty());
    CHECK(must(store->audit("orders")).empty());
}

TEST_CASE_TEMPLATE("initial positions are put once and loaded as they were", Kind, SLUICE_STORES) {
    Kind store;
    const std::map<plan::TopicPartition, plan::Position> initial{
        {{"orders", 0}, {0, -1, "", -1}},
        {{"orders", 7}, {12'345'678'901, 42, "AAAAAAAAAAAAAAAAAAAAAA", 9}},
        {{"payments", 2147483647}, {5, 0, "x", -1}}};
    must(store->put_initial("p", R"({"orders":{"0":0}})", initial));
    const PipelineState state = must(store->load("p"));
    CHECK(state.positions == initial);
    CHECK(state.initial_offsets == R"({"orders":{"0":0}})");
    CHECK(error_of(store->put_initial("p", "{}", {})).code == ErrorCode::exists);
    CHECK(must(store->load("p")).initial_offsets == R"({"orders":{"0":0}})");
}

TEST_CASE_TEMPLATE("initial positions may be none, and are still put only once", Kind,
                   SLUICE_STORES) {
    Kind store;
    must(store->put_initial("p", "{}", {}));
    CHECK(error_of(store->put_initial("p", "{}", {})).code == ErrorCode::exists);
}

TEST_CASE_TEMPLATE("a plan is unfinished until its commit", Kind, SLUICE_STORES) {
    Kind store;
    plan::PlannedRange with_lane = range("payments", 3, 7, 7);
    with_lane.lane = 5;
    const Plan plan =
        make_plan(0, {range("orders", 0, 0, 10), range("orders", 0, 10, 20), with_lane});
    must(store->put_plan("p", plan, {}));
    PipelineState state = must(store->load("p"));
    REQUIRE(state.unfinished);
    CHECK(*state.unfinished == plan);
    CHECK(state.next_batch_id == 1);
    CHECK(state.positions.empty());

    const Commit commit = make_commit(plan);
    const Receipt receipt{"file", "/srv/orders", std::string("\0\xff receipt", 10)};
    must(store->put_commit("p", commit, ends_of(plan), receipt, {}));
    state = must(store->load("p"));
    CHECK_FALSE(state.unfinished);
    CHECK(state.next_batch_id == 1);
    CHECK(state.positions == ends_of(plan));
    CHECK(state.receipt == receipt);
    const BatchSummary summary = must(store->batch("p", 0));
    CHECK(summary.plan == plan);
    CHECK(summary.commit == commit);
}

TEST_CASE_TEMPLATE("an existing plan is an error, and so is a plan over an unfinished one", Kind,
                   SLUICE_STORES) {
    Kind store;
    const Plan plan = make_plan(0, {range("orders", 0, 0, 10)});
    must(store->put_plan("p", plan, {}));
    const Error again = error_of(store->put_plan("p", plan, {}));
    CHECK(again.code == ErrorCode::exists);
    CHECK(again.message.find("p/0") != std::string::npos);
    CHECK(error_of(store->put_plan("p", make_plan(1, {range("orders", 0, 0, 10)}), {})).code ==
          ErrorCode::exists);
    CHECK(must(store->load("p")).unfinished == plan);
}

TEST_CASE_TEMPLATE("a commit needs its plan, and comes once", Kind, SLUICE_STORES) {
    Kind store;
    const Plan plan = make_plan(0, {range("orders", 0, 0, 10)});
    CHECK(error_of(store->put_commit("p", make_commit(plan), ends_of(plan), {}, {})).code ==
          ErrorCode::not_found);
    CHECK(must(store->pipelines()).empty());
    must(store->put_plan("p", plan, {}));
    must(store->put_commit("p", make_commit(plan), ends_of(plan), {}, {}));
    CHECK(error_of(store->put_commit("p", make_commit(plan), ends_of(plan), {}, {})).code ==
          ErrorCode::exists);
}

TEST_CASE_TEMPLATE("a recovered batch has no books", Kind, SLUICE_STORES) {
    Kind store;
    const Plan plan = make_plan(0, {range("orders", 0, 0, 10)});
    must(store->put_plan("p", plan, {}));
    Commit commit = make_commit(plan);
    commit.state = BatchState::recovered;
    commit.books.clear();
    must(store->put_commit("p", commit, ends_of(plan), {}, {}));
    CHECK(must(store->batch("p", 0)).commit == commit);
}

TEST_CASE_TEMPLATE("a commit without a receipt keeps the last one", Kind, SLUICE_STORES) {
    Kind store;
    const Receipt receipt{"file", "/srv", "r"};
    must(store->put_initial_receipt("p", receipt));
    run_batch(*store, "p", 0, 0, 10);
    CHECK(must(store->load("p")).receipt == receipt);
}

TEST_CASE_TEMPLATE("the initial receipt replaces none of the same sink", Kind, SLUICE_STORES) {
    Kind store;
    must(store->put_initial_receipt("p", {"file", "/srv", "one"}));
    CHECK(error_of(store->put_initial_receipt("p", {"file", "/srv", "two"})).code ==
          ErrorCode::exists);
    CHECK(must(store->load("p")).receipt->bytes == "one");
    must(store->put_initial_receipt("p", {"file", "/elsewhere", "three"}));
    CHECK(must(store->load("p")).receipt->bytes == "three");
}

TEST_CASE_TEMPLATE("batch ids go on after everything that was planned", Kind, SLUICE_STORES) {
    Kind store;
    for (std::uint64_t id = 0; id < 300; ++id) {
        const auto from = static_cast<std::int64_t>(id) * 10;
        run_batch(*store, "p", id, from, from + 10);
    }
    CHECK(must(store->load("p")).next_batch_id == 300);
    const auto newest = must(store->batches("p", 3));
    REQUIRE(newest.size() == 3);
    CHECK(newest[0].plan.batch_id == 299);  // 255 and 256 would be swapped by little-endian keys
    CHECK(newest[2].plan.batch_id == 297);
    CHECK(must(store->batches("p", 1000)).size() == 300);
    CHECK(must(store->batches("p", 0)).empty());
}

TEST_CASE_TEMPLATE("a cluster is bound once and another one refused", Kind, SLUICE_STORES) {
    Kind store;
    must(store->bind_cluster("p", ""));
    CHECK(must(store->load("p")).cluster_id.empty());
    must(store->bind_cluster("p", "cluster-a"));
    must(store->bind_cluster("p", "cluster-a"));
    const Error other = error_of(store->bind_cluster("p", "cluster-b"));
    CHECK(other.code == ErrorCode::configuration);
    CHECK(other.message.find("cluster-a") != std::string::npos);
    CHECK(other.message.find("cluster-b") != std::string::npos);
    CHECK(must(store->load("p")).cluster_id == "cluster-a");
}

TEST_CASE_TEMPLATE("pipelines are kept apart, whatever they are called", Kind, SLUICE_STORES) {
    Kind store;
    const std::vector<std::string> names{"a",  "aa", "a/b", "a:b", "n", "p", "żółw 🐢", " ",
                                         "\"", "a\\", std::string(1024, 'x')};
    for (std::size_t i = 0; i < names.size(); ++i) {
        run_batch(*store, names[i], 0, 0, static_cast<std::int64_t>(i) + 1);
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
        CAPTURE(names[i]);
        const PipelineState state = must(store->load(names[i]));
        REQUIRE(state.positions.size() == 1);
        CHECK(state.positions.begin()->second.offset == static_cast<std::int64_t>(i) + 1);
        CHECK(must(store->batches(names[i], 10)).size() == 1);
    }
    CHECK(must(store->pipelines()).size() == names.size());
}

TEST_CASE_TEMPLATE("names without sense are refused", Kind, SLUICE_STORES) {
    Kind store;
    for (const std::string& name : {std::string(), std::string("a\nb"), std::string("\0", 1),
                                    std::string("\x7f"), std::string("\xff\xfe"),
                                    std::string(1025, 'x')}) {
        CHECK(error_of(store->bind_cluster(name, "c")).code == ErrorCode::invalid_argument);
    }
}

TEST_CASE_TEMPLATE("an operator's move sets, forgets, abandons and leaves a trace", Kind,
                   SLUICE_STORES) {
    Kind store;
    must(store->put_initial("p", "{}",
                            {{{"orders", 0}, position(100)},
                             {{"orders", 1}, position(200)},
                             {{"orders", 2}, position(300)}}));
    const Plan plan = make_plan(0, {range("orders", 0, 100, 150)});
    must(store->put_plan("p", plan, {}));

    Store::Move move;
    move.positions = {{{"orders", 0}, position(10)}};  // back is allowed here
    move.forget = {{"orders", 1}};
    move.abandons = 0;
    move.audit = {at_ms(7'000), "offsets set", R"({"orders":{"0":10}})"};
    must(store->put_move("p", move));

    const PipelineState state = must(store->load("p"));
    CHECK_FALSE(state.unfinished);
    CHECK(state.next_batch_id == 1);
    REQUIRE(state.positions.size() == 2);
    CHECK(state.positions.at({"orders", 0}).offset == 10);
    CHECK(state.positions.at({"orders", 2}).offset == 300);
    const BatchSummary abandoned = must(store->batch("p", 0));
    REQUIRE(abandoned.commit);
    CHECK(abandoned.commit->state == BatchState::abandoned);
    CHECK(abandoned.commit->committed_at == at_ms(7'000));
    CHECK(abandoned.commit->books.empty());
    CHECK(must(store->audit("p")) == std::vector<ControlEntry>{move.audit});
    CHECK(error_of(store->put_commit("p", make_commit(plan), ends_of(plan), {}, {})).code ==
          ErrorCode::exists);
    run_batch(*store, "p", 1, 10, 60);
}

TEST_CASE_TEMPLATE("a move under an unfinished plan is refused unless it abandons it", Kind,
                   SLUICE_STORES) {
    Kind store;
    must(store->put_plan("p", make_plan(0, {range("orders", 0, 0, 10)}), {}));
    Store::Move move;
    move.positions = {{{"orders", 0}, position(5)}};
    CHECK(error_of(store->put_move("p", move)).code == ErrorCode::invalid_argument);
    CHECK(must(store->audit("p")).empty());
    move.positions = {{{"orders", 1}, position(5)}};  // the plan does not touch this one
    must(store->put_move("p", move));
    move.positions.clear();
    move.forget = {{"orders", 0}};
    CHECK(error_of(store->put_move("p", move)).code == ErrorCode::invalid_argument);
    CHECK(must(store->load("p")).unfinished);
}

TEST_CASE_TEMPLATE("a move abandons the batch it names, and no other", Kind, SLUICE_STORES) {
    Kind store;
    const Plan plan = make_plan(0, {range("orders", 0, 0, 10)});
    must(store->put_plan("p", plan, {}));
    Store::Move move;
    move.abandons = 1;
    CHECK(error_of(store->put_move("p", move)).code == ErrorCode::exists);
    must(store->put_commit("p", make_commit(plan), ends_of(plan), {}, {}));
    move.abandons = 0;
    CHECK(error_of(store->put_move("p", move)).message.find("batch p/0 is not open") !=
          std::string::npos);
    CHECK(must(store->batch("p", 0)).commit->state == BatchState::committed);
    CHECK(must(store->audit("p")).empty());
}

TEST_CASE_TEMPLATE("the run state outlives the process, and every change is on record", Kind,
                   SLUICE_STORES) {
    Kind store;
    must(store->put_run_state("p", RunState::paused, {at_ms(1), "pause", "by ada"}));
    CHECK(must(store->load("p")).run_state == RunState::paused);
    must(store->put_run_state("p", RunState::stopped, {at_ms(2), "stop", ""}));
    must(store->put_run_state("p", RunState::running, {at_ms(3), "resume", ""}));
    CHECK(must(store->load("p")).run_state == RunState::running);
    const auto audit = must(store->audit("p"));
    REQUIRE(audit.size() == 3);
    CHECK(audit[0] == ControlEntry{at_ms(1), "pause", "by ada"});
    CHECK(audit[2].action == "resume");
}

TEST_CASE_TEMPLATE("a rename brings everything along", Kind, SLUICE_STORES) {
    Kind store;
    must(store->bind_cluster("old", "c"));
    must(store->put_initial("old", "{}", {{{"orders", 0}, position(0)}}));
    run_batch(*store, "old", 0, 0, 10);
    must(store->put_losses("old", {loss("orders", 1, 0, 5)}));
    const PipelineState before = must(store->load("old"));
    run_batch(*store, "other", 0, 0, 3);

    CHECK(error_of(store->rename("old", "other")).code == ErrorCode::exists);
    CHECK(error_of(store->rename("nobody", "new")).code == ErrorCode::not_found);
    must(store->rename("old", "new"));
    const PipelineState after = must(store->load("new"));
    CHECK(after.positions == before.positions);
    CHECK(after.next_batch_id == 1);
    CHECK(after.cluster_id == "c");
    CHECK(must(store->losses("new")).size() == 1);
    CHECK(must(store->batch("new", 0)).commit);
    CHECK(must(store->pipelines()) == std::vector<std::string>{"new", "other"});
    CHECK(must(store->load("old")).next_batch_id == 0);
    run_batch(*store, "old", 0, 0, 1);  // the name is free again, and nothing is shared
    CHECK(must(store->load("new")).next_batch_id == 1);
    CHECK(must(store->load("new")).positions == before.positions);
}

TEST_CASE_TEMPLATE("forget removes one pipeline and nothing else", Kind, SLUICE_STORES) {
    Kind store;
    for (const char* name : {"a", "b", "c"}) {
        must(store->bind_cluster(name, "c"));
        run_batch(*store, name, 0, 0, 10);
        must(store->put_losses(name, {loss("orders", 0, 0, 5)}));
        must(store->put_run_state(name, RunState::paused, {at_ms(1), "pause", ""}));
    }
    must(store->forget("b"));
    CHECK(error_of(store->forget("b")).code == ErrorCode::not_found);
    CHECK(must(store->pipelines()) == std::vector<std::string>{"a", "c"});
    const PipelineState gone = must(store->load("b"));
    CHECK(gone.positions.empty());
    CHECK(gone.next_batch_id == 0);
    CHECK(gone.run_state == RunState::running);
    run_batch(*store, "b", 0, 0, 1);
    CHECK(must(store->losses("b")).empty());
    CHECK(must(store->audit("b")).empty());
    CHECK(must(store->load("b")).cluster_id.empty());
    for (const char* name : {"a", "c"}) {
        CHECK(must(store->load(name)).next_batch_id == 1);
        CHECK(must(store->losses(name)).size() == 1);
        CHECK(must(store->audit(name)).size() == 1);
    }
}

TEST_CASE_TEMPLATE("find_batch answers with the newest batch that delivered the offset", Kind,
                   SLUICE_STORES) {
    Kind store;
    run_batch(*store, "p", 0, 0, 10);
    run_batch(*store, "p", 1, 10, 20);
    CHECK(must(store->find_batch("p", {"orders", 0}, 9)).plan.batch_id == 0);
    CHECK(must(store->find_batch("p", {"orders", 0}, 10)).plan.batch_id == 1);
    CHECK(error_of(store->find_batch("p", {"orders", 0}, 20)).code == ErrorCode::not_found);
    CHECK(error_of(store->find_batch("p", {"orders", 1}, 5)).code == ErrorCode::not_found);
    CHECK(error_of(store->find_batch("nobody", {"orders", 0}, 5)).code == ErrorCode::not_found);

    must(store->put_plan("p", make_plan(2, {range("orders", 0, 20, 30)}), {}));
    Store::Move move;
    move.abandons = 2;
    must(store->put_move("p", move));
    CHECK(must(store->find_batch("p", {"orders", 0}, 25)).plan.batch_id == 2);  // only that one
    run_batch(*store, "p", 3, 20, 30);
    must(store->put_plan("p", make_plan(4, {range("orders", 0, 30, 40)}), {}));
    CHECK(must(store->find_batch("p", {"orders", 0}, 25)).plan.batch_id == 3);
    CHECK_FALSE(must(store->find_batch("p", {"orders", 0}, 35)).commit);
    CHECK(error_of(store->batch("p", 5)).code == ErrorCode::not_found);
}

TEST_CASE("a plan of 100,000 partitions goes through") {
    OnDisk store;
    std::vector<plan::PlannedRange> ranges;
    for (int i = 0; i < 100'000; ++i) ranges.push_back(range("orders", i, 1'000'000, 1'000'500));
    const Plan plan = make_plan(0, std::move(ranges));
    must(store->put_plan("p", plan, {}));
    must(store->put_commit("p", make_commit(plan), ends_of(plan), {}, {}));
    CHECK(must(store->load("p")).positions.size() == 100'000);
    CHECK(must(store->batch("p", 0)).plan == plan);
}

TEST_CASE("what only a bug can do stops the process before anything is written") {
    const std::unique_ptr<Store> store = make_memory_store();
    run_batch(*store, "p", 0, 0, 100);
    const auto dies = [&](const std::function<void()>& work) {
        return status_of_fork(work) == -SIGABRT;
    };
    const Plan next = make_plan(1, {range("orders", 0, 100, 150)});
    CHECK(status_of_fork([&] { ignore_error(store->put_plan("p", next, {}), "it is right"); }) == 0);
    CHECK(dies([&] {  // an inverted range
        ignore_error(store->put_plan("p", make_plan(1, {range("orders", 0, 150, 100)}), {}), "dies");
    }));
    CHECK(dies([&] {  // an id that was skipped
        ignore_error(store->put_plan("p", make_plan(2, {range("orders", 0, 100, 150)}), {}), "dies");
    }));
    CHECK(dies([&] {  // a range before the position
        ignore_error(store->put_plan("p", make_plan(1, {range("orders", 0, 99, 150)}), {}), "dies");
    }));
    must(store->put_plan("p", next, {}));
    CHECK(dies([&] {  // a position that goes back
        ignore_error(store->put_commit("p", make_commit(next), {{{"orders", 0}, position(99)}}, {}, {}),
                     "dies");
    }));
    CHECK(dies([&] {  // books that don't fit the plan
        Commit commit = make_commit(next);
        commit.books.push_back({});
        ignore_error(store->put_commit("p", commit, ends_of(next), {}, {}), "dies");
    }));
    CHECK(dies([&] {  // only a move abandons
        Commit commit = make_commit(next);
        commit.state = BatchState::abandoned;
        commit.books.clear();
        ignore_error(store->put_commit("p", commit, ends_of(next), {}, {}), "dies");
    }));
    CHECK(must(store->load("p")).unfinished == next);
}
