#include <doctest/doctest.h>

#include "tests/integration/postgres/database.hpp"
#include "tests/integration/postgres/sink_run.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

sink::Settings upsert_settings(const std::string& table, const std::string& connections) {
    return {{"connection", Database::address()},
            {"table", table},
            {"createTable", "true"},
            {"connections", connections},
            {"mode", "upsert"},
            {"key", R"(["id"])"},
            {"columns", R"({"id":{"from":"key","type":"bigint"},
                            "name":{"from":"value.name","type":"text"},
                            "at":{"from":"offset","type":"bigint"}})"}};
}

TestRecord named(std::int64_t key, const std::string& name) {
    return {std::to_string(key), "{\"name\":\"" + name + "\"}"};
}

}  // namespace

TEST_CASE("the last record of a key wins, within a batch, over ranges read at once, and later") {
    Database database;
    for (const char* connections : {"1", "3"}) {
        CAPTURE(connections);
        const std::string table = unique_table("upsert");
        TestCheckpoint checkpoint;
        SinkRun sink(upsert_settings(table, connections), checkpoint);
        REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
        // Two pieces of one partition, in threads of their own: 100 keys, each 300 times.
        const auto record_at = [](std::int32_t, std::int64_t offset) {
            return named(offset % 100, "n" + std::to_string(offset));
        };
        auto reply = sink.batch({{0, 0, 15'000}, {0, 15'000, 30'000}}, record_at);
        REQUIRE_MESSAGE(reply.status == sink::Status::ok, reply.message);
        CHECK(database.value("SELECT count(*) || ' ' || min(at) || ' ' || max(at) FROM " + table) ==
              "100 29900 29999");
        CHECK(database.value("SELECT name FROM " + table + " WHERE id = 7") == "n29907");
        reply = sink.batch({{0, 30'000, 30'010}}, record_at);
        REQUIRE_MESSAGE(reply.status == sink::Status::ok, reply.message);
        CHECK(database.value("SELECT name FROM " + table + " WHERE id = 7") == "n30007");
        CHECK(database.value("SELECT name FROM " + table + " WHERE id = 11") == "n29911");
    }
}

TEST_CASE("a null value deletes its key, unless a later record of the batch brings it back") {
    Database database;
    for (const char* connections : {"1", "2"}) {
        const std::string table = unique_table("tombstone");
        TestCheckpoint checkpoint;
        SinkRun sink(upsert_settings(table, connections), checkpoint);
        REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
        REQUIRE(sink.batch({{0, 0, 4}},
                           [](std::int32_t, std::int64_t at) { return named(at, "first"); })
                    .status == sink::Status::ok);
        const std::vector<TestRecord> records{
            {"0", std::nullopt},                       // gone
            {"1", std::nullopt}, named(1, "again"),    // back
            named(2, "changed"), {"2", std::nullopt},  // changed, then gone
            {"9", std::nullopt},                       // was never there
        };
        const auto reply = sink.batch({{0, 4, 10}}, [&](std::int32_t, std::int64_t at) {
            return records[static_cast<std::size_t>(at - 4)];
        });
        REQUIRE_MESSAGE(reply.status == sink::Status::ok, reply.message);
        CHECK(database.value("SELECT string_agg(id || name, ' ' ORDER BY id) FROM " + table) ==
              "1again 3first");
    }
}

TEST_CASE("a table without the unique index that upsert needs is refused before any record") {
    Database database;
    const std::string table = unique_table("unindexed");
    database.run("CREATE TABLE " + table + " (id bigint, name text, at bigint)");
    TestCheckpoint checkpoint;
    SinkRun sink(upsert_settings(table, "1"), checkpoint);
    CHECK(sink.opened.status == sink::Status::fatal);
    CHECK_MESSAGE(sink.opened.message.find("unique index or primary key") != std::string::npos,
                  sink.opened.message);
}

TEST_CASE("a column of any type is filled, from numbers with all their digits to arrays") {
    Database database;
    const std::string table = unique_table("types");
    TestCheckpoint checkpoint;
    SinkRun sink({{"connection", Database::address()},
                  {"table", table},
                  {"createTable", "true"},
                  {"columns", R"J({"t":"topic","p":"partition","o":"offset","ts":"timestamp",
                      "tt":"timestampType","h":"headers","k":{"from":"key","type":"bytea"},
                      "v":{"from":"value","type":"jsonb"},
                      "n":{"from":"value.n","type":"numeric(40,20)"},"b":{"from":"value.b","type":"boolean"},
                      "d":{"from":"value.d","type":"double precision"},"u":{"from":"value.u","type":"uuid"},
                      "a":{"from":"value.a","type":"integer[]"},"day":{"from":"value.day","type":"date"},
                      "j":{"from":"value.j","type":"json"},"at":{"from":"value.at","type":"timestamptz"},
                      "deep":{"from":"value.x.y","type":"smallint"},"s":{"from":"value.s","type":"varchar(9)"}})J"}},
                 checkpoint);
    REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
    const auto reply = sink.batch({{2, 5, 6}}, [](std::int32_t, std::int64_t) {
        return TestRecord{std::string("\0\xFF", 2),
                          R"({"n":12345678901234567890.12345678901234567890,"b":true,"d":-1.5e3,
                              "u":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","a":"{1,2}","day":"2024-02-29",
                              "j":{"k":[1]},"at":0,"x":{"y":-7},"s":"tab\tend\\"})"};
    });
    REQUIRE_MESSAGE(reply.status == sink::Status::ok, reply.message);
    database.run("SET timezone = 'UTC'");
    const auto row = database.rows(
        "SELECT t, p, o, ts, tt, h, k, v->>'b', n, b, d, u, a[2], day, j->'k', at, "
        "deep, s FROM " +
        table);
    REQUIRE(row.size() == 1);
    CHECK(row[0] == std::vector<std::string>{
                        "orders", "2", "5", "2023-11-14 22:13:20+00", "CreateTime", "[]", "\\x00ff",
                        "true", "12345678901234567890.12345678901234567890", "t", "-1500",
                        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "2", "2024-02-29", "[1]",
                        "1970-01-01 00:00:00+00", "-7", "tab\tend\\"});
}
