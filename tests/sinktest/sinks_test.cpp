// Our own sinks through the kit: each keeps what it declares. A new sink is one more TEST_CASE here (or in a
// file beside, when it needs a server as postgres does).
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/sinktest/kit_run.hpp"

using namespace sluice::test;

namespace {

/// Files whose names end so and do not begin with a '.', each put through `unpack`.
std::string files(const KitFolder& folder, const std::string& ending, const std::string& unpack = "cat") {
    return "find " + folder.path("out") + " -name '*" + ending + "' -not -path '*/.*' | xargs -r " + unpack;
}

void keeps(const KitRun& run, const std::string& verdict) {
    CHECK_MESSAGE(run.code == 0, run.text);
    CHECK_MESSAGE(run.says(verdict), run.text);
}

}  // namespace

TEST_CASE("file: parts and append are exactly-once, compressed or not") {
    const struct {
        const char* options;
        const char* ending;
        const char* unpack;
    } forms[] = {{"mode: parts\n", ".jsonl", "cat"},
                 {"mode: parts\ncompression: gzip\nrollSize: 2KiB\n", ".jsonl.gz", "zcat"},
                 {"mode: append\n", ".jsonl", "cat"},
                 {"mode: append\ncompression: gzip\nrollSize: 8KiB\n", ".jsonl.gz", "zcat"}};
    for (const auto& form : forms) {
        CAPTURE(form.options);
        const KitFolder folder;
        folder.write("sink.yaml", std::string("plugin: file\npath: out\n") + form.options);
        keeps(run_kit(plugin_file("lib/sluice/file.so"), folder.path("sink.yaml"),
                      {"--reader", files(folder, form.ending, form.unpack), "--rounds", "6"}),
              "declared exactly-once, proven exactly-once");
    }
}

TEST_CASE("stdout is at-least-once between calls; a kill inside write() may leave half a line") {
    // Of the others, plugins/stdout/README.md says why not.
    for (const char* const scenario : {"open and close", "batches", "slow calls", "restarts", "aborts",
                                       "checkpoints in doubt", "kills between calls", "kills of re-runs",
                                       "given up batches", "histories", "odd records"}) {
        CAPTURE(scenario);
        const KitFolder folder;
        folder.write("sink.yaml", "plugin: stdout\n");
        folder.write("lines", "");
        keeps(run_kit(plugin_file("lib/sluice/stdout.so"), folder.path("sink.yaml"),
                      {"--stdout", folder.path("lines"), "--reader", "cat " + folder.path("lines"), "--scenario", scenario}),
              "declared at-least-once");
    }
}

TEST_CASE("discard is read by nobody: its answers are right, and no more is claimed") {
    const KitFolder folder;
    folder.write("sink.yaml", "plugin: discard\n");
    keeps(run_kit(plugin_file("lib/sluice/discard.so"), folder.path("sink.yaml"), {"--rounds", "6"}),
          "declared at-least-once, not proven: without --reader");
}

TEST_CASE("picky keeps exactly-once in whichever way it refuses records") {
    const struct {
        const char* refuse;
        const char* says;
    } forms[] = {{"which", "SLUICE_REJECT_WHICH"}, {"all", "SLUICE_REJECT_ALL"}, {"batchLost", "SLUICE_REJECT_BATCH_LOST"}};
    for (const auto& form : forms) {
        CAPTURE(form.refuse);
        const KitFolder folder;
        folder.write("sink.yaml", std::string("plugin: picky\npath: out\nrefuse: ") + form.refuse + "\n");
        // It keeps no headers, and writes that there are none.
        const KitRun run = run_kit(plugin_file("tests/plugins/picky.so"), folder.path("sink.yaml"),
                                   {"--reader", files(folder, ".jsonl", "sed 's/\"headers\":\\[\\],//'"), "--refused", "bad", "--scenario", "refused records"});
        CHECK_MESSAGE(run.code == 0, run.text);
        CHECK_MESSAGE(run.says(form.says), run.text);
    }
}
