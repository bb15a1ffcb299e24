#include "daemon/operations/batches.hpp"

#include "tests/unit/operations/support.hpp"

namespace sluice::operations {
using namespace test;

TEST_CASE("batches are listed newest first, with what became of each") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 1000}});
    const auto first = fixture.put_plan({{{"orders", 0}, 1000, 1500}});
    fixture.commit(first);
    fixture.put_plan({{{"orders", 0}, 1500, 1600}});
    const auto list = list_batches(fixture.context(), "orders", 20);
    REQUIRE(list);
    const json::array& batches = list->at("batches").as_array();
    REQUIRE(batches.size() == 2);
    CHECK(batches[0].at("state") == "planned");
    CHECK(batches[0].at("books").is_null());
    CHECK(batches[0].at("committed_at").is_null());
    CHECK(batches[1] == parsed(R"({"batch":0,"state":"committed","planned_at":"2026-11-01T08:00:00.000Z",
        "committed_at":"2026-11-01T08:00:00.000Z","ranges":1,"offsets":500,"attempts":1,"total_ms":431,
        "books":{"polled":500,"gaps":0,"accepted":500,"filtered":0,"dead_lettered":0,"lost":0,"bytes":50000}})"));
    const auto newest = list_batches(fixture.context(), "orders", 1);
    REQUIRE(newest);
    CHECK(newest->at("batches").as_array().size() == 1);
}

TEST_CASE("a batch is shown with its ranges, their tokens and books") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 1000}, {{"orders", 1}, 2000}});
    fixture.commit(fixture.put_plan({{{"orders", 0}, 1000, 1500}, {{"orders", 1}, 2000, 2010}}));
    const auto batch = show_batch(fixture.context(), "orders", 0);
    REQUIRE(batch);
    const json::array& ranges = batch->at("ranges").as_array();
    REQUIRE(ranges.size() == 2);
    CHECK(ranges[1].at("token") == "orders/0/1");
    CHECK(ranges[1].at("from") == 2000);
    CHECK(ranges[1].at("books").at("accepted") == 10);
    CHECK(batch->at("phases").at("sink_commit_ms") == 100);
    const auto unknown = show_batch(fixture.context(), "orders", 7);
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().code == ErrorCode::not_found);
}

TEST_CASE("the records that the sink refused are listed with their batch, at most a screen of them") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 1000}});
    const auto batch = fixture.put_plan({{{"orders", 0}, 1000, 1500}});
    std::vector<checkpoints::RefusedRecord> refused;
    for (std::int64_t offset = 1000; offset < 1150; ++offset) refused.push_back({{"orders", 0}, offset, "no number"});
    REQUIRE(fixture.store->put_refused("orders", batch, refused));
    const auto shown = show_batch(fixture.context(), "orders", batch);
    REQUIRE(shown);
    CHECK(shown->at("refused").as_array().size() == 100);
    CHECK(shown->at("refused").at(0) ==
          parsed(R"({"topic":"orders","partition":0,"offset":1000,"reason":"no number"})"));
}

TEST_CASE("a record is found in the batch and range that read it") {
    Fixture fixture;
    fixture.start_at({{{"orders", 0}, 1000}});
    fixture.commit(fixture.put_plan({{{"orders", 0}, 1000, 1250}, {{"orders", 0}, 1250, 1500}}));
    const auto found = find_batch(fixture.context(), "orders", {"orders", 0}, 1250);
    REQUIRE(found);
    CHECK(found->at("found") == parsed(R"({"topic":"orders","partition":0,"offset":1250,"range":1})"));
    CHECK_FALSE(find_batch(fixture.context(), "orders", {"orders", 0}, 1500));
}

TEST_CASE("an unknown pipeline is answered with the nearest name") {
    Fixture fixture;
    const auto list = list_batches(fixture.context(), "order", 20);
    REQUIRE_FALSE(list);
    CHECK(list.error().code == ErrorCode::not_found);
    CHECK(list.error().message == "there is no pipeline 'order'; did you mean 'orders'?");
}

}  // namespace sluice::operations
