#include "daemon/cli/views.hpp"

#include "daemon/cli/table.hpp"
#include "daemon/operations/preview.hpp"
#include "daemon/operations/status.hpp"
#include "tests/unit/operations/support.hpp"

namespace sluice::cli {
using operations::test::Fixture;
namespace json = boost::json;

TEST_CASE("the plan of the example is a table of ranges and one line") {
    Fixture fixture;
    const auto plan = operations::preview_trigger(fixture.context(), "orders", nullptr);
    REQUIRE(plan);
    CHECK(view_plan(*plan) ==
          "the next batch is orders/0\n"
          "  RANGE  PARTITION     FROM   UNTIL  OFFSETS  LANE\n"
          "      0  orders/0      1000   51000   50,000     -\n"
          "      1  orders/0     51000  101000   50,000     -\n"
          "      2  orders/0    101000  151000   50,000     -\n"
          "      3  orders/1      2000   42000   40,000     -\n"
          "      4  orders/1     42000   82000   40,000     -\n"
          "      5  orders/2      5000   35000   30,000     -\n"
          "      6  payments/0     100   40100   40,000     -\n"
          "  300,000 offsets in 7 ranges of 4 partitions; backlog 300,000, left after this batch 0; "
          "maxOffsetsPerTrigger 1,000,000, maxRecordsPerPartition 50,000\n"
          "  no advice on limits yet: no batch is on record\n");
}

TEST_CASE("a status has one line per pipeline and reasons on lines of their own") {
    const WallTime now = from_epoch_ms(1'793'520'000'000);
    const auto status = json::parse(R"({"daemon":"running","orphans":["old"],"pipelines":[
        {"pipeline":"orders","state":"RUNNING","run_state":"running","reason":"","since":"2026-11-01T07:55:00.000Z",
         "batch":{"id":813,"offsets":1000,"polled":450},"records_committed":1234567,"backlog":4200,
         "last_commit_at":"2026-11-01T07:59:56.000Z","unaccepted_losses":0},
        {"pipeline":"pay","state":"FAILED","run_state":"running","reason":"data loss: pay-0\u001b[31m",
         "since":"2026-11-01T05:00:00.000Z","batch":null,"last_committed":7,"records_committed":0,"backlog":0,
         "last_commit_at":null,"unaccepted_losses":2}]})").as_object();
    CHECK(view_status(status, now) ==
          "PIPELINE  STATE    SINCE    BATCH    RECORDS    LAG  LAST COMMIT\n"
          "orders    RUNNING     5m  813 45%  1,234,567  4,200           4s\n"
          "pay       FAILED      3h        7          0      0            -\n"
          "    data loss: pay-0 [31m\n"
          "    2 unaccepted data losses: sluice losses list pay\n"
          "\n"
          "no longer configured, checkpoints kept (sluice forget NAME):\n"
          "  old\n");
    CHECK(needs_attention(status));
}

TEST_CASE("a status ends with who holds the memory, and a plan with advice, or that there is none yet") {
    CHECK(view_status(json::parse(R"({"daemon":"running","pipelines":[],"memory":{"max":67108864,
        "consumers_max":33554432,"consumers":2097152,"in_flight":512,"sinks":1048576}})").as_object(), WallTime{}) ==
          "no pipelines are configured\n"
          "\nmemory: at most 64.0 MiB; consumers hold 2.0 MiB of 32.0 MiB, batches in flight 512 B, sinks 1.0 MiB\n");
    const auto plan = [](int seen) {
        return view_plan(json::parse(R"({"pipeline":"p","batch":3,"decision":"nothing","batches_seen":)" + std::to_string(seen) +
            R"(,"advice":[{"option":"maxOffsetsPerTrigger","value":1500000,"why":"because."},
            {"option":"minPartitions","value":null,"why":"too few."}]})").as_object());
    };
    CHECK(plan(5) == "p: nothing to read, every partition is at its end\n"
                     "  advice: maxOffsetsPerTrigger 1,500,000: because.\n"
                     "  advice: minPartitions better left out: too few.\n");
    CHECK(plan(0) == "p: nothing to read, every partition is at its end\n"
                     "  no advice on limits yet: no batch is on record\n");
}

TEST_CASE("a status warns in a sentence of unread records that retention will take within a day") {
    const auto view = [](const char* seconds) {
        return view_status(json::parse(std::string(R"({"daemon":"running","pipelines":[{"pipeline":"p",
            "state":"PAUSED","retention_headroom":[{"topic":"orders","partition":3,"seconds":)") +
            seconds + R"(},{"topic":"orders","partition":0,"seconds":90000}]}]})").as_object(), WallTime{});
    };
    CHECK(view("10800").find("data loss by retention begins in 3h: orders-3 of 2 partitions with unread "
                             "records; raise its retention.ms, or let p read (sluice resume)") !=
          std::string::npos);
    CHECK(view("0").find("may begin at any time: orders-3") != std::string::npos);
    CHECK(view("86400").find("data loss") == std::string::npos);
}

TEST_CASE("attention is needed by FAILED, STALLED and unaccepted losses, by nothing else") {
    const auto attention = [](const std::string& state, int losses) {
        return needs_attention(
            json::parse(R"({"pipelines":[{"state":")" + state + R"(","unaccepted_losses":)" +
                        std::to_string(losses) + "}]}").as_object());
    };
    for (const char* state : {"RUNNING", "CAUGHT_UP", "RETRYING", "PAUSED", "STOPPED", "DONE", "DOWN"}) {
        CAPTURE(state);
        CHECK_FALSE(attention(state, 0));
        CHECK(attention(state, 1));
    }
    CHECK(attention("FAILED", 0));
    CHECK(attention("STALLED", 0));
}

TEST_CASE("without a daemon a status says so, and what would not run") {
    Fixture fixture;
    REQUIRE(fixture.store->put_run_state("orders", checkpoints::RunState::paused, {fixture.clock.now, "pause", ""}));
    const auto status = operations::status(fixture.context(), std::nullopt, false);
    REQUIRE(status);
    CHECK(view_status(*status, fixture.clock.now) ==
          "daemon: not running\n\n"
          "PIPELINE  STATE          SINCE  BATCH  RECORDS  LAG  LAST COMMIT\n"
          "orders    DOWN (paused)      -      -        -    -            -\n");
}

TEST_CASE("a move is shown partition by partition, with what it means") {
    const auto move = json::parse(R"({"pipeline":"orders","executed":false,"changes":[
        {"topic":"orders","partition":0,"before":8000,"after":8124},
        {"topic":"orders","partition":7,"before":50,"after":null}],
        "unchanged":2,"notes":["124 offsets will not be read"]})").as_object();
    CHECK(view_move(move) ==
          "PARTITION  BEFORE      AFTER  CHANGE\n"
          "orders/0     8000       8124    +124\n"
          "orders/7       50  forgotten       -\n"
          "2 partitions already there\n"
          "  124 offsets will not be read\n"
          "nothing was changed: this was a dry run; add --execute to do it\n");
    CHECK(view_move(json::parse(R"({"executed":false,"changes":[]})").as_object()) == "nothing to change\n");
}

TEST_CASE("tables align code points, and print no control characters") {
    Table table({{"A"}, {"B", Align::right}});
    table.add({"größe", "1"});
    table.add({"x\x1b[2J", "22"});
    CHECK(table.text() == "A       B\ngröße   1\nx [2J  22\n");
    CHECK(printable("a\xc2\x9b" "31m\x7f") == "a 31m ");
}

TEST_CASE("ages are short, and the future is none") {
    const WallTime now = from_epoch_ms(1'793'520'000'000);
    const auto before = [&](std::int64_t seconds) { return age(now - std::chrono::seconds{seconds}, now); };
    CHECK(before(0) == "now");
    CHECK(before(59) == "59s");
    CHECK(before(3599) == "59m");
    CHECK(before(3600) == "1h");
    CHECK(before(3660) == "1h 1m");
    CHECK(before(90'000) == "1d 1h");
    CHECK(before(-3600) == "-");
}

TEST_CASE("answers of another version, with fields missing or of other types, are printed all the same") {
    for (const char* text : {"{}", R"({"pipelines":[1,{"pipeline":3,"batch":[]}],"ranges":[null],"batches":[{}],
        "partitions":[{}],"losses":[{}],"plugins":[{}],"options":[{}],"changes":[{}],"notes":[1],"audit":[2]})"}) {
        const json::object object = json::parse(text).as_object();
        CHECK_FALSE(view_status(object, WallTime{}).empty());
        CHECK_FALSE(view_plan(object).empty());
        CHECK_FALSE(view_batches(object).empty());
        CHECK_FALSE(view_batch(object).empty());
        CHECK_FALSE(view_offsets(object).empty());
        CHECK_FALSE(view_move(object).empty());
        CHECK_FALSE(view_losses(object).empty());
        CHECK_FALSE(view_plugins(object).empty());
        CHECK_FALSE(view_plugin(object).empty());
    }
}

}  // namespace sluice::cli
