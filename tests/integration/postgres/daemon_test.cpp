#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "tests/integration/kafka_sink/target.hpp"
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

/// A pipeline into a table, and what happens to it.
struct Scene {
    Scene(const std::string& name, const std::string& more, std::int64_t size)
        : folder("postgres-" + name), topic(Kafka::unique("postgres-" + name)), chunk(size) {
        kafka.create_topic(topic, 4);
        produce();
        pipeline.topics = {topic};
        pipeline.source_extra = "maxOffsetsPerTrigger: 10000\nmaxRecordsPerPartition: 2000\n";
        pipeline.sink = sink_lines(table, more);
        daemon.emplace(folder.path(), yaml());
    }
    [[nodiscard]] std::string yaml() const {
        return config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline));
    }
    /// More of every kind, and a tombstone for each of ten keys, where the key has its partition.
    void produce() {
        REQUIRE(produced < 8 * chunk);
        const std::int64_t size = produced == 0 ? chunk : chunk / 5;
        produce_mixed(kafka, topic, 4, size, produced);
        if (has_tombstones) {
            kafka.produce(topic, 10, [&](std::int64_t i) {
                const std::int64_t key = (produced / 100 + i * 77) % 1000;
                Record record;
                record.partition = static_cast<std::int32_t>(key % 4);
                record.key = "k" + std::to_string(key);
                return record;
            });
        }
        produced += size;
    }
    /// Kills the daemon at random moments until `wanted` of them were in a batch, and lets it finish. Its
    /// lives are longer where it dies before it has begun, and shorter where it is through before.
    void kill_in_batches(int wanted) {
        const std::uint32_t chosen = seed();
        MESSAGE(topic << ": seed " << chosen << " (SLUICE_SEED repeats it)");
        std::mt19937 random(chosen);
        int longest = 900;
        int kills = 0;
        for (int in_batch = 0; in_batch < wanted;) {
            REQUIRE_MESSAGE(kills < 10 * wanted, "only " << in_batch << " kills of " << kills
                                                         << " were in a batch: " << daemon->log());
            daemon->start();
            const auto life = std::chrono::milliseconds{std::uniform_int_distribution<>(20, longest)(random)};
            if (const auto ended = daemon->wait(life)) {
                REQUIRE_MESSAGE(ended->code == 0, daemon->log());
                produce();
                longest = std::max(longest * 3 / 4, 100);
                continue;
            }
            daemon->kill();
            ++kills;
            if (has_open_batch(folder.path())) {
                ++in_batch;
            } else {
                longest = std::min(longest * 5 / 4, 10'000);
            }
        }
        MESSAGE(topic << ": " << wanted << " kills of " << kills << " were in a batch");
        daemon->start();
        finish();
    }
    void finish() {
        const auto ended = daemon->wait(std::chrono::seconds{120});
        REQUIRE_MESSAGE(ended, daemon->log());
        REQUIRE_MESSAGE(ended->code == 0, daemon->log());
    }
    /// Each record that Kafka shows is a row.
    void compare_rows() {
        const Ledger expected = visible_in_kafka(kafka.bootstrap(), {topic});
        CHECK(difference(expected, in_table(database, table)) == "");
        MESSAGE(topic << ": " << count(expected) << " records compared");
    }

    Kafka& kafka = Kafka::real();
    Database database;
    WorkFolder folder;
    std::string topic;
    std::string table = unique_table("kill");
    std::int64_t chunk;
    std::int64_t produced = 0;
    bool has_tombstones = false;
    PipelineYaml pipeline;
    std::optional<DaemonProcess> daemon;
};

}  // namespace

TEST_CASE("kill -9 at 20 random moments of a batch leaves every record exactly once in the table") {
    Scene scene("direct", "", 300'000);
    scene.kill_in_batches(20);
    scene.compare_rows();
}

TEST_CASE("kill -9 at 20 random moments of a batch leaves every record exactly once through staging tables") {
    Scene scene("staging", "connections: 2\n", 200'000);
    scene.kill_in_batches(20);
    scene.compare_rows();
}

TEST_CASE("kill -9 at 20 random moments of a batch leaves each key as its last record has it") {
    for (const char* connections : {"1", "2"}) {
        CAPTURE(connections);
        Scene scene(std::string("upsert-") + connections,
                    std::string("connections: ") + connections +
                        "\nmode: upsert\nkey: [id]\ncolumns:\n  id: { from: key, type: text }\n  value: value\n"
                        "  at: offset\n",
                    100'000);
        scene.has_tombstones = true;
        scene.produce();
        scene.kill_in_batches(10);
        std::map<std::string, std::pair<std::string, std::string>> expected;  // value and offset by key
        std::size_t deleted = 0;
        for (const Delivered& record : read_topic(scene.kafka.bootstrap(), scene.topic)) {
            if (record.value) {
                expected[record.key.value()] = {*record.value, std::to_string(record.offset)};
            } else {
                deleted += expected.erase(record.key.value());
            }
        }
        CHECK(deleted >= 10);
        std::map<std::string, std::pair<std::string, std::string>> rows;
        for (const auto& row : scene.database.rows("SELECT id, value, at FROM " + scene.table))
            CHECK(rows.emplace(row[0], std::pair(row[1], row[2])).second);
        CHECK(expected.size() > 900);
        const bool is_same = rows == expected;  // a thousand keys are no message
        CHECK(is_same);
        MESSAGE(scene.topic << ": " << expected.size() << " keys compared, of " << scene.produced << " records");
    }
}

TEST_CASE("a pipeline renamed before its checkpoint knew of a batch finds it in the database") {
    for (const char* connections : {"1", "2"}) {
        CAPTURE(connections);
        Scene scene(std::string("renamed-") + connections, std::string("connections: ") + connections + "\n", 50'000);
        scene.daemon->start({{"SLUICE_FAILPOINT", "batch.before_commit:2"}});
        const auto killed = scene.daemon->wait();
        REQUIRE(killed);
        REQUIRE_MESSAGE(killed->signal == SIGKILL, scene.daemon->log());
        scene.pipeline.extra = "renamedFrom: " + scene.pipeline.name + "\n";
        scene.pipeline.name = "sales";
        scene.daemon->set_yaml(scene.yaml());
        scene.daemon->start();
        scene.finish();
        CHECK_MESSAGE(scene.daemon->log().find("checkpoint renamed") != std::string::npos, scene.daemon->log());
        scene.compare_rows();
    }
}

TEST_CASE("a server that crashes, is stopped or loses its first process under load costs time and nothing else") {
    for (const char* connections : {"1", "2"}) {
        CAPTURE(connections);
        Scene scene(std::string("outage-") + connections, std::string("connections: ") + connections + "\n", 300'000);
        const auto batches = [&] {
            if (scene.database.value("SELECT to_regclass('sluice_batches') IS NOT NULL") != "t") return std::int64_t{-1};
            return std::int64_t{std::stoll(
                scene.database.value("SELECT coalesce(max(batch_id), -1) FROM sluice_batches WHERE target LIKE '%" +
                                     scene.table + "%'"))};
        };
        scene.daemon->start();
        for (const auto how : {Database::End::crash, Database::End::fast, Database::End::kill}) {
            CAPTURE(static_cast<int>(how));
            for (bool was_hit = false; !was_hit;) {
                // In the middle of a batch, whichever: another one has to be committed since the last outage.
                const std::int64_t before = batches();
                REQUIRE_MESSAGE(wait_until([&] { return batches() > before || !scene.daemon->is_running(); }),
                                scene.daemon->log());
                if (!scene.daemon->is_running()) {  // through before the server could go away under it
                    scene.finish();
                    scene.produce();
                    scene.daemon->start();
                    continue;
                }
                const std::size_t said = scene.daemon->log().size();
                scene.database.crash_server(how);
                // Of what it says from now on: that it was through, or that it tries again.
                const auto tries_again = [&] {
                    return scene.daemon->log().find("retrying pipeline=orders", said) != std::string::npos;
                };
                CHECK_MESSAGE(wait_until([&] { return tries_again() || !scene.daemon->is_running(); }),
                              scene.daemon->log());
                was_hit = tries_again();
                scene.database.start_server();
            }
        }
        scene.finish();
        scene.compare_rows();
    }
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

/// An example as a user would make it his own.
std::string example(const std::string& name, const std::filesystem::path& folder, const std::string& topic) {
    std::ifstream in(std::string(SLUICE_TEST_SOURCE_DIR) + "/" + name);
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
    const std::string yaml = example("conf/postgres.yaml", folder.path(), topic);
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

TEST_CASE("plugins/postgres/example.yaml runs as it stands") {
    Kafka& kafka = Kafka::real();
    Database database;
    const WorkFolder folder("postgres-plugin-example");
    const std::string topic = Kafka::unique("orders");
    kafka.create_topic(topic, 2);
    kafka.produce(topic, 100, [](std::int64_t i) {
        Record record;
        record.partition = static_cast<std::int32_t>(i % 2);
        record.key = std::string("\0\xFF", 2);
        record.value = std::to_string(i);
        record.headers = {{"trace", "t" + std::to_string(i)}};
        return record;
    });
    database.run("DROP TABLE IF EXISTS orders_log, sluice_batches");
    DaemonProcess daemon(folder.path(), example("plugins/postgres/example.yaml", folder.path(), topic));
    daemon.start();
    CHECK_MESSAGE(daemon.says("batch committed"), daemon.log());
    CHECK(database.value("SELECT count(*) FROM orders_log WHERE key = '\\x00ff'") == "100");
    CHECK(database.value("SELECT headers->0->>1 FROM orders_log WHERE value = '42'") == "t42");
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
                         replaced(example("conf/two-sinks.yaml", folder.path(), topic), "processingTime: 1m", "processingTime: 1s"));
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
