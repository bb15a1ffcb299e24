// One sink, right or with one mistake: each mistake is found, and the message says what is wrong.
#include <doctest/doctest.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/sinktest/kit_run.hpp"

using namespace sluice::test;

namespace {

KitRun flawed(const std::string& flaw, std::vector<std::string> more) {
    const KitFolder folder;
    folder.write("sink.yaml", "plugin: flawed\npath: out\nflaw: " + flaw + "\n");
    more.insert(more.end(), {"--reader", "cat " + folder.path("out") + "/*.jsonl /dev/null 2>/dev/null || true",
                             "--refused", "bad"});
    return run_kit(plugin_file("tests/plugins/flawed.so"), folder.path("sink.yaml"), std::move(more));
}

struct Flaw {
    const char* name;
    const char* scenario;  ///< one of those that find it
    std::vector<std::string> says;
};

}  // namespace

TEST_CASE("a right sink keeps what it declares through every scenario") {
    const KitRun run = flawed("none", {});
    CHECK_MESSAGE(run.code == 0, run.text);
    CHECK(run.says("declared exactly-once, proven exactly-once"));
    CHECK(run.says("records were refused (SLUICE_REJECT_WHICH)"));
    CHECK_FALSE(run.says("failed"));
}

TEST_CASE("a sink that answers RETRY to first calls is asked again, and is right") {
    for (const char* const scenario : {"batches", "kills between calls", "parallel writers"}) {
        const KitRun run = flawed("retries", {"--scenario", scenario});
        CHECK_MESSAGE(run.code == 0, run.text);
        CHECK(run.says("RETRY was answered"));
    }
}

TEST_CASE("a sink that commits, answers RETRY and then finds the batch is right") {
    for (const char* const scenario : {"batches", "kills of re-runs", "given up batches"}) {
        const KitRun run = flawed("doubts", {"--scenario", scenario});
        CHECK_MESSAGE(run.code == 0, run.text);
        CHECK(run.says("the answer of the target was lost"));
    }
}

TEST_CASE("each mistake is found, and the message says what is wrong") {
    const std::vector<Flaw> flaws{
        {"commitsAtWrite", "batches",
         {"before commit() of batch 1000000:", "visible", "though not committed",
          "an exactly-once sink shows a batch by its commit(), as one", "proven idempotent"}},
        {"commitsAtWrite", "aborts", {"after abort() behind writer_write()", "there more than once",
                                      "proven at-least-once"}},
        {"forgetsBatches", "kills between calls",
         {"begin() of batch", "answered OK, though its commit() had before",
          "finds a committed batch by its id, and answers ALREADY_COMMITTED",
          "after kill -9 behind commit()", "there more than once", "proven at-least-once"}},
        {"losesAWriter", "batches",
         {"are not there", "though committed", "only once all that its writers took is durable",
          "not even at-least-once is kept"}},
        {"acknowledgesEarly", "kills between calls",
         {"after kill -9", "are not there", "though committed", "not even at-least-once is kept"}},
        {"keepsRetried", "batches", {"there more than once", "nor of a call that answered RETRY"}},
        {"doubtsAndForgets", "batches", {"there more than once", "nothing may be left of an earlier attempt",
                                         "proven at-least-once"}},
        {"marksFirst", "kills inside calls",
         {"inside commit()", "are not there", "though committed", "kills were inside commit()",
          "not even at-least-once is kept"}},
        {"dropsHeaders", "batches", {"has the headers [], and was written with [\"trace\": \"", "host->headers()"}},
        {"roundsTimestamps", "batches", {"has the timestamp 1700100000000, and was written with 17001000000",
                                         "a timestamp is any 64-bit number"}},
        {"keepsRefused", "refused records", {"visible", "though refused", "the sink must not keep it"}},
        {"dropsNeighbours", "refused records", {"are not there", "they take all that they do not name"}},
        {"cutsAtNul", "odd records", {"has the value \"before\", and was written with \"before\\u0000behind\"", "bytes with a length"}},
        {"changesReceipts", "checkpoints in doubt", {"handed out another receipt", "1 scenario failed"}},
        {"crashes", "checkpoints in doubt", {"begin() of batch 7000000: crashed with SIGSEGV",
                                             "a new process does not go on"}},
        {"hangs", "batches", {"commit() of batch 1000000: did not return within 5s, and was killed"}},
        {"leaks", "open and close", {"close() leaves file descriptors behind", "1 scenario failed"}},
    };
    for (const Flaw& flaw : flaws) {
        CAPTURE(flaw.name);
        std::vector<std::string> options{"--scenario", flaw.scenario, "--seed", "7"};
        if (std::string(flaw.name) == "hangs") options.insert(options.end(), {"--timeout", "5s"});
        const KitRun run = flawed(flaw.name, std::move(options));
        CHECK_MESSAGE(run.code == 2, run.text);
        for (const std::string& text : flaw.says) CHECK_MESSAGE(run.says(text), "'", text, "' in\n", run.text);
    }
}

namespace {

/// Every call of a run with seed 7, "<batch> <what>", as the sink wrote it down.
std::vector<std::string> calls_of_run(std::vector<std::string> more) {
    const KitFolder folder;
    folder.write("sink.yaml", "plugin: flawed\npath: out\nlog: calls\n");
    more.insert(more.end(), {"--seed", "7", "--rounds", "3", "--reader",
                             "cat " + folder.path("out") + "/*.jsonl /dev/null 2>/dev/null || true"});
    const KitRun run = run_kit(plugin_file("tests/plugins/flawed.so"), folder.path("sink.yaml"), std::move(more));
    CHECK_MESSAGE(run.code == 0, run.text);
    std::vector<std::string> calls;
    std::ifstream lines(folder.path("calls"));
    for (std::string line; std::getline(lines, line);) calls.push_back(line);
    return calls;
}

}  // namespace

TEST_CASE("a scenario makes the same calls alone as among all others") {
    const auto whole = calls_of_run({});
    for (const char* const scenario : {"aborts", "kills between calls", "kills of re-runs", "given up batches"}) {
        CAPTURE(scenario);
        const auto alone = calls_of_run({"--scenario", scenario});
        REQUIRE(alone.size() > 20);
        const std::uint64_t first = std::stoull(alone.front());
        const std::uint64_t last = std::stoull(alone.back());
        std::vector<std::string> among;
        for (const std::string& call : whole) {
            if (const std::uint64_t batch = std::stoull(call); batch >= first && batch <= last) among.push_back(call);
        }
        CHECK(alone == among);
    }
}

TEST_CASE("without a reader the kit judges the answers, and says that nothing more is proven") {
    const KitFolder folder;
    folder.write("sink.yaml", "plugin: flawed\npath: out\nflaw: losesAWriter\n");
    const KitRun run = run_kit(plugin_file("tests/plugins/flawed.so"), folder.path("sink.yaml"), {"--rounds", "2"});
    CHECK_MESSAGE(run.code == 0, run.text);
    CHECK(run.says("not proven: without --reader nobody sees what is in the target"));
}

TEST_CASE("what the author gets wrong ends the run with a message of its own") {
    const KitFolder folder;
    folder.write("sink.yaml", "plugin: flawed\npath: out\n");
    const auto run = [&](std::vector<std::string> more) {
        return run_kit(plugin_file("tests/plugins/flawed.so"), folder.path("sink.yaml"), std::move(more));
    };
    const KitRun words = run({"--reader", "echo what is this"});
    CHECK(words.code == 1);
    CHECK(words.says("neither TOPIC PARTITION OFFSET nor a JSON object"));
    const KitRun fails = run({"--reader", "exit 3"});
    CHECK(fails.code == 1);
    CHECK(fails.says("ended with exit code 3"));
    const KitRun late = run({"--scenario", "outage", "--down", "exit 5", "--up", "true"});
    CHECK(late.code == 1);
    CHECK(late.says("scenario 'outage': `exit 5` ended with exit code 5"));
    const KitRun again = run({"--reader", "echo sink-test-5-orders 0 7", "--seed", "5"});
    CHECK(again.code == 1);
    CHECK(again.says("the target already has records of seed 5"));
    CHECK(run({"--scenario", "nothing"}).code == 64);
    CHECK(run({"--down", "true"}).code == 64);
    CHECK(run_kit(folder.path("sink.yaml"), folder.path("sink.yaml"), {}).code == 78);
    CHECK(run_kit(plugin_file("tests/plugins/flawed.so"), folder.path("none.yaml"), {}).code == 78);
}
