#include <doctest/doctest.h>
#include <sys/stat.h>
#include <zlib.h>

#include <boost/json.hpp>

#include "harness.hpp"

using namespace file_test;
namespace json = boost::json;

namespace {

std::string piece(std::int64_t from, std::int64_t until) {
    const auto digits = [](std::int64_t n) {
        const std::string text = std::to_string(n);
        return std::string(20 - text.size(), '0') + text;
    };
    return digits(from) + "-" + digits(until) + ".jsonl";
}

std::string lines_of(const Range& range) {
    std::string lines;
    for (std::int64_t offset = range.from; offset < range.until; ++offset)
        lines += value_of(range.topic, range.partition, offset) + "\n";
    return lines;
}

mode_t mode_of(const fs::path& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("parts: a range becomes one file named after its offsets in 20 digits") {
    const TempDir dir;
    const Settings settings{{"path", (dir.path() / "out").string()}, {"format", "value"}};
    Checkpoint checkpoint;
    const Plan plan{{"orders", 0, 0, 3}, {"orders", 0, 3, 5}, {"payments", 7, 812, 813}};
    REQUIRE(run_batch(settings, checkpoint, plan).status == SLUICE_OK);
    const auto found = contents(dir.path() / "out");
    REQUIRE(found.size() == 3);
    CHECK(found.at("orders/partition=0/" + piece(0, 3)) == lines_of(plan[0]));
    CHECK(found.at("orders/partition=0/" + piece(3, 5)) == lines_of(plan[1]));
    CHECK(found.at("payments/partition=7/" + piece(812, 813)) == lines_of(plan[2]));
    CHECK_FALSE(fs::exists(dir.path() / "out/.batch-0"));
}

TEST_CASE("parts: what open files and their compressors hold is told, and given back") {
    for (const auto& [compression, least] : std::map<std::string, std::uint64_t>{
             {"none", 300'000}, {"gzip", 500'000}, {"zstd", 1'000'000}}) {
        CAPTURE(compression);
        const TempDir dir;
        const Settings settings{{"path", dir.path().string()}, {"format", "value"}, {"compression", compression}};
        TestSink sink(settings, {});
        REQUIRE(sink.opened().status == SLUICE_OK);
        const Plan plan{{"orders", 0, 0, 1}, {"orders", 1, 0, 1}};
        REQUIRE(sink.begin(0, plan).status == SLUICE_OK);
        const std::string value(300'000, 'x');  // enough to be compressed, and written
        sluice_record record{};
        record.topic = {"orders", 6};
        record.value = {reinterpret_cast<const std::uint8_t*>(value.data()), value.size()};
        std::vector<sluice_writer*> writers(2);
        for (std::uint32_t index = 0; index < 2; ++index) {
            record.partition = static_cast<std::int32_t>(index);
            REQUIRE(sink.open_writer(0, index, plan[index], &writers[index]).status == SLUICE_OK);
            REQUIRE(sink.write_records(writers[index], {record}).status == SLUICE_OK);
            CHECK(sink.memory_held > (index + 1) * least);
        }
        CHECK(sink.memory_held < 16 << 20);
        for (sluice_writer* writer : writers) REQUIRE(sink.close_writer(writer, true).status == SLUICE_OK);
        REQUIRE(sink.commit(0).status == SLUICE_OK);
        CHECK(sink.memory_held < 1'500'000);  // the two buffers, kept for the next writers
    }
}

TEST_CASE("parts: nothing is visible before the commit, and nothing is left after an abort") {
    const TempDir dir;
    const Settings settings{{"path", dir.path().string()}, {"format", "value"}};
    TestSink sink(settings, {});
    REQUIRE(sink.opened().status == SLUICE_OK);
    const Plan plan{{"orders", 0, 0, 200'000}};
    REQUIRE(sink.begin(0, plan).status == SLUICE_OK);
    REQUIRE(sink.write(0, 0, plan[0]).status == SLUICE_OK);
    CHECK(contents(dir.path()).empty());
    CHECK(fs::exists(dir.path() / ".batch-0"));
    REQUIRE(sink.abort(0).status == SLUICE_OK);
    CHECK_FALSE(fs::exists(dir.path() / ".batch-0"));

    // The next batch has other ranges, and is not disturbed by the pieces that were dropped.
    const Plan next{{"orders", 0, 0, 2}};
    REQUIRE(sink.begin(1, next).status == SLUICE_OK);
    REQUIRE(sink.write(1, 0, next[0]).status == SLUICE_OK);
    REQUIRE(sink.commit(1).status == SLUICE_OK);
    CHECK(sorted_lines(dir.path()) == expected_lines({next}));
}

TEST_CASE("parts: a json line has every field of the record, and the compressions hold the same") {
    for (const std::string compression : {"none", "gzip", "zstd"}) {
        CAPTURE(compression);
        const TempDir dir;
        const Settings settings{{"path", dir.path().string()},
                                {"format", "json"},
                                {"value", "json"},
                                {"compression", compression}};
        TestSink sink(settings, {});
        const std::string name = "trace";
        const std::string value = R"({"n": 1})";
        sink.headers.push_back({{name.data(), name.size()}, {nullptr, 0}});
        const Range range{"orders", 0, 5, 7};
        REQUIRE(sink.begin(0, {range}).status == SLUICE_OK);
        sluice_writer* writer = nullptr;
        REQUIRE(sink.open_writer(0, 0, range, &writer).status == SLUICE_OK);
        sluice_record record{};
        record.topic = {range.topic.data(), range.topic.size()};
        record.value = {reinterpret_cast<const std::uint8_t*>(value.data()), value.size()};
        record.offset = 5;
        record.timestamp_ms = 1234;
        record.timestamp_type = SLUICE_TIMESTAMP_CREATE;
        sluice_record tombstone = record;
        tombstone.value = {nullptr, 0};
        tombstone.offset = 6;
        REQUIRE(sink.write_records(writer, {record, tombstone}).status == SLUICE_OK);
        REQUIRE(sink.close_writer(writer, true).status == SLUICE_OK);
        REQUIRE(sink.commit(0).status == SLUICE_OK);

        const auto found = contents(dir.path());
        REQUIRE(found.size() == 1);
        const std::string extension = compression == "gzip"   ? ".gz"
                                      : compression == "zstd" ? ".zst"
                                                              : "";
        CHECK(found.begin()->first == "orders/partition=0/" + piece(5, 7) + extension);
        CHECK(found.begin()->second ==
              R"({"topic":"orders","partition":0,"offset":5,"timestamp":1234,)"
              R"("timestampType":"CreateTime","key":null,"headers":[["trace",null]],"value":{"n": 1}})"
              "\n"
              R"({"topic":"orders","partition":0,"offset":6,"timestamp":1234,)"
              R"("timestampType":"CreateTime","key":null,"headers":[["trace",null]],"value":null})"
              "\n");
    }
}

TEST_CASE("parts: large compressed ranges come back whole") {
    for (const std::string compression : {"gzip", "zstd"}) {
        CAPTURE(compression);
        const TempDir dir;
        const Settings settings{
            {"path", dir.path().string()}, {"format", "value"}, {"compression", compression}};
        Checkpoint checkpoint;
        const Plan plan{{"orders", 0, 0, 50'000}, {"orders", 1, 0, 10}};
        REQUIRE(run_batch(settings, checkpoint, plan).status == SLUICE_OK);
        CHECK(sorted_lines(dir.path()) == expected_lines({plan}));
    }
}

TEST_CASE("parts: rollSize cuts a range into pieces that tile it, the same in every run") {
    std::vector<std::string> names;
    for (int run = 0; run < 2; ++run) {
        const TempDir dir;
        // 14 or 15 bytes a line: the size is reached by every 8th record, and again after a re-run.
        const Settings settings{
            {"path", dir.path().string()}, {"format", "value"}, {"rollSize", "100"}};
        TestSink sink(settings, {});
        const Range range{"orders", 0, 95, 125};
        REQUIRE(sink.begin(0, {range}).status == SLUICE_OK);
        // Offsets 103 and 104 are gaps: the next piece begins at the next record.
        REQUIRE(sink.write(0, 0, range, [](std::int64_t o) { return o == 103 || o == 104; }).status ==
                SLUICE_OK);
        REQUIRE(sink.commit(0).status == SLUICE_OK);
        std::vector<std::string> found;
        std::string all;
        for (const auto& [name, content] : contents(dir.path())) {
            found.push_back(fs::path(name).filename().string());
            all += content;
        }
        const std::string expected = lines_of({"orders", 0, 95, 103}) + lines_of({"orders", 0, 105, 125});
        CHECK(all == expected);
        REQUIRE(found.size() > 2);
        CHECK(found.front().substr(0, 20) == piece(95, 0).substr(0, 20));
        CHECK(found.back().substr(21, 20) == piece(125, 0).substr(0, 20));
        for (std::size_t i = 1; i < found.size(); ++i)
            CHECK(found[i].substr(0, 20) == found[i - 1].substr(21, 20));
        if (run == 0) names = found;
        CHECK(found == names);
    }
}

TEST_CASE("parts: the manifest keeps files, counts and checksums of what is on disk") {
    const TempDir dir;
    const Settings settings{
        {"path", dir.path().string()}, {"format", "value"}, {"compression", "zstd"}};
    Checkpoint checkpoint;
    REQUIRE(run_batch(settings, checkpoint, {{"orders", 0, 0, 1000}}).status == SLUICE_OK);
    const json::value manifest = json::parse(read_file(dir.path() / "_batches/_0.json"));
    const json::object& file = manifest.at("files").at(0).as_object();
    const std::string name = std::string(file.at("directory").as_string()) + "/" +
                             std::string(file.at("name").as_string());
    const std::string content = read_file(dir.path() / name);
    CHECK(file.at("records").to_number<int>() == 1000);
    CHECK(file.at("bytes").to_number<std::size_t>() == content.size());
    const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
    CHECK(std::stoul(std::string(file.at("crc32").as_string()), nullptr, 16) == crc);
    CHECK(manifest.at("records").to_number<int>() == 1000);
}

TEST_CASE("parts: a range without records leaves no file, its batch a manifest") {
    const TempDir dir;
    const Settings settings{{"path", dir.path().string()}, {"format", "value"}};
    TestSink sink(settings, {});
    const Range range{"orders", 0, 0, 10};
    REQUIRE(sink.begin(0, {range}).status == SLUICE_OK);
    REQUIRE(sink.write(0, 0, range, [](std::int64_t) { return true; }).status == SLUICE_OK);
    REQUIRE(sink.commit(0).status == SLUICE_OK);
    CHECK(contents(dir.path()).empty());
    CHECK(fs::exists(dir.path() / "_batches/_0.json"));
}

TEST_CASE("parts: fileMode holds whatever the umask, and directories get x where it has r") {
    const TempDir dir;
    const Settings settings{
        {"path", (dir.path() / "a/b").string()}, {"format", "value"}, {"fileMode", "0664"}};
    Checkpoint checkpoint;
    const mode_t old = ::umask(077);
    REQUIRE(run_batch(settings, checkpoint, {{"orders", 0, 0, 1}}).status == SLUICE_OK);
    ::umask(old);
    CHECK(mode_of(dir.path() / "a") == 0775);
    CHECK(mode_of(dir.path() / "a/b/orders/partition=0") == 0775);
    CHECK(mode_of(dir.path() / "a/b/orders/partition=0" / piece(0, 1)) == 0664);
    CHECK(mode_of(dir.path() / "a/b/_sluice.json") == 0664);
}

TEST_CASE("parts: topics that look like something of ours get a directory of their own") {
    const TempDir dir;
    const Settings settings{{"path", dir.path().string()}, {"format", "value"}};
    Checkpoint checkpoint;
    const Plan plan{{".hidden", 0, 0, 1}, {"_sluice.json", 0, 0, 1}, {"_batches", 0, 0, 1}};
    REQUIRE(run_batch(settings, checkpoint, plan).status == SLUICE_OK);
    CHECK(sorted_lines(dir.path()) == expected_lines({plan}));
    CHECK(fs::exists(dir.path() / "%2Ehidden/partition=0"));

    const Reply reply = run_batch(settings, checkpoint, {{"..", 0, 0, 1}});
    CHECK(reply.status == SLUICE_FATAL);
    CHECK_FALSE(fs::exists(dir.path().parent_path() / "partition=0"));
}

TEST_CASE("parts: keepManifests drops the oldest") {
    const TempDir dir;
    const Settings settings{
        {"path", dir.path().string()}, {"format", "value"}, {"keepManifests", "2"}};
    Checkpoint checkpoint;
    for (std::int64_t i = 0; i < 4; ++i)
        REQUIRE(run_batch(settings, checkpoint, {{"orders", 0, i, i + 1}}).status == SLUICE_OK);
    CHECK_FALSE(fs::exists(dir.path() / "_batches/_1.json"));
    CHECK(fs::exists(dir.path() / "_batches/_2.json"));
    CHECK(fs::exists(dir.path() / "_batches/_3.json"));
    CHECK(sorted_lines(dir.path()).size() == 4);
}
