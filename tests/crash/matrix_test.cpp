#include <doctest/doctest.h>

#include <csignal>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

struct Line {
    const char* moment;
    const char* failpoint;
    const char* mode;
};

// The crash matrix of checkpoints/README.md, line by line.
constexpr Line matrix[] = {
    {"after PLAN", "batch.after_plan:3", "parts"},
    {"while reading", "range.while_reading:9", "parts"},
    {"while writing", "range.while_writing:9", "parts"},
    {"while closing a piece, before its fsync", "file.close.before_fsync:5", "parts"},
    {"while closing a piece, after its fsync", "file.close.after_fsync:5", "parts"},
    {"inside sink.commit, before its fsyncs", "file.commit.before_fsync:2", "parts"},
    {"inside sink.commit, before its manifest", "file.commit.before_manifest:2", "parts"},
    {"inside sink.commit, after its manifest", "file.commit.after_manifest:2", "parts"},
    {"inside sink.commit, between two renames", "file.commit.mid_rename:5", "parts"},
    {"inside sink.commit, after its renames", "file.commit.after_rename:2", "parts"},
    {"after sink.commit, before COMMIT", "batch.before_commit:2", "parts"},
    {"after COMMIT", "batch.after_commit:2", "parts"},
    {"after PLAN", "batch.after_plan:3", "append"},
    {"while reading", "range.while_reading:9", "append"},
    {"while writing", "range.while_writing:9", "append"},
    {"inside sink.commit, before it writes", "file.append.before_write:2", "append"},
    {"inside sink.commit, in the middle of its write", "file.append.mid_write:2", "append"},
    {"inside sink.commit, after its write", "file.append.after_write:2", "append"},
    {"inside sink.commit, before its sync", "file.append.before_sync:2", "append"},
    {"inside sink.commit, after its sync", "file.append.after_sync:2", "append"},
    {"inside sink.commit, after its manifest", "file.append.after_manifest:2", "append"},
    {"inside sink.commit, while rolling", "file.append.mid_roll:1", "append"},
    {"after sink.commit, before COMMIT", "batch.before_commit:2", "append"},
    {"after COMMIT", "batch.after_commit:2", "append"},
};

}  // namespace

TEST_CASE("a crash at each line of the matrix leaves neither gap nor duplicate") {
    Kafka& kafka = Kafka::real();
    const std::string topic = Kafka::unique("matrix");
    kafka.create_topic(topic, 2);
    produce_mixed(kafka, topic, 2, 12'000);
    const Ledger expected = visible_in_kafka(kafka.bootstrap(), {topic});
    for (const Line& line : matrix) {
        CAPTURE(line.moment);
        CAPTURE(line.failpoint);
        CAPTURE(line.mode);
        const WorkFolder folder("matrix-" + std::string(line.mode) + "-" + line.failpoint);
        PipelineYaml pipeline;
        pipeline.topics = {topic};
        pipeline.source_extra = "maxOffsetsPerTrigger: 3000\nmaxRecordsPerPartition: 700\n";
        pipeline.sink = "plugin: file\nformat: json\nmode: " + std::string(line.mode) + "\n";
        if (std::string_view(line.mode) == "append") pipeline.sink += "rollSize: 200KiB\n";
        pipeline.out = folder.path() / "out";
        DaemonProcess daemon(folder.path(),
                             config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
        daemon.start({{"SLUICE_FAILPOINT", line.failpoint}});
        const auto crashed = daemon.wait();
        REQUIRE(crashed);
        CHECK_MESSAGE(crashed->signal == SIGKILL, daemon.log());
        // What a crash leaves visible is already right: nothing twice, nothing that is not in Kafka.
        daemon.start();
        const auto ended = daemon.wait();
        REQUIRE(ended);
        CHECK_MESSAGE(ended->code == 0, daemon.log());
        CHECK(difference(expected, delivered_in(folder.path() / "out")) == "");
    }
}

TEST_CASE("a crash during recovery itself is recovered from") {
    Kafka& kafka = Kafka::real();
    const std::string topic = Kafka::unique("twice");
    kafka.create_topic(topic, 2);
    produce_mixed(kafka, topic, 2, 6'000);
    const Ledger expected = visible_in_kafka(kafka.bootstrap(), {topic});
    for (const char* mode : {"parts", "append"}) {
        CAPTURE(mode);
        const WorkFolder folder("twice-" + std::string(mode));
        PipelineYaml pipeline;
        pipeline.topics = {topic};
        pipeline.source_extra = "maxOffsetsPerTrigger: 2000\n";
        pipeline.sink = "plugin: file\nformat: json\nmode: " + std::string(mode) + "\n";
        pipeline.out = folder.path() / "out";
        DaemonProcess daemon(folder.path(),
                             config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
        const std::string_view append = "append";
        const char* const first = mode == append ? "file.append.after_write" : "file.commit.after_manifest";
        const char* const second = mode == append ? "file.append.mid_cut" : "file.commit.mid_rename";
        for (const char* failpoint : {first, second, second}) {
            daemon.start({{"SLUICE_FAILPOINT", failpoint}});
            const auto crashed = daemon.wait();
            REQUIRE(crashed);
            CHECK_MESSAGE(crashed->signal == SIGKILL, daemon.log());
        }
        daemon.start();
        const auto ended = daemon.wait();
        REQUIRE(ended);
        CHECK_MESSAGE(ended->code == 0, daemon.log());
        CHECK(difference(expected, delivered_in(folder.path() / "out")) == "");
    }
}
