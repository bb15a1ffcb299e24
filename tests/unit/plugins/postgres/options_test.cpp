#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "plugins/postgres/connection.hpp"
#include "plugins/postgres/errors.hpp"
#include "plugins/postgres/options.hpp"
#include "plugins/postgres/postgres_sink.hpp"
#include "plugins/postgres/sql.hpp"

using namespace sluice;
using namespace sluice::plugins::postgres;

namespace {

using Given = std::map<std::string, std::string>;

/// "" or what check() says.
std::string checked(Given given) {
    given.emplace("connection", "postgresql://localhost/db");
    given.emplace("table", "t");
    std::vector<sluice_setting> settings;
    for (const auto& [name, value] : given)
        settings.push_back({{name.data(), name.size()}, {value.data(), value.size()}});
    sluice_config config{};
    config.struct_size = sizeof config;
    config.settings = settings.data();
    config.setting_count = static_cast<std::uint32_t>(settings.size());
    return PostgresSink::check(Config(config)).text();
}

bool says(const Given& given, const std::string& text) {
    const std::string said = checked(given);
    CAPTURE(said);
    return said.find(text) != std::string::npos;
}

Sql upsert_sql() {
    Options options;
    options.table = "a\"b";
    options.mode = Mode::upsert;
    options.columns = read_columns(R"({"id":{"from":"key","type":"bigint"},"v":"value"})");
    options.key = {0};
    return {options, "public", "p"};
}

}  // namespace

TEST_CASE("check finds what does not fit together, without a server") {
    CHECK(checked({}).empty());
    CHECK(checked({{"table", "s.t"}, {"connection", "host=db dbname=x"}}).empty());
    CHECK(says({{"table", "a.b.c"}}, "neither table nor schema.table"));
    CHECK(says({{"table", ""}}, "neither table nor schema.table"));
    CHECK(says({{"table", "sluice_batches"}}, "the sink's own"));
    CHECK(says({{"mode", "upsert"}}, "needs key"));
    CHECK(says({{"key", "[\"key\"]"}}, "is for mode: upsert"));
    CHECK(checked({{"mode", "upsert"}, {"key", "[\"key\"]"}}).empty());
    CHECK(checked({{"mode", "upsert"}, {"key", "\"key\""}}).empty());
    CHECK(says({{"mode", "upsert"}, {"key", "[\"id\"]"}}, "'id' is none of `columns`"));
    CHECK(says({{"mode", "upsert"}, {"key", "[\"key\",\"key\"]"}}, "twice"));
    CHECK(says({{"mode", "upsert"}, {"key", "[]"}}, "no list of columns"));
}

TEST_CASE("check names the column whose filling cannot work") {
    CHECK(says({{"columns", "[]"}}, "no map of column names"));
    CHECK(says({{"columns", "{}"}}, "names no column"));
    CHECK(says({{"columns", R"({"a":"nothing"})"}}, "'a' comes from 'nothing'"));
    CHECK(says({{"columns", R"({"a":"topic.x"})"}}, "only key and value have fields"));
    CHECK(says({{"columns", R"({"a":"value..x"})"}}, "empty name"));
    CHECK(says({{"columns", R"({"a":{"type":"text"}})"}}, "has no 'from'"));
    CHECK(says({{"columns", R"({"a":{"from":"key","typ":"text"}})"}}, "'typ'"));
    CHECK(says({{"columns", R"({"a":{"from":"key","type":"text); DROP"}})"}}, "no name of a type"));
    CHECK(says({{"columns", R"({"a":{"from":"value.x","type":"bytea"}})"}}, "whole key or value"));
    CHECK(says({{"columns", R"({"a":{"from":"offset","type":"integer"}})"}}, "bigint"));
    CHECK(says({{"columns", R"({"_sluice_x":"key"})"}}, "sink's own"));
}

TEST_CASE("a connection that cannot be read is refused, and never repeated") {
    const std::string said = checked({{"connection", "postgresql://u:sec%ZZret@h/db"}});
    CHECK_FALSE(said.empty());
    CHECK(said.find("sec") == std::string::npos);
    CHECK(says({{"connection", "host"}}, "can be read neither"));
}

TEST_CASE("an error of the server is retried, isolated or left to a person by its SQLSTATE") {
    for (const char* state : {"08006", "57P01", "57P02", "57P03", "57014", "53100", "53200",
                              "53300", "40001", "40P01", "55P03", "25006", "58030", ""})
        CHECK_MESSAGE(kind_of(state) == ErrorKind::retry, state);
    for (const char* state :
         {"22001", "22P02", "22003", "23502", "23505", "23514", "P0001", "54000"})
        CHECK_MESSAGE(kind_of(state) == ErrorKind::row, state);
    for (const char* state :
         {"28P01", "28000", "3D000", "42501", "42P01", "42703", "42P10", "0A000", "XX000", "21000"})
        CHECK_MESSAGE(kind_of(state) == ErrorKind::fatal, state);
}

TEST_CASE("a row is refused for good where no other row has a say in it") {
    for (const char* state : {"22001", "22P02", "22003", "23502", "23514", "54000"})
        CHECK_MESSAGE(!depends_on_others(state), state);
    for (const char* state : {"23505", "23503", "23P01", "23001", "P0001", "44000"})
        CHECK_MESSAGE(depends_on_others(state), state);
}

TEST_CASE("the line of a COPY is read from the context, in any language") {
    CHECK(line_of("COPY t, line 17, column x: \"abc\"") == 17);
    CHECK(line_of("COPY t2, Zeile 3") == 3);
    CHECK(line_of("SQL statement\nCOPY orders_1, line 12") == 12);
    CHECK_FALSE(line_of("").has_value());
    CHECK_FALSE(line_of("PL/pgSQL function f() line 3 at RAISE").has_value());
}

TEST_CASE("the SQLSTATE of a refused connection is found in libpq's text") {
    CHECK(sqlstate_in(
              "connection to server at \"h\" (1.2.3.4), port 5432 failed: FATAL:  28P01: "
              "password authentication failed for user \"u\" LOCATION:  auth_failed, auth.c:1") ==
          "28P01");
    CHECK(sqlstate_in("connection to server at \"h\", port 1 failed: Connection refused").empty());
    CHECK(sqlstate_in(": 1234").empty());
}

TEST_CASE("names are quoted, and an upsert keeps the newest row of each key") {
    const Sql sql = upsert_sql();
    CHECK(sql.target() == "\"public\".\"a\"\"b\"");
    CHECK(sql.create_target() ==
          "CREATE TABLE \"public\".\"a\"\"b\" (\"id\" bigint, \"v\" text, PRIMARY KEY (\"id\"))");
    const auto merge = sql.merge({"s"}, true);
    REQUIRE(merge.size() == 2);
    CHECK(merge[0].find("DELETE FROM") == 0);
    CHECK(merge[1].find("ORDER BY \"id\", _sluice_offset DESC, _sluice_range DESC") !=
          std::string::npos);
    CHECK(merge[1].find("ON CONFLICT (\"id\") DO UPDATE SET \"v\" = EXCLUDED.\"v\"") !=
          std::string::npos);
    CHECK(sql.merge({"s"}, false).size() == 1);
    CHECK(sql.merge({"s1", "s2"}, false)[0].find("UNION ALL") != std::string::npos);
}

TEST_CASE("an upsert in pieces passes over rows that are older than what it has merged") {
    const Sql sql = upsert_sql();
    CHECK(sql.create_merged("m") ==
          "CREATE TEMPORARY TABLE m ON COMMIT DROP AS SELECT \"id\", 0::bigint AS _sluice_offset, 0::bigint AS "
          "_sluice_range FROM \"public\".\"a\"\"b\" WITH NO DATA; CREATE UNIQUE INDEX ON m (\"id\")");
    CHECK(sql.drop_older("s", "m") ==
          "DELETE FROM s AS staged USING m AS merged WHERE (merged._sluice_offset, merged._sluice_range) > "
          "(staged._sluice_offset, staged._sluice_range) AND merged.\"id\" = staged.\"id\"");
    CHECK(sql.note_merged("s", "m").find("ON CONFLICT (\"id\") DO UPDATE SET _sluice_offset") !=
          std::string::npos);
}

TEST_CASE("names of staging tables fit, and tell pipelines and tables apart") {
    const Sql sql = upsert_sql();
    CHECK(sql.staging_name("4194304_17999999999999", 31).size() <= 63);
    Options options;
    options.table = "a\"b";
    CHECK(Sql(options, "public", "p").staging_prefix() == sql.staging_prefix());
    CHECK(Sql(options, "public", "q").staging_prefix() != sql.staging_prefix());
    CHECK(Sql(options, "other", "p").staging_prefix() != sql.staging_prefix());
}
