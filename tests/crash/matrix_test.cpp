#include <doctest/doctest.h>

#include <csignal>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

/// What all lines of the matrix read, made by the first of them.
struct Input {
    Input() {
        kafka.create_topic(topic, 2);
        produce_mixed(kafka, topic, 2, 12'000);
        expected = visible_in_kafka(kafka.bootstrap(), {topic});
    }
    static const Input& get() {
        static const Input input;
        return input;
    }

    Kafka& kafka = Kafka::real();
    const std::string topic = Kafka::unique("matrix");
    Ledger expected;
};

/// Killed there, started again: then every record is there, once.
void crash_at(const std::string& failpoint, const std::string& mode) {
    const Input& input = Input::get();
    const WorkFolder folder("matrix-" + mode + "-" + failpoint);
    PipelineYaml pipeline;
    pipeline.topics = {input.topic};
    pipeline.source_extra = "maxOffsetsPerTrigger: 3000\nmaxRecordsPerPartition: 700\n";
    pipeline.sink = "plugin: file\nformat: json\nmode: " + mode + "\n";
    if (mode == "append") pipeline.sink += "rollSize: 200KiB\n";
    pipeline.out = folder.path() / "out";
    DaemonProcess daemon(folder.path(),
                         config_yaml(folder.path(), pipeline_yaml(input.kafka.bootstrap(), pipeline)));
    daemon.start({{"SLUICE_FAILPOINT", failpoint}});
    const auto crashed = daemon.wait();
    REQUIRE(crashed);
    CHECK_MESSAGE(crashed->signal == SIGKILL, daemon.log());
    daemon.start();
    const auto ended = daemon.wait();
    REQUIRE(ended);
    CHECK_MESSAGE(ended->code == 0, daemon.log());
    CHECK(difference(input.expected, delivered_in(folder.path() / "out")) == "");
}

}  // namespace

// The crash matrix of checkpoints/README.md: a test case for each moment, so that each is named, and none
// ends the others.
#define SLUICE_CRASH(moment, failpoint, mode)                                            \
    TEST_CASE("a crash " moment " leaves neither gap nor duplicate, with mode: " mode) { \
        crash_at(failpoint, mode);                                                       \
    }

SLUICE_CRASH("after PLAN", "batch.after_plan:3", "parts")
SLUICE_CRASH("while reading", "range.while_reading:9", "parts")
SLUICE_CRASH("while writing", "range.while_writing:9", "parts")
SLUICE_CRASH("while closing a piece, before its fsync", "file.close.before_fsync:5", "parts")
SLUICE_CRASH("while closing a piece, after its fsync", "file.close.after_fsync:5", "parts")
SLUICE_CRASH("inside sink.commit, before its fsyncs", "file.commit.before_fsync:2", "parts")
SLUICE_CRASH("inside sink.commit, before its manifest", "file.commit.before_manifest:2", "parts")
SLUICE_CRASH("inside sink.commit, after its manifest", "file.commit.after_manifest:2", "parts")
SLUICE_CRASH("inside sink.commit, between two renames", "file.commit.mid_rename:5", "parts")
SLUICE_CRASH("inside sink.commit, after its renames", "file.commit.after_rename:2", "parts")
SLUICE_CRASH("after sink.commit, before COMMIT", "batch.before_commit:2", "parts")
SLUICE_CRASH("after COMMIT", "batch.after_commit:2", "parts")
SLUICE_CRASH("after PLAN", "batch.after_plan:3", "append")
SLUICE_CRASH("while reading", "range.while_reading:9", "append")
SLUICE_CRASH("while writing", "range.while_writing:9", "append")
SLUICE_CRASH("inside sink.commit, before it writes", "file.append.before_write:2", "append")
SLUICE_CRASH("inside sink.commit, in the middle of its write", "file.append.mid_write:2", "append")
SLUICE_CRASH("inside sink.commit, after its write", "file.append.after_write:2", "append")
SLUICE_CRASH("inside sink.commit, before its sync", "file.append.before_sync:2", "append")
SLUICE_CRASH("inside sink.commit, after its sync", "file.append.after_sync:2", "append")
SLUICE_CRASH("inside sink.commit, after its manifest", "file.append.after_manifest:2", "append")
SLUICE_CRASH("inside sink.commit, while rolling", "file.append.mid_roll:1", "append")
SLUICE_CRASH("after sink.commit, before COMMIT", "batch.before_commit:2", "append")
SLUICE_CRASH("after COMMIT", "batch.after_commit:2", "append")

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
