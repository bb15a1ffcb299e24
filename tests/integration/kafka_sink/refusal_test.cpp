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
    const std::string dead = mirror.topic + ".dead";
    mirror.pipeline.extra = "errors: { tolerance: all, deadLetters: { topic: " + dead + " } }\n";
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    finish(daemon);
    CHECK(mirror.delivered().size() == 298);
    CHECK(read_topic(mirror.source.bootstrap(), dead).size() >= 2);
    CHECK(disorder(mirror.delivered()) == "");
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
