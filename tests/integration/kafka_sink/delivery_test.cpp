#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>

#include "tests/integration/kafka_sink/mirror.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
    return text;
}

/// Without what the sink added.
std::vector<std::pair<std::string, std::optional<std::string>>> own_headers(
    const Delivered& record) {
    auto headers = record.headers;
    REQUIRE(headers.size() >= 3);
    headers.resize(headers.size() - 3);
    return headers;
}

}  // namespace

TEST_CASE("a topic arrives in the other cluster, every record once and in order") {
    const Mirror mirror("plain", 30'000, "7000");
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    finish(daemon);
    CHECK(mirror.wrong() == "");
}

TEST_CASE("keys, values, headers and timestamps arrive as they are, null and empty told apart") {
    const std::vector<Record> records{
        {0, "k", "v", {}, 1'700'000'000'123},
        {0, std::nullopt, "no key", {{"a", "1"}, {"a", "2"}, {"b", std::nullopt}, {"c", ""}}, 1},
        {0, "", "", {{"", "no name"}}, 1'600'000'000'000},
        {0, "tombstone", std::nullopt, {{"bytes", std::string("\0\xff", 2)}}, 1'500'000'000'000},
        {0, std::string("\0k", 2), std::string("v\0", 2), {}, 4'000}};
    // Records as old as these would be deleted at once, here and there.
    const Mirror mirror("content", 0, "unlimited", "", 1, {{"retention.ms", "-1"}});
    mirror.source.produce(mirror.topic, static_cast<std::int64_t>(records.size()),
                          [&](std::int64_t i) { return records[static_cast<std::size_t>(i)]; });
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    finish(daemon);
    const auto delivered = mirror.delivered();
    REQUIRE(delivered.size() == records.size());
    for (std::size_t i = 0; i < records.size(); ++i) {
        CAPTURE(i);
        CHECK(delivered[i].key == records[i].key);
        CHECK(delivered[i].value == records[i].value);
        CHECK(own_headers(delivered[i]) == records[i].headers);
        CHECK(delivered[i].timestamp_ms == records[i].timestamp_ms);
    }
    CHECK(mirror.wrong() == "");
}

TEST_CASE("records that are larger than bufferMax arrive, one after another") {
    const Properties large{{"max.message.bytes", "4000000"}};
    const Mirror mirror("huge", 0, "unlimited", "bufferMax: 1MiB\n", 1, large);
    mirror.source.produce(
        mirror.topic, 5,
        [](std::int64_t i) {
            return Record{0, "k", std::string(i % 2 == 0 ? 2U << 20U : 10U, 'x'), {}, 0};
        },
        {{"message.max.bytes", "4000000"}});
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    finish(daemon);
    CHECK(mirror.wrong() == "");
}

TEST_CASE("partition: hash puts a key where Java producers put it") {
    Mirror mirror("hash", 0, "unlimited", "partition: hash\n");
    // Of Kafka's own test of its murmur2, modulo 4.
    const std::map<std::string, std::int32_t> places{
        {"21", 0},
        {"foobar", 2},
        {"a-little-bit-long-string", 0},
        {"a-little-bit-longer-string", 3},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 1}};
    for (const auto& [key, place] : places)
        mirror.source.produce(mirror.topic, 3, [&, k = key](std::int64_t) {
            return Record{0, k, k, {}, 0};
        });
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    finish(daemon);
    const auto delivered = mirror.delivered();
    CHECK(delivered.size() == 15);
    for (const Delivered& record : delivered)
        CHECK(record.partition == places.at(record.key.value()));
}

TEST_CASE("topics go where routes say; what is missing is named, or created on request") {
    Mirror mirror("routes", 0, "unlimited");
    const std::string copy = "copy." + mirror.topic;
    mirror.source.produce_numbers(mirror.topic, 2, 10);
    const std::string route =
        "routes: [{ regex: '(mirror-.*)', replacement: 'copy.$1' }]\ntopic: never\n";
    mirror.pipeline.sink = kafka_sink_lines(route);
    {
        DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
        daemon.start();
        stop_with(daemon, "kafka-topics.sh --bootstrap-server " + target_cluster().bootstrap() +
                              " --create --topic " + copy + " --partitions 3");
    }
    mirror.pipeline.sink = kafka_sink_lines(route + "createTopics: true\n");
    {
        DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
        daemon.start();
        finish(daemon);
    }
    CHECK(read_topic(target_cluster().bootstrap(), copy).size() == 10);
    // A partition that the copy does not have.
    mirror.source.produce_numbers(mirror.topic, 3, 10);
    mirror.pipeline.sink = kafka_sink_lines(route);
    {
        DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
        daemon.start();
        stop_with(daemon, "has 3 partitions, and partition: keep needs 4");
    }
    mirror.pipeline.sink = kafka_sink_lines(route + "createTopics: true\n");
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    finish(daemon);
    const auto records = read_topic(target_cluster().bootstrap(), copy);
    CHECK(difference(visible_in_kafka(mirror.source.bootstrap(), {mirror.topic}),
                     by_origin(records)) == "");
    CHECK(disorder(records) == "");
}

TEST_CASE("without originHeaders a record has its own headers and no others") {
    Mirror mirror("bare-headers", 0, "unlimited", "", 1);
    mirror.pipeline.sink = replaced(kafka_sink_lines(), "originHeaders: true\n", "");
    const std::vector<Record> records{{0, "k", "none", {}, 0},
                                      {0, "k", "some", {{"a", "1"}, {"b", std::nullopt}}, 0}};
    mirror.source.produce(mirror.topic, 2, [&](std::int64_t i) {
        return records[static_cast<std::size_t>(i)];
    });
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    finish(daemon);
    const auto delivered = mirror.delivered();
    REQUIRE(delivered.size() == 2);
    for (std::size_t i = 0; i < records.size(); ++i)
        CHECK(delivered[i].headers == records[i].headers);
}

TEST_CASE("the marker is on markerTopic, which is created like a target") {
    Mirror mirror("marker", 5'000, "2000");
    const std::string carrier = mirror.topic + ".marker";
    const std::string group = "sluice-" + mirror.topic + "-marker";
    mirror.pipeline.sink = kafka_sink_lines("markerTopic: " + carrier + "\n");
    {
        DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
        daemon.start();
        stop_with(daemon, "the target cluster has no topic " + carrier);
    }
    mirror.pipeline.sink += "createTopics: true\n";
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    finish(daemon);
    const std::int64_t last = mirror.tool({"batches", "list", mirror.topic, "--limit", "1"})
                                  .at("batches").at(0).at("batch").to_number<std::int64_t>();
    CHECK(last >= 2);
    CHECK(wait_until([&] { return target_cluster().committed(group, {carrier, 0}) == last + 1; }));
    CHECK(target_cluster().committed(group, {mirror.topic, 0}) == -1);
    CHECK(read_topic(target_cluster().bootstrap(), carrier, "read_uncommitted").empty());
    CHECK(mirror.wrong() == "");
}

TEST_CASE("a topic that is created has createPartitions, or more where keep needs more") {
    const auto has = [](const std::string& topic, std::int32_t partition) {
        return target_cluster().leadership(topic, partition).replicas > 0;
    };
    for (const auto& [options, wanted] : std::map<std::string, std::int32_t>{
             {"partition: hash\ncreatePartitions: 3\n", 3},
             {"createPartitions: 6\n", 6},
             {"createPartitions: 2\n", 4},
             {"", 4}}) {
        CAPTURE(options);
        Mirror mirror("created", 0, "unlimited");
        mirror.source.produce_numbers(mirror.topic, 3, 10);
        const std::string copy = "copy." + mirror.topic;
        mirror.pipeline.sink =
            kafka_sink_lines("topic: copy.{topic}\ncreateTopics: true\n" + options);
        DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
        daemon.start();
        finish(daemon);
        CHECK(wait_until([&] { return has(copy, wanted - 1); }));
        CHECK_FALSE(has(copy, wanted));
        CHECK(read_topic(target_cluster().bootstrap(), copy).size() == 10);
    }
}

TEST_CASE("a batch that may be there stops when its marker may be forgotten, until missingMarker: run") {
    Mirror mirror("forgotten", 1'000, "unlimited");
    const auto shift = mirror.folder.path() / "shift";
    const std::int64_t two_days_ago =
        -std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::hours(48)).count();
    std::ofstream(shift, std::ios::binary)
        .write(reinterpret_cast<const char*>(&two_days_ago), sizeof two_days_ago);
    {
        DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
        daemon.start({{"LD_PRELOAD", SLUICE_TEST_BINARY_DIR "/tests/shifted_clock.so"},
                      {"SLUICE_CLOCK_SHIFT", shift.string()},
                      {"SLUICE_FAILPOINT", "kafka.begin.before_find"}});
        const auto killed = daemon.wait();
        REQUIRE(killed);
        REQUIRE_MESSAGE(killed->signal == SIGKILL, daemon.log());
        daemon.start();
        stop_with(daemon, "whether batch 0 is in the target can't be told");
    }
    mirror.pipeline.sink += "missingMarker: run\n";
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    finish(daemon);
    CHECK(daemon.log().find("without knowing whether it is there already") != std::string::npos);
    CHECK(mirror.wrong() == "");
}

TEST_CASE("a batch that was committed under one transactional id is not written again under another") {
    Mirror mirror("other-id", 1'000, "unlimited");
    const std::string under_the_old = mirror.pipeline.sink;
    const std::string under_the_new = under_the_old + "transactionalId: other-" + mirror.topic + "\n";
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start({{"SLUICE_FAILPOINT", "kafka.commit.after_commit"}});
    const auto killed = daemon.wait();
    REQUIRE(killed);
    REQUIRE_MESSAGE(killed->signal == SIGKILL, daemon.log());
    const auto start_with = [&](const std::string& sink) {
        mirror.pipeline.sink = sink;
        daemon.set_yaml(mirror.yaml());
        daemon.start();
    };
    start_with(under_the_new);
    stop_with(daemon, "batch 0 may have been committed under transactionalId sluice-" + mirror.topic);
    start_with(under_the_old);
    finish(daemon);
    mirror.source.produce_numbers(mirror.topic, 1, 10);
    start_with(under_the_new);
    finish(daemon);
    CHECK(daemon.log().find("It is written again") == std::string::npos);
    CHECK(mirror.wrong() == "");
}

TEST_CASE("without transactions records arrive too, and the log says what that means") {
    const Mirror mirror("idempotent", 5'000, "1000", "transactions: false\n");
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    finish(daemon);
    CHECK(daemon.log().find("may come twice") != std::string::npos);
    CHECK(mirror.wrong() == "");
}

TEST_CASE("a pipeline that would read what it writes is refused") {
    Mirror mirror("loop", 100, "unlimited");
    mirror.pipeline.sink =
        replaced(kafka_sink_lines(), target_cluster().bootstrap(), mirror.source.bootstrap());
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    stop_with(daemon, "is read and written by this pipeline");
}

TEST_CASE("a copy that the pipeline would read is refused, in whichever batch it comes") {
    Mirror mirror("feed", 100, "unlimited");
    const std::string copy = "copy." + mirror.topic;
    mirror.source.create_topic(copy, 4);
    mirror.source.create_topic("copy." + copy, 4);
    mirror.pipeline.topics = {mirror.topic, copy};  // as a subscribePattern finds them
    mirror.pipeline.trigger = "{ processingTime: 100ms }";
    mirror.pipeline.sink = replaced(kafka_sink_lines("topic: copy.{topic}\n"),
                                    target_cluster().bootstrap(), mirror.source.bootstrap());
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    CHECK_MESSAGE(daemon.says("topic " + copy + " is read and written by this pipeline"),
                  daemon.log());
    daemon.kill();
    CHECK(read_topic(mirror.source.bootstrap(), "copy." + copy, "read_uncommitted").empty());
}

TEST_CASE("a checkpoint of another target cluster is refused, until the move is meant") {
    Mirror mirror("move", 1'000, "unlimited");
    const std::string copy = "copy." + mirror.topic;
    mirror.source.create_topic(copy, 4);
    {
        DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
        daemon.start();
        finish(daemon);
    }
    mirror.source.produce_numbers(mirror.topic, 1, 10);
    const std::string moved = replaced(kafka_sink_lines("topic: copy.{topic}\n"),
                                       target_cluster().bootstrap(), mirror.source.bootstrap());
    mirror.pipeline.sink = moved;
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    const std::string wanted = "or set targetCluster: ";
    stop_with(daemon, wanted);
    const std::string log = daemon.log();
    const std::size_t at = log.rfind(wanted) + wanted.size();
    mirror.pipeline.sink =
        moved + "targetCluster: " + log.substr(at, log.find(' ', at) - at) + "\n";
    daemon.set_yaml(mirror.yaml());
    daemon.start();
    finish(daemon);
    CHECK(read_topic(mirror.source.bootstrap(), copy).size() == 10);
}

TEST_CASE("conf/kafka.yaml runs as it stands") {
    Kafka& source = Kafka::real();
    const WorkFolder folder("kafka-sink-example");
    const std::string topic = Kafka::unique("orders");
    source.create_topic(topic, 2);
    source.produce_numbers(topic, 0, 100);
    source.produce_numbers(topic, 1, 50);
    std::ifstream in(std::string(SLUICE_TEST_SOURCE_DIR) + "/conf/kafka.yaml");
    std::ostringstream text;
    text << in.rdbuf();
    REQUIRE_FALSE(text.str().empty());
    std::string yaml = replaced(text.str(), "localhost:9092", source.bootstrap());
    yaml = replaced(yaml, "mirror.example:9092", target_cluster().bootstrap());
    yaml = replaced(yaml, "/var/lib/sluice", (folder.path() / "data").string());
    yaml = replaced(yaml, "127.0.0.1:8083", "127.0.0.1:0");
    yaml = replaced(yaml, "[orders]", "[" + topic + "]");
    yaml = replaced(yaml, "name: orders", "name: " + topic);
    DaemonProcess daemon(folder.path(), yaml);
    daemon.start();
    CHECK_MESSAGE(daemon.says("batch committed"), daemon.log());
    daemon.signal(SIGTERM);
    const auto ended = daemon.wait();
    REQUIRE(ended);
    CHECK_MESSAGE(ended->code == 0, daemon.log());
    CHECK(read_topic(target_cluster().bootstrap(), "eu." + topic).size() == 150);
}
