// A child process runs a batch and is killed at a failpoint; the parent starts again from the
// checkpoint it had before, as the daemon does, and reads what is there.
#include <doctest/doctest.h>

#include "harness.hpp"

using namespace file_test;

namespace {

struct Point {
    std::string name;
    sluice_status begin;  // what begin() of the re-run answers
};

const Plan first{{"orders", 0, 0, 50}, {"orders", 1, 0, 50}};
// The middle range is large enough to be written before it is closed.
const Plan second{{"orders", 0, 50, 90}, {"orders", 1, 50, 20'000}, {"payments", 0, 0, 20}};
const Plan third{{"orders", 0, 90, 100}};

/// Two batches, the second one killed `kills` times at the point; then it is re-run, and a third.
void survives(const Settings& settings, const Point& point, int kills) {
    CAPTURE(point.name);
    CAPTURE(kills);
    Checkpoint checkpoint;
    REQUIRE(run_batch(settings, checkpoint, first).status == SLUICE_OK);
    for (int kill = 0; kill < kills; ++kill) {
        const bool died = dies_at(point.name, [&] {
            Checkpoint lost = checkpoint;
            (void)run_batch(settings, lost, second, kill > 0);
        });
        // What comes only once in the life of a batch is not passed again by its re-run.
        if (kill == 0) REQUIRE(died);
    }
    TestSink sink(settings, checkpoint);
    REQUIRE_MESSAGE(sink.opened().status == SLUICE_OK, sink.opened().error);
    const Reply rerun = run_batch(sink, checkpoint, second, true);
    INFO(rerun.error);
    REQUIRE((rerun.status == SLUICE_OK || rerun.status == SLUICE_ALREADY_COMMITTED));
    if (kills == 1) CHECK(rerun.status == point.begin);
    const fs::path path = settings.at("path");
    REQUIRE(run_batch(sink, checkpoint, third).status == SLUICE_OK);
    static const std::vector<std::string> expected = expected_lines({first, second, third});
    CHECK(sorted_lines(path) == expected);
    CHECK_FALSE(fs::exists(path / ".batch-1"));
}

}  // namespace

TEST_CASE("parts: a kill at any point leaves neither gap nor duplicate") {
    const std::vector<Point> points{
        {"file.write.after_flush", SLUICE_OK},
        {"file.close.before_fsync", SLUICE_OK},
        {"file.close.after_fsync:3", SLUICE_OK},
        {"file.commit.before_fsync", SLUICE_OK},
        {"file.commit.before_manifest", SLUICE_OK},
        {"file.commit.after_manifest", SLUICE_ALREADY_COMMITTED},
        {"file.commit.mid_rename", SLUICE_ALREADY_COMMITTED},
        {"file.commit.mid_rename:2", SLUICE_ALREADY_COMMITTED},
        {"file.commit.after_rename", SLUICE_ALREADY_COMMITTED},
    };
    for (const std::string compression : {"none", "zstd"})
        for (const Point& point : points)
            for (const int kills : {1, 3}) {
                if (kills > 1 && compression != "none") continue;
                const TempDir dir;
                survives({{"path", dir.path().string()},
                          {"format", "value"},
                          {"compression", compression},
                          {"rollSize", "280000"}},
                         point, kills);
            }
}

TEST_CASE("append: a kill at any point leaves neither gap nor duplicate") {
    const std::vector<Point> points{
        {"file.write.after_flush", SLUICE_OK},
        {"file.close.before_fsync", SLUICE_OK},
        {"file.append.before_write", SLUICE_OK},
        {"file.append.mid_write", SLUICE_OK},
        {"file.append.mid_write:2", SLUICE_OK},
        {"file.append.after_write", SLUICE_OK},
        {"file.append.before_sync", SLUICE_OK},
        {"file.append.after_sync", SLUICE_OK},
        {"file.append.after_manifest", SLUICE_ALREADY_COMMITTED},
        {"file.append.mid_roll", SLUICE_ALREADY_COMMITTED},
    };
    for (const std::string compression : {"none", "zstd"})
        for (const std::string roll_size : {"1000000000", "2000"})
            for (const Point& point : points)
                for (const int kills : {1, 3}) {
                    if (point.name == "file.append.mid_roll" && roll_size != "2000") continue;
                    if (kills > 1 && compression != "none") continue;
                    const TempDir dir;
                    survives({{"path", dir.path().string()},
                              {"mode", "append"},
                              {"format", "value"},
                              {"compression", compression},
                              {"rollSize", roll_size}},
                             point, kills);
                }
}

TEST_CASE("append: the tail of the killed batch is saved before it is cut, also when killed there") {
    const TempDir dir;
    const Settings settings{{"path", dir.path().string()}, {"mode", "append"}, {"format", "value"}};
    Checkpoint checkpoint;
    REQUIRE(run_batch(settings, checkpoint, first).status == SLUICE_OK);
    const std::string committed = read_file(dir.path() / "current.jsonl");
    REQUIRE(dies_at("file.append.after_sync", [&] {
        Checkpoint lost = checkpoint;
        (void)run_batch(settings, lost, second);
    }));
    const std::string whole = read_file(dir.path() / "current.jsonl");
    REQUIRE(whole.size() > committed.size());
    REQUIRE(dies_at("file.append.mid_cut", [&] {
        Checkpoint lost = checkpoint;
        (void)run_batch(settings, lost, second, true);
    }));
    CHECK(read_file(dir.path() / "current.jsonl") == whole);
    CHECK(read_file(dir.path() / ".cut-1") == whole.substr(committed.size()));
    REQUIRE(run_batch(settings, checkpoint, second, true).status == SLUICE_OK);
    CHECK(read_file(dir.path() / ".cut-1") == whole.substr(committed.size()));
    CHECK(sorted_lines(dir.path()) == expected_lines({first, second}));
}

TEST_CASE("a batch that is given up after a crash leaves nothing, and the next plan goes on") {
    for (const std::string mode : {"parts", "append"}) {
        CAPTURE(mode);
        const TempDir dir;
        const Settings settings{{"path", dir.path().string()}, {"mode", mode}, {"format", "value"}};
        Checkpoint checkpoint;
        REQUIRE(run_batch(settings, checkpoint, first).status == SLUICE_OK);
        const std::string point =
            mode == "parts" ? "file.commit.before_manifest" : "file.append.after_sync";
        REQUIRE(dies_at(point, [&] {
            Checkpoint lost = checkpoint;
            (void)run_batch(settings, lost, second);
        }));
        TestSink sink(settings, checkpoint);
        REQUIRE(sink.begin(1, second, true).status == SLUICE_OK);  // what `batches replan` does
        REQUIRE(sink.abort(1).status == SLUICE_OK);
        checkpoint.next_batch = 2;
        const Plan other{{"orders", 0, 50, 51}};
        REQUIRE(run_batch(sink, checkpoint, other).status == SLUICE_OK);
        CHECK(sorted_lines(dir.path()) == expected_lines({first, other}));
    }
}

TEST_CASE("a commit in doubt is not undone by abort, and begin finds it") {
    const TempDir dir;
    const Settings settings{{"path", dir.path().string()}, {"format", "value"}};
    Checkpoint checkpoint;
    REQUIRE(run_batch(settings, checkpoint, first).status == SLUICE_OK);
    REQUIRE(dies_at("file.commit.mid_rename", [&] {
        Checkpoint lost = checkpoint;
        (void)run_batch(settings, lost, second);
    }));
    TestSink sink(settings, checkpoint);
    REQUIRE(sink.abort(1).status == SLUICE_OK);
    REQUIRE(sink.begin(1, second, true).status == SLUICE_ALREADY_COMMITTED);
    CHECK(sorted_lines(dir.path()) == expected_lines({first, second}));
}
