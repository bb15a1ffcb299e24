#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "tests/integration/postgres/database.hpp"
#include "tests/integration/postgres/sink_run.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

sink::Settings settings_for(const std::string& table, const std::string& connections = "1") {
    return {{"connection", Database::address()},
            {"table", "public." + table},
            {"createTable", "true"},
            {"connections", connections}};
}

/// "rows/different places/least offset/greatest offset"
std::string shape(Database& database, const std::string& table) {
    return database.value(
        "SELECT count(*) || '/' || count(DISTINCT (topic, partition, \"offset\")) || "
        "'/' || min(\"offset\") || '/' || max(\"offset\") FROM " +
        table);
}

/// Runs `work` in a child that dies at the failpoint; false when it did not die there.
bool dies_at(const std::string& failpoint, const std::function<void()>& work) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::setenv("SLUICE_FAILPOINT", failpoint.c_str(), 1);
        work();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

}  // namespace

TEST_CASE("a batch is there with its row in sluice_batches, from one connection or several") {
    Database database;
    for (const char* connections : {"1", "3"}) {
        CAPTURE(connections);
        const std::string table = unique_table("append");
        TestCheckpoint checkpoint;
        SinkRun sink(settings_for(table, connections), checkpoint);
        REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
        const TestPlan plan{{0, 0, 20'000}, {1, 0, 20'000}, {0, 20'000, 25'000}};
        REQUIRE(sink.begin(plan).status == sink::Status::ok);
        REQUIRE(sink.write(plan, plain_record).status == sink::Status::ok);
        CHECK(database.value("SELECT count(*) FROM " + table) == "0");
        const auto committed = sink.commit();
        REQUIRE_MESSAGE(committed.status == sink::Status::ok, committed.message);
        CHECK(shape(database, table) == "45000/45000/0/24999");
        CHECK(database.value("SELECT value FROM " + table +
                             " WHERE partition = 1 AND \"offset\" = 7") == "1@7");
        CHECK(database.value("SELECT batch_id || ' ' || records || ' ' || cluster_id FROM "
                             "sluice_batches WHERE target = '\"public\".\"" +
                             table + "\"'") == "0 45000 cluster-1");
        const auto next = sink.batch({{0, 25'000, 26'000}}, plain_record);
        REQUIRE_MESSAGE(next.status == sink::Status::ok, next.message);
        CHECK(sink.batch({{0, 26'000, 26'000}}, plain_record).status == sink::Status::ok);  // empty
        CHECK(shape(database, table) == "46000/46000/0/25999");
        sink.close();
        CHECK(database.value("SELECT count(*) FROM pg_class WHERE relname LIKE '\\_sluice\\_%'") ==
              "0");
    }
}

TEST_CASE("what libpq buffers is told, and is less where the pipeline's part of memoryMax is") {
    const auto held = [](std::uint64_t memory_max) {
        const std::string table = unique_table("memory");
        TestCheckpoint checkpoint;
        SinkRun sink(settings_for(table), checkpoint, memory_max);
        REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
        const TestPlan plan{{0, 0, 1000}};
        REQUIRE(sink.begin(plan).status == sink::Status::ok);
        const std::string value(2048, 'v');  // 2 MiB in one call
        const auto record_at = [&](std::int32_t, std::int64_t) { return TestRecord{"k", value}; };
        REQUIRE(sink.write(plan, record_at).status == sink::Status::ok);
        const std::uint64_t now = sink.memory_held.load();
        REQUIRE(sink.commit().status == sink::Status::ok);
        sink.close();
        CHECK(sink.memory_held.load() == 0);
        return now;
    };
    CHECK(held(0) == (2U << 20));
    CHECK(held(1U << 20) == (512U << 10));
}

TEST_CASE("an aborted batch leaves nothing, and comes again whole") {
    Database database;
    for (const char* connections : {"1", "2"}) {
        const std::string table = unique_table("abort");
        TestCheckpoint checkpoint;
        SinkRun sink(settings_for(table, connections), checkpoint);
        REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
        const TestPlan plan{{0, 0, 30'000}, {1, 0, 30'000}};
        REQUIRE(sink.begin(plan).status == sink::Status::ok);
        REQUIRE(sink.write(plan, plain_record).status == sink::Status::ok);
        REQUIRE(sink.abort().status == sink::Status::ok);
        CHECK(database.value("SELECT count(*) FROM " + table) == "0");
        REQUIRE(sink.batch(plan, plain_record, true).status == sink::Status::ok);
        CHECK(shape(database, table) == "60000/60000/0/29999");
    }
}

TEST_CASE("killed at every step of a batch, each record is there exactly once") {
    Database database;
    const TestPlan plan{{0, 0, 8'000}, {1, 0, 8'000}};
    for (const char* connections : {"1", "2"}) {
        for (const char* mode : {"append", "upsert"}) {
            for (const char* failpoint :
                 {"postgres.begin.staging_ready", "postgres.write.after_put",
                  "postgres.commit.before_copy_end", "postgres.commit.before_merge",
                  "postgres.commit.before_note", "postgres.commit.before_commit",
                  "postgres.commit.sent", "postgres.commit.after_commit"}) {
                const std::string_view at = failpoint;
                if (at == "postgres.begin.staging_ready" && *connections == '1') continue;
                CAPTURE(connections);
                CAPTURE(mode);
                CAPTURE(failpoint);
                const std::string table = unique_table("killed");
                sink::Settings settings = settings_for(table, connections);
                settings["mode"] = mode;
                if (*mode == 'u') settings["key"] = R"(["partition","offset"])";
                TestCheckpoint checkpoint;
                checkpoint.receipt = R"({"batch":-1})";
                CHECK(dies_at(failpoint, [&] {
                    TestCheckpoint copy = checkpoint;
                    SinkRun sink(settings, copy);
                    (void)sink.batch(plan, plain_record);
                }));
                SinkRun sink(settings, checkpoint);
                REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
                const auto reply = sink.batch(plan, plain_record, true);
                const bool may_be_there = at == "postgres.commit.sent";
                const bool must_be_there = at == "postgres.commit.after_commit";
                CHECK_MESSAGE((reply.status == sink::Status::ok ||
                               reply.status == sink::Status::already_committed),
                              reply.message);
                if (!may_be_there)
                    CHECK((reply.status == sink::Status::already_committed) == must_be_there);
                CHECK(shape(database, table) == "16000/16000/0/7999");
                CHECK(sink.batch({{0, 8'000, 8'001}}, plain_record).status == sink::Status::ok);
            }
        }
    }
}

TEST_CASE("output and checkpoint that do not belong together stop the pipeline") {
    const std::string table = unique_table("mismatch");
    const sink::Settings settings = settings_for(table);
    TestCheckpoint checkpoint;
    TestCheckpoint older;
    {
        SinkRun sink(settings, checkpoint);
        REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
        older = checkpoint;
        for (std::int64_t i = 0; i < 3; ++i)
            REQUIRE(sink.batch({{0, i * 10, i * 10 + 10}}, plain_record).status ==
                    sink::Status::ok);
    }
    const auto refusal = [&](TestCheckpoint from, const TestPlan& plan, const std::string& text) {
        SinkRun sink(settings, from);
        const sink::Reply reply =
            sink.opened.status == sink::Status::ok ? sink.begin(plan, true) : sink.opened;
        CHECK_MESSAGE(reply.status == sink::Status::fatal, reply.message);
        CHECK_MESSAGE(reply.message.find(text) != std::string::npos, reply.message);
    };
    refusal(older, {{0, 0, 10}}, "the checkpoint is older than the output");
    TestCheckpoint zombie = checkpoint;
    zombie.next_batch = 2;
    zombie.receipt = R"({"batch":1})";
    refusal(zombie, {{0, 20, 31}}, "with other offsets");
    TestCheckpoint newer = checkpoint;
    newer.next_batch = 9;
    newer.receipt = R"({"batch":8})";
    refusal(newer, {{0, 80, 90}}, "the output is older than the checkpoint");
    TestCheckpoint other_cluster = checkpoint;
    other_cluster.cluster = "cluster-2";
    refusal(other_cluster, {{0, 30, 40}}, "from Kafka cluster cluster-1");
    refusal(TestCheckpoint{}, {{0, 0, 10}}, "there is no checkpoint");
}

TEST_CASE("a second daemon waits for the first one's session, and is told whose it is") {
    const std::string table = unique_table("fenced");
    TestCheckpoint checkpoint;
    TestCheckpoint same;
    SinkRun first(settings_for(table), checkpoint);
    REQUIRE_MESSAGE(first.opened.status == sink::Status::ok, first.opened.message);
    SinkRun second(settings_for(table), same);
    CHECK(second.opened.status == sink::Status::retry);
    CHECK_MESSAGE(second.opened.message.find("sluice orders") != std::string::npos,
                  second.opened.message);
    first.close();
    SinkRun third(settings_for(table), same);
    CHECK_MESSAGE(third.opened.status == sink::Status::ok, third.opened.message);
}
