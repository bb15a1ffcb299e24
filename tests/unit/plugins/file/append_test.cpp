#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <thread>

#include "harness.hpp"

using namespace file_test;
namespace json = boost::json;

namespace {

Settings append_settings(const TempDir& dir, Settings more = {}) {
    more.insert({"path", dir.path().string()});
    more.insert({"mode", "append"});
    more.insert({"format", "value"});
    return more;
}

const std::string batch_name(int first, int last) {
    const auto digits = [](int n) {
        const std::string text = std::to_string(n);
        return std::string(20 - text.size(), '0') + text;
    };
    return digits(first) + "-" + digits(last) + ".jsonl";
}

}  // namespace

TEST_CASE("append: batches follow each other in current.jsonl, ranges in plan order") {
    const TempDir dir;
    Checkpoint checkpoint;
    TestSink sink(append_settings(dir), checkpoint);
    REQUIRE(sink.opened().status == SLUICE_OK);
    const Plan plan{{"orders", 0, 0, 2}, {"orders", 1, 0, 2}};
    REQUIRE(sink.begin(0, plan).status == SLUICE_OK);
    // Writers run side by side and end in any order.
    REQUIRE(sink.write(0, 1, plan[1]).status == SLUICE_OK);
    REQUIRE(sink.write(0, 0, plan[0]).status == SLUICE_OK);
    CHECK(contents(dir.path()).empty());
    REQUIRE(sink.commit(0).status == SLUICE_OK);
    REQUIRE(sink.begin(1, {{"orders", 0, 2, 3}}).status == SLUICE_OK);
    REQUIRE(sink.write(1, 0, {"orders", 0, 2, 3}).status == SLUICE_OK);
    const Reply committed = sink.commit(1);
    REQUIRE(committed.status == SLUICE_OK);
    CHECK(read_file(dir.path() / "current.jsonl") ==
          "orders-0@0\norders-0@1\norders-1@0\norders-1@1\norders-0@2\n");
    const json::value receipt = json::parse(committed.receipt);
    CHECK(receipt.at("file").as_string() == "current.jsonl");
    CHECK(receipt.at("length").to_number<std::uint64_t>() ==
          fs::file_size(dir.path() / "current.jsonl"));
    CHECK(receipt.at("inode").to_number<std::uint64_t>() != 0);
}

TEST_CASE("append: large and small ranges, plain and compressed, come back whole and in order") {
    for (const std::string compression : {"none", "gzip", "zstd"}) {
        CAPTURE(compression);
        const TempDir dir;
        const Settings settings = append_settings(dir, {{"compression", compression}});
        Checkpoint checkpoint;
        const Plan first{{"orders", 0, 0, 60'000}, {"orders", 1, 0, 3}, {"orders", 2, 0, 60'000}};
        const Plan second{{"orders", 0, 60'000, 60'010}};
        REQUIRE(run_batch(settings, checkpoint, first).status == SLUICE_OK);
        REQUIRE(run_batch(settings, checkpoint, second).status == SLUICE_OK);
        const auto found = contents(dir.path());
        REQUIRE(found.size() == 1);
        std::string expected;
        for (const Plan& plan : {first, second})
            for (const Range& range : plan)
                for (std::int64_t offset = range.from; offset < range.until; ++offset)
                    expected += value_of(range.topic, range.partition, offset) + "\n";
        CHECK(found.begin()->second == expected);
    }
}

TEST_CASE("writers of one batch run in parallel, in both modes") {
    for (const std::string mode : {"append", "parts"}) {
        CAPTURE(mode);
        const TempDir dir;
        Settings settings = append_settings(dir, {{"compression", "zstd"}});
        settings["mode"] = mode;
        TestSink sink(settings, {});
        Plan plan;
        for (std::int32_t partition = 0; partition < 4; ++partition)
            plan.push_back({"orders", partition, 0, partition % 2 == 0 ? 20'000 : 5});
        REQUIRE(sink.begin(0, plan).status == SLUICE_OK);
        std::vector<std::thread> threads;
        std::vector<sluice_status> answers(plan.size(), SLUICE_FATAL);
        for (std::uint32_t i = 0; i < plan.size(); ++i)
            threads.emplace_back([&, i] { answers[i] = sink.write(0, i, plan[i]).status; });
        for (std::thread& thread : threads) thread.join();
        CHECK(answers == std::vector<sluice_status>(plan.size(), SLUICE_OK));
        REQUIRE(sink.commit(0).status == SLUICE_OK);
        CHECK(sorted_lines(dir.path()) == expected_lines({plan}));
    }
}

TEST_CASE("append: rollSize closes the file at the end of a batch under the batches' names") {
    const TempDir dir;
    const Settings settings = append_settings(dir, {{"rollSize", "25"}});
    Checkpoint checkpoint;
    TestSink sink(settings, checkpoint);
    for (std::int64_t i = 0; i < 5; ++i)  // 11 bytes a batch
        REQUIRE(run_batch(sink, checkpoint, {{"orders", 0, i, i + 1}}).status == SLUICE_OK);
    const auto found = contents(dir.path());
    REQUIRE(found.size() == 2);
    CHECK(found.at(batch_name(0, 2)) == "orders-0@0\norders-0@1\norders-0@2\n");
    CHECK(found.at("current.jsonl") == "orders-0@3\norders-0@4\n");
}

TEST_CASE("append: an abort removes what a batch has written") {
    const TempDir dir;
    Checkpoint checkpoint;
    TestSink sink(append_settings(dir), checkpoint);
    REQUIRE(run_batch(sink, checkpoint, {{"orders", 0, 0, 1}}).status == SLUICE_OK);
    REQUIRE(sink.begin(1, {{"orders", 0, 1, 100'000}}).status == SLUICE_OK);
    REQUIRE(sink.write(1, 0, {"orders", 0, 1, 100'000}).status == SLUICE_OK);
    REQUIRE(sink.abort(1).status == SLUICE_OK);
    CHECK_FALSE(fs::exists(dir.path() / ".batch-1"));
    CHECK(read_file(dir.path() / "current.jsonl") == "orders-0@0\n");
}

TEST_CASE("append: another compression closes the file as it is and begins a new one") {
    const TempDir dir;
    Checkpoint checkpoint;
    REQUIRE(run_batch(append_settings(dir), checkpoint, {{"orders", 0, 0, 2}}).status == SLUICE_OK);
    const Settings zstd = append_settings(dir, {{"compression", "zstd"}});
    REQUIRE(run_batch(zstd, checkpoint, {{"orders", 0, 2, 3}}).status == SLUICE_OK);
    const auto found = contents(dir.path());
    REQUIRE(found.size() == 2);
    CHECK(found.at(batch_name(0, 0)) == "orders-0@0\norders-0@1\n");
    CHECK(found.at("current.jsonl.zst") == "orders-0@2\n");
}

TEST_CASE("append: another compression, killed before the receipt said so, goes on") {
    const TempDir dir;
    Checkpoint checkpoint;
    REQUIRE(run_batch(append_settings(dir), checkpoint, {{"orders", 0, 0, 2}}).status == SLUICE_OK);
    const Settings gzip = append_settings(dir, {{"compression", "gzip"}});
    const Plan plan{{"orders", 0, 2, 3}};
    for (const char* point : {"file.append.mid_roll", "file.append.after_write"})
        REQUIRE(dies_at(point, [&] { (void)run_batch(gzip, checkpoint, plan); }));
    const Reply again = run_batch(gzip, checkpoint, plan, true);
    CHECK_MESSAGE(again.status == SLUICE_OK, again.error);
    CHECK(sorted_lines(dir.path()) == expected_lines({{{"orders", 0, 0, 2}}, plan}));
}

TEST_CASE("append: an output that was copied to another disk goes on") {
    const TempDir dir;
    const Settings settings = append_settings(dir);
    Checkpoint checkpoint;
    REQUIRE(run_batch(settings, checkpoint, {{"orders", 0, 0, 2}}).status == SLUICE_OK);
    const fs::path current = dir.path() / "current.jsonl";
    fs::copy_file(current, dir.path() / "copy");
    fs::rename(dir.path() / "copy", current);
    REQUIRE(run_batch(settings, checkpoint, {{"orders", 0, 2, 3}}).status == SLUICE_OK);
    CHECK(read_file(current) == "orders-0@0\norders-0@1\norders-0@2\n");
}

TEST_CASE("append: a batch of gaps only has a manifest and moves the receipt") {
    const TempDir dir;
    Checkpoint checkpoint;
    TestSink sink(append_settings(dir), checkpoint);
    REQUIRE(sink.begin(0, {{"orders", 0, 0, 5}}).status == SLUICE_OK);
    REQUIRE(sink.write(0, 0, {"orders", 0, 0, 5}, [](std::int64_t) { return true; }).status ==
            SLUICE_OK);
    const Reply committed = sink.commit(0);
    REQUIRE(committed.status == SLUICE_OK);
    CHECK(json::parse(committed.receipt).at("batch").to_number<int>() == 0);
    CHECK(fs::exists(dir.path() / "_batches/_0.json"));
}
