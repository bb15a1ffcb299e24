// The postgres sink through the kit, on a real server that goes away and comes back.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/integration/postgres/database.hpp"
#include "tests/sinktest/kit_run.hpp"

using namespace sluice::test;

namespace {

std::string script(const std::string& what) {
    return std::string(SLUICE_TEST_SOURCE_DIR) + "/tests/support/postgres.sh " + what + " " +
           SLUICE_TEST_BINARY_DIR + "/postgres";
}

void keeps_exactly_once(const std::string& options, const std::string& columns, std::vector<std::string> more) {
    CAPTURE(options);
    Database database;
    const std::string table = unique_table("kit");
    const KitFolder folder;
    folder.write("sink.yaml", "plugin: postgres\nconnection: " + Database::address() + "\ntable: " + table +
                                  "\ncreateTable: true\n" + options);
    more.insert(more.end(), {"--rounds", "6", "--reader",
                             "psql " + Database::address() + " -XqAtc \"select json_build_object('topic', topic, "
                             "'partition', partition, 'offset', \\\"offset\\\"" + columns + ") from " + table + "\""});
    const KitRun run = run_kit(plugin_file("lib/sluice/postgres.so"), folder.path("sink.yaml"), std::move(more));
    CHECK_MESSAGE(run.code == 0, run.text);
    CHECK_MESSAGE(run.says("declared exactly-once, proven exactly-once"), run.text);
}

}  // namespace

TEST_CASE("postgres: rows appended over one connection are there exactly once, through a server that crashes") {
    keeps_exactly_once("", ", 'key', key, 'value', value",
                       {"--down", script("crash"), "--up", script("up")});
}

TEST_CASE("postgres: bytes, headers and timestamps are kept as they are, over two connections") {
    keeps_exactly_once("connections: 2\ncolumns:\n  topic: topic\n  partition: partition\n  offset: offset\n"
                       "  key: {from: key, type: bytea}\n  value: {from: value, type: bytea}\n"
                       "  headers: headers\n  at: {from: timestamp, type: bigint}\n",
                       ", 'keyBase64', encode(key, 'base64'), 'valueBase64', encode(value, 'base64'), 'headers', "
                       "headers, 'timestamp', at", {});
}

TEST_CASE("postgres: upserted rows made of JSON fields are there exactly once, refused ones are not") {
    keeps_exactly_once("mode: upsert\nkey: [topic, partition, offset]\ncolumns:\n  topic: topic\n"
                       "  partition: partition\n  offset: offset\n  text: {from: value.text, type: text}\n"
                       "  its_offset: {from: value.offset, type: bigint}\n",
                       "", {"--values", "json", "--refused", "no JSON"});
}
