#include <atomic>
#include <string>
#include <string_view>

#include "daemon/sink/plugin.hpp"
#include "tests/integration/kafka_sink/mirror.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

/// 300 records, of which 77 and 78 are larger than the target's topic takes.
void produce_with_large(const Mirror& mirror) {
    mirror.source.produce(mirror.topic, 300, [](std::int64_t i) {
        return Record{
            0, "k", i == 77 || i == 78 ? std::string(60'000, 'x') : std::to_string(i), {}, 0};
    });
}

/// The target's topic anew, with a configuration of its own.
void configure(const Mirror& mirror, const Properties& configs) {
    target_cluster().delete_topic(mirror.topic);
    target_cluster().create_topic(mirror.topic, 1, configs);
}

}  // namespace

TEST_CASE(
    "a record that is too large for the target's topic is named, and none of its batch is kept") {
    const Mirror mirror("large", 0, "unlimited", "", 1);
    configure(mirror, {{"max.message.bytes", "30000"}});
    produce_with_large(mirror);
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    stop_with(daemon, "the sink refused record " + mirror.topic + "-0@77");
    CHECK(mirror.delivered().empty());
}

TEST_CASE("records that the target refuses go to dead letters, and no other does") {
    Mirror mirror("letters", 0, "unlimited", "", 1);
    configure(mirror, {{"max.message.bytes", "30000"}});
    produce_with_large(mirror);
    const auto dead = mirror.folder.path() / "dead";
    mirror.pipeline.extra =
        "errors: { tolerance: all, deadLetters: { path: " + dead.string() + " } }\n";
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    finish(daemon);
    Ledger taken;
    Ledger refused;
    for (const auto& [tp, entries] : visible_in_kafka(mirror.source.bootstrap(), {mirror.topic}))
        for (const Entry& entry : entries)
            (entry.offset == 77 || entry.offset == 78 ? refused : taken)[tp].push_back(entry);
    REQUIRE(count(refused) == 2);
    REQUIRE(count(taken) == 298);
    const auto delivered = mirror.delivered();
    CHECK(difference(taken, by_origin(delivered)) == "");
    CHECK(difference(refused, delivered_in(dead)) == "");
    CHECK(disorder(delivered) == "");
}

TEST_CASE("a record without a key is named by a compacted target") {
    const Mirror mirror("compacted", 0, "unlimited", "", 1);
    configure(mirror, {{"cleanup.policy", "compact"}});
    mirror.source.produce(mirror.topic, 100, [](std::int64_t i) {
        return Record{0, i == 42 ? std::nullopt : std::optional<std::string>("k"), "v", {}, 0};
    });
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    stop_with(daemon, "the sink refused record " + mirror.topic + "-0@42");
    CHECK(mirror.delivered().empty());
}

TEST_CASE("a refusal that comes while its batch is aborted does not hold up the next attempt") {
    Kafka& cluster = target_cluster();
    const std::string topic = Kafka::unique("late-refusal");
    // Its records are years old: retention would take them away while they are counted.
    cluster.create_topic(topic, 1, {{"max.message.bytes", "30000"}, {"retention.ms", "-1"}});
    const auto plugin = sink::load_plugin(SLUICE_TEST_BINARY_DIR "/lib/sluice/kafka.so");
    REQUIRE(plugin.has_value());
    const std::atomic<bool> stopping{false};
    const auto opened = (*plugin)->open(
        {topic, "source", 0, {}},
        {{"kafka", R"({"bootstrap.servers":")" + cluster.bootstrap() + R"(","linger.ms":0})"},
         {"topic", topic},
         {"transactionTimeout", "60000"}},  // ms
        stopping);
    REQUIRE_MESSAGE(opened.sink != nullptr, opened.reply.message);
    const sink::Range range{"orders", 0, 0, 0, 100, "t"};
    const std::string small = "small";
    const std::string large(60'000, 'x');
    const auto write = [&](const std::string& value, std::int64_t offset) {
        const auto bytes = [](std::string_view text) {
            return sluice_bytes{reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
        };
        const sluice_record record{bytes("k"), bytes(value), SLUICE_STRING("orders"), offset, 1'700'000'000'000, 0,
                                   SLUICE_TIMESTAMP_CREATE, nullptr};
        auto writer = opened.sink->open_writer(range).writer;
        sink::WriteReply reply = writer->write({&record, 1});
        (void)writer->close(true);
        return reply;
    };
    for (std::uint64_t batch = 0; batch < 8; ++batch) {
        CAPTURE(batch);
        // Of open transactions too, which a watermark does not show.
        const auto written = [&] {
            return read_topic(cluster.bootstrap(), topic, "read_uncommitted").size();
        };
        const auto before = written();
        REQUIRE(opened.sink->begin({batch, false, {range}}).status == sink::Status::ok);
        const sink::WriteReply first = write(small, 0);
        CHECK_MESSAGE(first.status == sink::Status::ok, first.message);
        // The partition is part of the transaction now, so that the next record leaves at once.
        REQUIRE(wait_until([&] { return written() > before; }));
        write(large, 1);
        REQUIRE(opened.sink->abort(batch).status == sink::Status::ok);

        REQUIRE(opened.sink->begin({batch, true, {range}}).status == sink::Status::ok);
        write(small, 0);
        const sink::Reply reply = opened.sink->commit(batch);
        REQUIRE_MESSAGE(reply.status == sink::Status::ok, reply.message);
    }
    CHECK(read_topic(cluster.bootstrap(), topic).size() == 8);
}
