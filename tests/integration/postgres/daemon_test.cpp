#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "tests/integration/postgres/database.hpp"
#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

std::uint32_t seed() {
    const char* const given = std::getenv("SLUICE_SEED");
    return given != nullptr ? static_cast<std::uint32_t>(std::stoul(given))
                            : std::random_device{}();
}

/// What a table of default columns holds, in the ledger's terms.
Ledger in_table(Database& database, const std::string& table) {
    Ledger ledger;
    for (const auto& row :
         database.rows("SELECT topic, partition, \"offset\", value FROM " + table))
        ledger[{row[0], std::stoi(row[1])}].push_back(
            {std::stoll(row[2]), std::hash<std::string_view>{}(row[3]) | 1U});
    return ledger;
}

std::string sink_lines(const std::string& table, const std::string& more = "") {
    return "plugin: postgres\nconnection: " + Database::address() + "\ntable: " + table +
           "\ncreateTable: true\n" + more;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
    return text;
}

/// Kills the daemon `kills` times at random moments of its work, then lets it finish.
void kill_at_random(const std::string& name, const std::string& more, int kills,
                    std::int64_t records) {
    Kafka& kafka = Kafka::real();
    Database database;
    const WorkFolder folder("postgres-" + name);
    const std::string topic = Kafka::unique("postgres-" + name);
    const std::string table = unique_table("kill");
    kafka.create_topic(topic, 4);
    produce_mixed(kafka, topic, 4, records);
    PipelineYaml pipeline;
    pipeline.topics = {topic};
    pipeline.source_extra = "maxOffsetsPerTrigger: 10000\nmaxRecordsPerPartition: 2000\n";
    pipeline.sink = sink_lines(table, more);
    DaemonProcess daemon(folder.path(),
                         config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
    const std::uint32_t chosen = seed();
    MESSAGE(name << ": seed " << chosen << " (SLUICE_SEED repeats it)");
    std::mt19937 random(chosen);
    std::int64_t produced = records;
    for (int killed = 0; killed < kills;) {
        daemon.start();
        const auto life =
            std::chrono::milliseconds{std::uniform_int_distribution<>(20, 900)(random)};
        if (const auto ended = daemon.wait(life)) {
            REQUIRE_MESSAGE(ended->code == 0, daemon.log());
            produce_mixed(kafka, topic, 4, records / 5, produced);  // it was through before we were
            produced += records / 5;
            REQUIRE(produced < 6 * records);
            continue;
        }
        daemon.kill();
        ++killed;
    }
    daemon.start();
    const auto ended = daemon.wait(std::chrono::seconds{120});
    REQUIRE_MESSAGE(ended, daemon.log());
    REQUIRE_MESSAGE(ended->code == 0, daemon.log());
    const Ledger expected = visible_in_kafka(kafka.bootstrap(), {topic});
    CHECK(difference(expected, in_table(database, table)) == "");
    MESSAGE(name << ": killed " << kills << " times, " << count(expected) << " records compared");
}

}  // namespace

TEST_CASE("kill -9 at 20 random moments leaves every record exactly once in the table") {
    kill_at_random("direct", "", 20, 300'000);
}

TEST_CASE("kill -9 at 20 random moments leaves every record exactly once through staging tables") {
    kill_at_random("staging", "connections: 2\n", 20, 200'000);
}

TEST_CASE("a server that crashes under load, again and again, costs time and nothing else") {
    Kafka& kafka = Kafka::real();
    Database database;
    const WorkFolder folder("postgres-server-crash");
    const std::string topic = Kafka::unique("postgres-server-crash");
    const std::string table = unique_table("outage");
    kafka.create_topic(topic, 4);
    produce_mixed(kafka, topic, 4, 300'000);
    PipelineYaml pipeline;
    pipeline.topics = {topic};
    pipeline.source_extra = "maxOffsetsPerTrigger: 20000\n";
    pipeline.sink = sink_lines(table);
    DaemonProcess daemon(folder.path(),
                         config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
    daemon.start();
    for (int outage = 0; outage < 3; ++outage) {
        // In the middle of a batch, whichever: another one has to be committed since the last
        // outage.
        const std::string newest =
            "SELECT coalesce(max(batch_id), -1) FROM sluice_batches WHERE target LIKE '%" + table +
            "%'";
        const auto batches = [&] {
            const bool is_there =
                database.value("SELECT to_regclass('sluice_batches') IS NOT NULL") == "t";
            return is_there ? std::stoll(database.value(newest)) : -1;
        };
        const std::int64_t before = batches();
        REQUIRE_MESSAGE(wait_until([&] { return batches() > before || !daemon.is_running(); }),
                        daemon.log());
        database.crash_server();
        CHECK_MESSAGE(wait_until([&] {
                          return !daemon.is_running() ||
                                 daemon.says("retry", std::chrono::milliseconds{50}) ||
                                 daemon.says("RETRY", std::chrono::milliseconds{50});
                      }),
                      daemon.log());
        database.start_server();
    }
    const auto ended = daemon.wait(std::chrono::seconds{120});
    REQUIRE_MESSAGE(ended, daemon.log());
    REQUIRE_MESSAGE(ended->code == 0, daemon.log());
    CHECK(difference(visible_in_kafka(kafka.bootstrap(), {topic}), in_table(database, table)) ==
          "");
}

TEST_CASE(
    "a record that the table refuses stops the pipeline, named by topic, partition and offset") {
    Kafka& kafka = Kafka::real();
    Database database;
    const WorkFolder folder("postgres-poison");
    const std::string topic = Kafka::unique("postgres-poison");
    const std::string table = unique_table("checked");
    database.run("CREATE TABLE " + table + " (value text CHECK (value <> '77'))");
    kafka.create_topic(topic, 1);
    kafka.produce_numbers(topic, 0, 200);
    PipelineYaml pipeline;
    pipeline.topics = {topic};
    pipeline.sink = sink_lines(table, "columns: { value: value }\n");
    DaemonProcess daemon(folder.path(),
                         config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
    daemon.start();
    CHECK_MESSAGE(daemon.says(topic + "-0@77"), daemon.log());
    CHECK_MESSAGE(daemon.says("violates check constraint"), daemon.log());
    CHECK(database.value("SELECT count(*) FROM " + table) == "0");
    (void)daemon.wait();
}

TEST_CASE("rows that the server refuses go to the dead letters, each with its reason, and none of their neighbours") {
    Kafka& kafka = Kafka::real();
    Database database;
    const std::string topic = Kafka::unique("postgres-dead");
    kafka.create_topic(topic, 2);
    for (std::int32_t p = 0; p < 2; ++p) kafka.produce_numbers(topic, p, 2'000);
    for (const char* connections : {"1", "2"}) {
        CAPTURE(connections);
        const WorkFolder folder(std::string("postgres-dead-") + connections);
        const std::string table = unique_table("picky");
        database.run("CREATE TABLE " + table +
                     " (topic text, partition int, \"offset\" bigint, value text CHECK (value NOT LIKE '%77'))");
        PipelineYaml pipeline;
        pipeline.topics = {topic};
        pipeline.source_extra = "maxOffsetsPerTrigger: 1500\n";
        pipeline.sink = sink_lines(table, std::string("connections: ") + connections +
                                              "\ncolumns: { topic: topic, partition: partition, offset: offset, "
                                              "value: value }\n");
        pipeline.extra = "errors:\n  tolerance: all\n  deadLetters: { path: " + (folder.path() / "dead").string() +
                         " }\n";
        DaemonProcess daemon(folder.path(),
                             config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
        daemon.start();
        const auto ended = daemon.wait(std::chrono::seconds{60});
        REQUIRE_MESSAGE(ended, daemon.log());
        CHECK_MESSAGE(ended->code == 0, daemon.log());

        Ledger taken;
        Ledger refused;
        for (const auto& [tp, entries] : visible_in_kafka(kafka.bootstrap(), {topic})) {
            for (const Entry& entry : entries) (entry.offset % 100 == 77 ? refused : taken)[tp].push_back(entry);
        }
        REQUIRE(count(refused) == 40);
        CHECK(difference(taken, in_table(database, table)) == "");
        CHECK(difference(refused, delivered_in(folder.path() / "dead")) == "");
        std::size_t reasons = 0;
        for (const auto& file : std::filesystem::recursive_directory_iterator(folder.path() / "dead")) {
            std::ifstream lines(file.path());
            for (std::string line; std::getline(lines, line);) {
                if (line.find("violates check constraint") != std::string::npos) ++reasons;
            }
        }
        CHECK(reasons == 40);
    }
}

namespace {

/// An example of conf/ as a user would make it his own.
std::string example(const std::string& name, const std::filesystem::path& folder, const std::string& topic) {
    std::ifstream in(std::string(SLUICE_TEST_SOURCE_DIR) + "/conf/" + name);
    std::ostringstream text;
    text << in.rdbuf();
    std::string yaml = replaced(text.str(), "localhost:9092", Kafka::real().bootstrap());
    yaml = replaced(yaml, "postgresql://sluice@localhost:5432/warehouse", Database::address());
    yaml = replaced(yaml, "/var/lib/sluice", (folder / "data").string());
    yaml = replaced(yaml, "/srv/sluice", (folder / "srv").string());
    yaml = replaced(yaml, "127.0.0.1:8083", "127.0.0.1:0");
    return replaced(yaml, "[orders]", "[" + topic + "]");
}

}  // namespace

TEST_CASE("conf/postgres.yaml runs as it stands: a row per record, and a row per key") {
    Kafka& kafka = Kafka::real();
    Database database;
    const WorkFolder folder("postgres-example");
    const std::string topic = Kafka::unique("orders");
    kafka.create_topic(topic, 2);
    kafka.produce(topic, 300, [](std::int64_t i) {
        Record record;
        record.partition = static_cast<std::int32_t>(i % 2);
        record.key = "key-" + std::to_string(i % 10);
        if (i < 298)
            record.value = "value-" + std::to_string(i);  // the last of keys 8 and 9 are null
        return record;
    });
    const std::string yaml = example("postgres.yaml", folder.path(), topic);
    database.run("DROP TABLE IF EXISTS orders_log, orders_newest, sluice_batches");
    DaemonProcess daemon(folder.path(), yaml);
    daemon.start();
    CHECK_MESSAGE(wait_until(
                      [&] {
                          return database.value(
                                     "SELECT to_regclass('orders_log') IS NOT NULL AND "
                                     "to_regclass('orders_newest') IS NOT NULL") == "t" &&
                                 database.value("SELECT count(*) FROM orders_log") == "300" &&
                                 database.value("SELECT count(*) FROM orders_newest") == "8";
                      },
                      std::chrono::seconds{40}),
                  daemon.log());
    CHECK(database.value("SELECT value FROM orders_newest WHERE id = 'key-3'") == "value-293");
    daemon.signal(SIGTERM);
    const auto ended = daemon.wait();
    REQUIRE(ended);
    CHECK_MESSAGE(ended->code == 0, daemon.log());
}

TEST_CASE("conf/two-sinks.yaml: while the database is down the files go on, and the table catches up") {
    Kafka& kafka = Kafka::real();
    Database database;
    const WorkFolder folder("two-sinks-example");
    const std::string topic = Kafka::unique("orders");
    kafka.create_topic(topic, 2);
    const auto produce = [&] {
        kafka.produce_numbers(topic, 0, 100);
        kafka.produce_numbers(topic, 1, 100);
    };
    const auto in_files = [files = folder.path() / "srv"] {
        return std::filesystem::exists(files) ? count(delivered_in(files)) : 0;
    };
    database.run("DROP TABLE IF EXISTS orders, sluice_batches");
    const auto in_table = [&] {
        if (database.value("SELECT to_regclass('orders') IS NOT NULL") != "t") return std::string();
        return database.value("SELECT count(DISTINCT (partition, \"offset\")) || ' of ' || count(*) FROM orders");
    };
    produce();
    DaemonProcess daemon(folder.path(),
                         replaced(example("two-sinks.yaml", folder.path(), topic), "processingTime: 1m", "processingTime: 1s"));
    daemon.start();
    CHECK_MESSAGE(wait_until([&] { return in_files() == 200 && in_table() == "200 of 200"; }), daemon.log());
    database.crash_server();
    produce();
    CHECK_MESSAGE(wait_until([&] { return in_files() == 400; }), daemon.log());
    CHECK_MESSAGE(daemon.says("retrying pipeline=orders-table"), daemon.log());
    database.start_server();
    CHECK_MESSAGE(wait_until([&] { return in_table() == "400 of 400"; }, std::chrono::seconds{60}), daemon.log());
    CHECK(in_files() == 400);
    daemon.signal(SIGTERM);
    const auto ended = daemon.wait();
    REQUIRE(ended);
    CHECK_MESSAGE(ended->code == 0, daemon.log());
}
