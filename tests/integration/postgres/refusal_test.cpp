#include <doctest/doctest.h>

#include <set>

#include "tests/integration/postgres/database.hpp"
#include "tests/integration/postgres/sink_run.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

/// Value {"n": offset} but where `poison` has another.
RecordAt numbers_with(const std::map<std::int64_t, std::string>& poison) {
    return [poison](std::int32_t, std::int64_t offset) {
        const auto found = poison.find(offset);
        return TestRecord{std::to_string(offset), found == poison.end()
                                                      ? "{\"n\":" + std::to_string(offset) + "}"
                                                      : found->second};
    };
}

sink::Settings numbers_settings(const std::string& table, const std::string& mode,
                                const std::string& connections) {
    sink::Settings settings{{"connection", Database::address()},
                            {"table", table},
                            {"connections", connections},
                            {"mode", mode},
                            {"columns", R"({"id":{"from":"key","type":"bigint"},
                                            "n":{"from":"value.n","type":"other"}})"}};
    if (mode == "upsert") settings["key"] = R"(["id"])";
    return settings;
}

bool mentions(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

sink::Reply opened(const sink::Settings& settings) {
    TestCheckpoint checkpoint;
    return SinkRun(settings, checkpoint).opened;
}

}  // namespace

TEST_CASE("rows that the server refuses are named, and all others of the batch are kept") {
    Database database;
    const std::map<std::int64_t, std::string> poison{
        {0, R"({"n":"x"})"},             // no integer for the server: 22P02
        {1234, R"({"n":-1})"},           // a check: 23514
        {1235, R"({"n":null})"},         // not null: 23502
        {2999, R"({"n":99999999999})"},  // out of range: 22003
        {5000, R"({"n":"0x"})"},
    };
    for (const char* mode : {"append", "upsert"}) {
        for (const char* connections : {"1", "2"}) {
            CAPTURE(mode);
            CAPTURE(connections);
            const std::string table = unique_table("poison");
            database.run("CREATE TABLE " + table +
                         " (id bigint PRIMARY KEY, n integer NOT NULL CHECK (n >= 0))");
            TestCheckpoint checkpoint;
            SinkRun sink(numbers_settings(table, mode, connections), checkpoint);
            REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
            const auto reply =
                sink.batch({{0, 0, 3000}, {0, 3000, 6000}}, numbers_with(poison), false, 1);
            REQUIRE_MESSAGE(reply.status == sink::Status::ok, reply.message);
            REQUIRE(sink.retried.size() == 1);
            CHECK(mentions(sink.retried[0], "the server refused a row"));
            std::set<std::int64_t> offsets;
            for (const auto& [offset, why] : sink.refused)
                offsets.insert(offset);
            CHECK(offsets == std::set<std::int64_t>{0, 1234, 1235, 2999, 5000});
            CHECK_MESSAGE(mentions(sink.refused[1234], "check constraint"), sink.refused[1234]);
            CHECK_MESSAGE(mentions(sink.refused[0], "22P02"), sink.refused[0]);
            CHECK(database.value("SELECT count(*) || ' ' || sum(n) FROM " + table) ==
                  "5995 " + std::to_string(5999 * 6000 / 2 - 1234 - 1235 - 2999 - 5000));
            // The next batch is fast again: nothing is refused, nothing run twice.
            CHECK(sink.batch({{0, 6000, 6100}}, numbers_with({})).status == sink::Status::ok);
        }
    }
}

TEST_CASE("constraints without a line in COPY's context are found by halves, deferred ones too") {
    Database database;
    const std::string parent = unique_table("parent");
    const std::string table = unique_table("child");
    database.run("CREATE TABLE " + parent + " (n integer PRIMARY KEY); INSERT INTO " + parent +
                 " SELECT generate_series(0, 1999); CREATE TABLE " + table +
                 " (id bigint, n integer REFERENCES " + parent + " DEFERRABLE INITIALLY DEFERRED)");
    TestCheckpoint checkpoint;
    SinkRun sink(numbers_settings(table, "append", "1"), checkpoint);
    REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
    const auto reply = sink.batch({{0, 0, 2002}}, numbers_with({{700, R"({"n":-5})"}}), false, 1);
    REQUIRE_MESSAGE(reply.status == sink::Status::ok, reply.message);
    CHECK(sink.refused.size() == 3);
    CHECK(mentions(sink.refused[700], "foreign key"));
    CHECK(sink.refused.count(2001) == 1);
    CHECK(database.value("SELECT count(*) FROM " + table) == "1999");
}

TEST_CASE("beside a bad record, a row gets the unique value that another row gives up in the same batch") {
    Database database;
    for (const char* connections : {"1", "2"}) {
        for (const bool gives_up_first : {true, false}) {
            CAPTURE(connections);
            CAPTURE(gives_up_first);
            const std::string table = unique_table("handover");
            database.run("CREATE TABLE " + table + " (id bigint PRIMARY KEY, n integer UNIQUE)");
            TestCheckpoint checkpoint;
            SinkRun sink(numbers_settings(table, "upsert", connections), checkpoint);
            REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
            REQUIRE(sink.batch({{0, 0, 1}}, numbers_with({})).status == sink::Status::ok);
            // Key 0 has n = 0, and goes; another key gets it. They are in different calls.
            const std::int64_t gone = gives_up_first ? 1 : 1500;
            const std::int64_t heir = gives_up_first ? 1500 : 1;
            const auto plain = numbers_with({{heir, R"({"n":0})"}, {2000, R"({"n":"x"})"}});
            const auto reply = sink.batch(
                {{0, 1, 2001}},
                [&](std::int32_t partition, std::int64_t at) {
                    return at == gone ? TestRecord{"0", std::nullopt} : plain(partition, at);
                },
                false, 1);
            REQUIRE_MESSAGE(reply.status == sink::Status::ok, reply.message);
            CHECK(sink.retried.size() == 1);
            CHECK(sink.lost == 0);
            CHECK(sink.refused.size() == 1);
            CHECK(sink.refused.count(2000) == 1);
            CHECK(database.value("SELECT id FROM " + table + " WHERE n = 0") == std::to_string(heir));
            CHECK(database.value("SELECT count(*) FROM " + table) == "1998");
        }
    }
}

TEST_CASE("beside a bad record, rows find the rows they refer to, in whichever call these come") {
    Database database;
    for (const char* mode : {"append", "upsert"}) {
        CAPTURE(mode);
        const std::string table = unique_table("tree");
        database.run("CREATE TABLE " + table + " (id bigint PRIMARY KEY, n bigint REFERENCES " + table + ")");
        TestCheckpoint checkpoint;
        SinkRun sink(numbers_settings(table, mode, "1"), checkpoint);
        REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
        const std::map<std::int64_t, std::string> parents{
            {1500, R"({"n":3})"}, {2, R"({"n":1700})"}, {1999, R"({"n":5000})"}};
        const auto reply = sink.batch(
            {{0, 0, 2000}},
            [&](std::int32_t, std::int64_t at) {
                const auto found = parents.find(at);
                return TestRecord{std::to_string(at), found == parents.end() ? R"({"n":null})" : found->second};
            },
            false, 1);
        REQUIRE_MESSAGE(reply.status == sink::Status::ok, reply.message);
        CHECK(sink.retried.size() == 1);
        CHECK(sink.lost == 1);  // who refers to nothing is known once all are there
        CHECK(sink.refused.size() == 1);
        CHECK_MESSAGE(mentions(sink.refused[1999], "foreign key"), sink.refused[1999]);
        CHECK(database.value("SELECT count(*) || ' ' || count(n) FROM " + table) == "1999 2");
    }
}

TEST_CASE("beside a bad record, what the table defers to the commit is checked there") {
    Database database;
    for (const bool lacks_parent : {false, true}) {
        CAPTURE(lacks_parent);
        const std::string table = unique_table("deferred");
        database.run("CREATE TABLE " + table + " (id bigint PRIMARY KEY, n bigint REFERENCES " + table +
                     " DEFERRABLE INITIALLY DEFERRED)");
        TestCheckpoint checkpoint;
        SinkRun sink(numbers_settings(table, "append", "1"), checkpoint);
        REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
        // Each row refers to itself; but for 0, whose parent is in the next call.
        std::map<std::int64_t, std::string> others{{0, R"({"n":1500})"}, {1999, R"({"n":"x"})"}};
        if (lacks_parent) others[1998] = R"({"n":5000})";
        const auto reply = sink.batch({{0, 0, 2000}}, numbers_with(others), false, 2);
        REQUIRE_MESSAGE(reply.status == sink::Status::ok, reply.message);
        CHECK(sink.retried.size() == (lacks_parent ? 2 : 1));
        CHECK(sink.lost == (lacks_parent ? 1 : 0));
        CHECK(sink.refused.size() == (lacks_parent ? 2 : 1));
        CHECK(sink.refused.count(1999) == 1);
        CHECK(sink.refused.count(1998) == (lacks_parent ? 1 : 0));
        CHECK(database.value("SELECT n FROM " + table + " WHERE id = 0") == "1500");
        CHECK(database.value("SELECT count(*) FROM " + table) == (lacks_parent ? "1998" : "1999"));
    }
}

TEST_CASE("beside a bad record, the newest row of a key wins too, in whichever order ranges are read") {
    Database database;
    const std::string table = unique_table("newest");
    database.run("CREATE TABLE " + table + " (id bigint PRIMARY KEY, n integer)");
    TestCheckpoint checkpoint;
    SinkRun sink(numbers_settings(table, "upsert", "1"), checkpoint);
    REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
    const auto record_at = [](std::int32_t, std::int64_t at) {
        const std::string key = std::to_string(at % 100);
        if (at == 7) return TestRecord{key, std::nullopt};
        return TestRecord{key, at == 1500 ? R"({"n":"x"})" : "{\"n\":" + std::to_string(at) + "}"};
    };
    const TestPlan plan{{0, 0, 1000}, {0, 1000, 2000}};
    REQUIRE(sink.batch(plan, record_at).status == sink::Status::retry);
    REQUIRE(sink.begin(plan, true).status == sink::Status::ok);
    CHECK(sink.write({plan[1]}, record_at).status == sink::Status::ok);
    CHECK(sink.write({plan[0]}, record_at).status == sink::Status::ok);
    const auto committed = sink.commit();
    REQUIRE_MESSAGE(committed.status == sink::Status::ok, committed.message);
    CHECK(sink.refused.count(1500) == 1);
    CHECK(database.value("SELECT count(*) || ' ' || min(n) || ' ' || max(n) FROM " + table) == "100 1900 1999");
}

TEST_CASE("more refused rows than can be kept for a second try stop the pipeline") {
    Database database;
    const std::string table = unique_table("repeats");
    database.run("CREATE TABLE " + table + " (id bigint PRIMARY KEY, n text)");
    TestCheckpoint checkpoint;
    SinkRun sink(numbers_settings(table, "append", "1"), checkpoint, 1);
    REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
    const auto reply = sink.batch(
        {{0, 0, 3}},
        [](std::int32_t, std::int64_t) {
            return TestRecord{"1", "{\"n\":\"" + std::string(600'000, 'a') + "\"}"};
        },
        false, 1);
    CHECK_MESSAGE(reply.status == sink::Status::fatal, reply.message);
    CHECK_MESSAGE(mentions(reply.message, "second try: 1 rows"), reply.message);
    CHECK_MESSAGE(mentions(reply.message, "raise memoryMax"), reply.message);
    CHECK(database.value("SELECT count(*) FROM " + table) == "0");
}

TEST_CASE("what the plugin itself refuses does not cost the batch") {
    const std::string table = unique_table("which");
    TestCheckpoint checkpoint;
    SinkRun sink({{"connection", Database::address()}, {"table", table}, {"createTable", "true"}},
                 checkpoint);
    REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
    const auto reply = sink.batch({{0, 0, 100}}, [](std::int32_t, std::int64_t at) {
        return TestRecord{"k", at == 50 ? std::string("a\0b", 3) : "v"};
    });
    CHECK_MESSAGE(reply.status == sink::Status::ok, reply.message);
    REQUIRE(sink.refused.size() == 1);
    CHECK(mentions(sink.refused[50], "column 'value'"));
    Database database;
    CHECK(database.value("SELECT count(*) FROM " + table) == "99");
}

TEST_CASE("a table, column, right or password that is missing stops the pipeline with the remedy") {
    Database database;
    const std::string table = unique_table("missing");
    const auto refusal = [&](const sink::Settings& more, const std::string& text) {
        sink::Settings settings = more;
        settings.emplace("connection", Database::address());
        settings.emplace("table", table);
        const sink::Reply reply = opened(settings);
        CHECK_MESSAGE(reply.status == sink::Status::fatal, reply.message);
        CHECK_MESSAGE(mentions(reply.message, text), reply.message);
    };
    refusal({}, "CREATE TABLE \"public\".\"" + table + "\" (\"topic\" text");
    refusal({{"table", "nowhere." + table}, {"createTable", "true"}}, "create the schema");
    database.run("CREATE TABLE " + table + " (key text)");
    refusal({}, "add the column to the table");
    database.run("DROP ROLE IF EXISTS locked; CREATE ROLE locked LOGIN PASSWORD 'secret'");
    refusal({{"connection", Database::address("locked:wrong")}}, "password authentication failed");
    refusal({{"connection", Database::address("locked")}}, "the server asks for a password");
    database.run("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN");
    database.run("GRANT SELECT ON " + table + " TO reader");
    refusal({{"connection", Database::address("reader")}, {"columns", R"({"key":"key"})"}},
            "permission denied");
}

TEST_CASE("a column that must not be null, and that nothing fills, stops the pipeline before any record") {
    Database database;
    const std::string table = unique_table("lacking");
    const sink::Settings settings{{"connection", Database::address()},
                                  {"table", table},
                                  {"columns", R"({"id":{"from":"key","type":"bigint"}})"}};
    database.run("CREATE DOMAIN " + table + "_zero AS integer DEFAULT 0 NOT NULL; CREATE TABLE " + table +
                 " (id bigint NOT NULL, filled integer NOT NULL DEFAULT 1, by_domain " + table +
                 "_zero, counted integer GENERATED ALWAYS AS IDENTITY, doubled bigint NOT NULL GENERATED "
                 "ALWAYS AS (id * 2) STORED, \"Tenant\" text NOT NULL, region text NOT NULL)");
    const sink::Reply reply = opened(settings);
    CHECK_MESSAGE(reply.status == sink::Status::fatal, reply.message);
    CHECK_MESSAGE(mentions(reply.message, "\"Tenant\", \"region\""), reply.message);
    for (const char* column : {"filled", "by_domain", "counted", "doubled", "\"id\""})
        CHECK_MESSAGE(!mentions(reply.message, column), reply.message);
    CHECK_MESSAGE(mentions(reply.message, "SET DEFAULT"), reply.message);
    // The server asks for the value behind its triggers, and so may one of them give it.
    database.run("CREATE FUNCTION " + table + "_fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                 "NEW.\"Tenant\" := 't'; NEW.region := 'r'; RETURN NEW; END $$; CREATE TRIGGER fill "
                 "BEFORE INSERT ON " + table + " FOR EACH ROW EXECUTE FUNCTION " + table + "_fill()");
    TestCheckpoint checkpoint;
    SinkRun sink(settings, checkpoint);
    REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
    const auto written = sink.batch({{0, 0, 10}}, numbers_with({}));
    CHECK_MESSAGE(written.status == sink::Status::ok, written.message);
}

TEST_CASE("a table that refuses whatever is written stops the pipeline, and buries no topic") {
    Database database;
    for (const char* mode : {"append", "upsert"}) {
        for (const char* level : {"STATEMENT", "ROW"}) {
            CAPTURE(mode);
            CAPTURE(level);
            const std::string table = unique_table("frozen");
            database.run("CREATE TABLE " + table + " (id bigint PRIMARY KEY, n integer)");
            TestCheckpoint checkpoint;
            SinkRun sink(numbers_settings(table, mode, "1"), checkpoint);
            REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
            database.run("CREATE FUNCTION " + table +
                         "_no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'closed for the "
                         "audit' USING ERRCODE = '" + (*level == 'S' ? "23514" : "P0001") +
                         "'; END $$; CREATE TRIGGER no BEFORE INSERT ON " + table + " FOR EACH " + level +
                         " EXECUTE FUNCTION " + table + "_no()");
            const auto reply = sink.batch({{0, 0, 300}}, numbers_with({}), false, 1);
            CHECK_MESSAGE(reply.status == sink::Status::fatal, reply.message);
            CHECK_MESSAGE(mentions(reply.message, "closed for the audit"), reply.message);
            CHECK_MESSAGE(mentions(reply.message, "every one of 300 rows"), reply.message);
            database.run("DROP TRIGGER no ON " + table);
            const auto again = sink.batch({{0, 0, 300}}, numbers_with({}), true, 1);
            CHECK_MESSAGE(again.status == sink::Status::ok, again.message);
        }
    }
}

TEST_CASE("a long run of bad records is refused row by row: the table would take others") {
    Database database;
    const std::string table = unique_table("burst");
    database.run("CREATE TABLE " + table + " (id bigint, n integer CHECK (n >= 1000))");
    TestCheckpoint checkpoint;
    SinkRun sink(numbers_settings(table, "append", "1"), checkpoint);
    REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
    // The first call of 1000 is refused whole, the second one is not.
    const auto reply = sink.batch({{0, 0, 2000}}, numbers_with({}), false, 1);
    REQUIRE_MESSAGE(reply.status == sink::Status::ok, reply.message);
    CHECK(sink.refused.size() == 1000);
    CHECK(database.value("SELECT count(*) FROM " + table) == "1000");
}

TEST_CASE("a server that is not there, or full, is tried again") {
    const sink::Reply reply =
        opened({{"connection", "postgresql://sluice@127.0.0.1:1/postgres"}, {"table", "t"}});
    CHECK(reply.status == sink::Status::retry);
    CHECK_MESSAGE(mentions(reply.message, "refused"), reply.message);
    Database database;
    database.run("DROP ROLE IF EXISTS single; CREATE ROLE single LOGIN CONNECTION LIMIT 0");
    const sink::Reply full = opened({{"connection", Database::address("single")}, {"table", "t"}});
    CHECK_MESSAGE(full.status == sink::Status::retry, full.message);
    CHECK_MESSAGE(mentions(full.message, "53300"), full.message);
}

TEST_CASE("a lock of another session is waited for, and then the batch runs again") {
    Database database;
    const std::string table = unique_table("locked");
    TestCheckpoint checkpoint;
    SinkRun sink({{"connection", Database::address()},
                  {"table", table},
                  {"createTable", "true"},
                  {"lockTimeout", "200"}},
                 checkpoint);
    REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
    database.run("BEGIN; LOCK TABLE " + table + " IN ACCESS EXCLUSIVE MODE");
    const auto reply = sink.batch({{0, 0, 10}}, plain_record);
    CHECK(reply.status == sink::Status::retry);
    CHECK_MESSAGE(mentions(reply.message, "55P03"), reply.message);
    database.run("ROLLBACK");
    CHECK(sink.batch({{0, 0, 10}}, plain_record, true).status == sink::Status::ok);
}

TEST_CASE(
    "a server that does not answer in time is left, and what it was doing is not done twice") {
    Database database;
    const std::string table = unique_table("hangs");
    TestCheckpoint checkpoint;
    SinkRun sink({{"connection", Database::address()},
                  {"table", table},
                  {"createTable", "true"},
                  {"lockTimeout", "60000"},
                  {"timeout", "1000"}},
                 checkpoint);
    REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
    REQUIRE(sink.begin({{0, 0, 10}}).status == sink::Status::ok);
    database.run("BEGIN; LOCK TABLE " + table + " IN ACCESS EXCLUSIVE MODE");
    // The COPY hangs; its session goes on waiting, with the pipeline's lock.
    const auto hung = sink.write({{0, 0, 10}}, plain_record);
    CHECK(hung.status == sink::Status::retry);
    CHECK_MESSAGE(mentions(hung.message, "no answer from the server"), hung.message);
    CHECK(sink.abort().status == sink::Status::ok);
    database.run("ROLLBACK");
    const auto reply = sink.batch({{0, 0, 10}}, plain_record, true, 10);
    CHECK_MESSAGE(reply.status == sink::Status::ok, reply.message);
    CHECK(database.value("SELECT count(*) FROM " + table) == "10");
}

TEST_CASE("the privileges that the README lists are enough") {
    Database database;
    const std::string role = unique_table("writer");
    const std::string schema = unique_table("narrow");
    database.run("CREATE ROLE " + role + " LOGIN; CREATE SCHEMA " + schema + "; CREATE TABLE " +
                 schema + ".t (key text PRIMARY KEY, value text); GRANT USAGE ON SCHEMA " + schema +
                 " TO " + role + "; GRANT SELECT, INSERT, UPDATE, DELETE ON " + schema + ".t TO " +
                 role);
    sink::Settings settings{{"connection", Database::address(role)},
                            {"table", schema + ".t"},
                            {"columns", R"({"key":"key","value":"value"})"}};
    const sink::Reply refused = opened(settings);
    CHECK(refused.status == sink::Status::fatal);
    CHECK_MESSAGE(mentions(refused.message, "permission denied for schema"), refused.message);
    const std::size_t statement = refused.message.find("CREATE TABLE");
    REQUIRE_MESSAGE(statement != std::string::npos, refused.message);
    database.run(refused.message.substr(statement) + "; GRANT SELECT, INSERT, DELETE ON " + schema +
                 ".sluice_batches TO " + role);
    for (const char* mode : {"upsert", "append"}) {
        settings["mode"] = mode;
        settings.erase("key");
        if (*mode == 'u') settings["key"] = R"(["key"])";
        TestCheckpoint checkpoint;
        checkpoint.pipeline = mode;
        SinkRun sink(settings, checkpoint);
        REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
        const auto reply = sink.batch({{0, 0, 10}}, [&](std::int32_t, std::int64_t at) {
            return TestRecord{mode + std::to_string(at), "v"};
        });
        CHECK_MESSAGE(reply.status == sink::Status::ok, reply.message);
    }
    CHECK(database.value("SELECT count(*) FROM " + schema + ".t") == "20");
}

TEST_CASE("a session ended by an administrator costs a re-run, and nothing else") {
    Database database;
    for (const char* connections : {"1", "2"}) {
        CAPTURE(connections);
        const std::string table = unique_table("ended");
        TestCheckpoint checkpoint;
        SinkRun sink({{"connection", Database::address()},
                      {"table", table},
                      {"createTable", "true"},
                      {"connections", connections}},
                     checkpoint);
        REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
        const auto end_sessions = [&](const std::string& name) {
            database.run(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE "
                "application_name LIKE '" +
                name + "'");
        };
        const TestPlan plan{{0, 0, 20'000}, {1, 0, 20'000}};
        REQUIRE(sink.begin(plan).status == sink::Status::ok);
        REQUIRE(sink.write(plan, plain_record).status == sink::Status::ok);
        end_sessions("sluice orders%");
        const auto lost = sink.commit();
        CHECK_MESSAGE(lost.status == sink::Status::retry, lost.message);
        CHECK_MESSAGE(mentions(lost.message, "terminat"), lost.message);
        CHECK(sink.abort().status == sink::Status::ok);
        CHECK(sink.batch(plan, plain_record, true, 3).status == sink::Status::ok);
        // Between batches it is not even noticed.
        end_sessions("sluice orders");
        CHECK(sink.batch({{0, 20'000, 20'001}}, plain_record).status == sink::Status::ok);
        CHECK(sink.retried.empty());
        CHECK(database.value(
                  "SELECT count(*) || ' ' || count(DISTINCT (partition, \"offset\")) FROM " +
                  table) == "40001 40001");
    }
}

TEST_CASE("limits that a role's sessions have for people do not end the sink's") {
    Database database;
    const std::string role = unique_table("limited");
    const std::string table = unique_table("idle");
    database.run("CREATE ROLE " + role + " SUPERUSER LOGIN");
    for (const char* limit : {"idle_session_timeout", "idle_in_transaction_session_timeout", "transaction_timeout",
                              "statement_timeout"}) {
        if (database.value(std::string("SELECT count(*) FROM pg_settings WHERE name = '") + limit + "'") == "1")
            database.run("ALTER ROLE " + role + " SET " + limit + " = 1000");
    }
    TestCheckpoint checkpoint;
    SinkRun sink({{"connection", Database::address(role)},
                  {"table", table},
                  {"createTable", "true"},
                  {"connections", "2"}},
                 checkpoint);
    REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
    REQUIRE(sink.batch({{0, 0, 10}, {1, 0, 10}}, plain_record).status == sink::Status::ok);
    const std::string sessions =
        "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity WHERE usename = '" + role + "'";
    const std::string before = database.value(sessions);
    database.run("SELECT pg_sleep(2)");  // twice as long as they may idle
    CHECK(database.value(sessions) == before);
    const auto reply = sink.batch({{0, 10, 20}, {1, 10, 20}}, plain_record);
    CHECK_MESSAGE(reply.status == sink::Status::ok, reply.message);
}

TEST_CASE("a session that could not be set up is not used: the next one has the lock") {
    Database database;
    const std::string role = unique_table("barred");
    const std::string table = unique_table("setup");
    // What the sink asks pg_settings for goes through a view that can be broken.
    database.run("CREATE ROLE " + role + " SUPERUSER LOGIN; CREATE SCHEMA " + role + "; CREATE TABLE " + role +
                 ".works (yes integer); INSERT INTO " + role + ".works VALUES (1); CREATE VIEW " + role +
                 ".pg_settings AS SELECT s.* FROM pg_catalog.pg_settings s, " + role + ".works WHERE 1 / yes = 1; "
                 "ALTER ROLE " + role + " SET search_path = " + role + ", pg_catalog, public");
    TestCheckpoint checkpoint;
    SinkRun sink({{"connection", Database::address(role)}, {"table", "public." + table}, {"createTable", "true"}},
                 checkpoint);
    REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
    const auto locks = [&] {
        return database.value(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' "
            "AND l.granted AND a.usename = '" + role + "'");
    };
    REQUIRE(locks() == "1");
    database.run("UPDATE " + role + ".works SET yes = 0; SELECT pg_terminate_backend(pid, 10000) FROM "
                 "pg_stat_activity WHERE usename = '" + role + "'");
    const TestPlan plan{{0, 0, 10}};
    CHECK(sink.begin(plan).status != sink::Status::ok);
    database.run("UPDATE " + role + ".works SET yes = 1");
    const auto begun = sink.begin(plan);
    CHECK_MESSAGE(begun.status == sink::Status::ok, begun.message);
    CHECK(locks() == "1");
    CHECK(sink.write(plan, plain_record).status == sink::Status::ok);
    CHECK(sink.commit().status == sink::Status::ok);
}

TEST_CASE("a server that crashes in the middle of a batch, or of a commit, is found again") {
    Database database;
    for (const char* connections : {"1", "2"}) {
        CAPTURE(connections);
        const std::string table = unique_table("crashed");
        TestCheckpoint checkpoint;
        SinkRun sink({{"connection", Database::address()},
                      {"table", table},
                      {"createTable", "true"},
                      {"connections", connections}},
                     checkpoint);
        REQUIRE_MESSAGE(sink.opened.status == sink::Status::ok, sink.opened.message);
        REQUIRE(sink.batch({{0, 0, 10}}, plain_record).status == sink::Status::ok);
        const TestPlan plan{{0, 10, 20'000}, {1, 10, 20'000}};
        REQUIRE(sink.begin(plan).status == sink::Status::ok);
        REQUIRE(sink.write(plan, plain_record).status == sink::Status::ok);
        database.crash_server();
        const auto lost = sink.commit();
        CHECK_MESSAGE(lost.status == sink::Status::retry, lost.message);
        CHECK(sink.abort().status == sink::Status::ok);
        const auto down = sink.begin(plan, true);
        CHECK_MESSAGE(down.status == sink::Status::retry, down.message);
        database.start_server();
        const auto reply = sink.batch(plan, plain_record, true, 20);
        CHECK_MESSAGE(reply.status == sink::Status::ok, reply.message);
        CHECK(database.value(
                  "SELECT count(*) || ' ' || count(DISTINCT (partition, \"offset\")) FROM " +
                  table) == "39990 39990");
    }
}
