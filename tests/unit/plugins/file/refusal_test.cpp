// What the sink refuses, and what it survives: other owners, other checkpoints, full disks.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "harness.hpp"
#include "plugins/file/directory.hpp"
#include "plugins/file/errors.hpp"

using namespace file_test;

namespace {

Settings settings_of(const TempDir& dir, const std::string& mode, Settings more = {}) {
    more.insert({"path", dir.path().string()});
    more.insert({"mode", mode});
    more.insert({"format", "value"});
    return more;
}

bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

Plan offsets(std::int64_t from, std::int64_t until) { return {{"orders", 0, from, until}}; }

/// While it lives, no file may grow beyond `bytes`; writes beyond answer EFBIG.
class FileSizeLimit {
 public:
    explicit FileSizeLimit(rlim_t bytes) {
        std::signal(SIGXFSZ, SIG_IGN);
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
        const rlimit limit{bytes, before_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    }
    ~FileSizeLimit() { lift(); }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;
    void lift() const { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
    rlimit before_{};
};

}  // namespace

TEST_CASE("another pipeline and another cluster are refused with the remedy") {
    const TempDir dir;
    Checkpoint checkpoint;
    REQUIRE(run_batch(settings_of(dir, "parts"), checkpoint, offsets(0, 1)).status == SLUICE_OK);
    Checkpoint other;
    other.pipeline = "payments";
    const TestSink sink(settings_of(dir, "parts"), other);
    CHECK(sink.opened().status == SLUICE_FATAL);
    CHECK(says(sink.opened().error, "belongs to pipeline 'orders'"));
    CHECK(says(sink.opened().error, "give the sink another `path`"));
    Checkpoint elsewhere = checkpoint;
    elsewhere.cluster = "cluster-2";
    const TestSink moved(settings_of(dir, "parts"), elsewhere);
    CHECK(moved.opened().status == SLUICE_FATAL);
    CHECK(says(moved.opened().error, "cluster-2"));
}

TEST_CASE("a directory serves one sink at a time") {
    const TempDir dir;
    const TestSink one(settings_of(dir, "parts"), {});
    REQUIRE(one.opened().status == SLUICE_OK);
    const TestSink two(settings_of(dir, "parts"), {});
    CHECK(two.opened().status == SLUICE_RETRY);
    CHECK(says(two.opened().error, "in use"));
}

TEST_CASE("a checkpoint older than the output is fatal in both modes") {
    for (const std::string mode : {"parts", "append"}) {
        CAPTURE(mode);
        const TempDir dir;
        Checkpoint checkpoint;
        REQUIRE(run_batch(settings_of(dir, mode), checkpoint, offsets(0, 1)).status == SLUICE_OK);
        const Checkpoint old = checkpoint;
        REQUIRE(run_batch(settings_of(dir, mode), checkpoint, offsets(1, 2)).status == SLUICE_OK);
        const auto before = contents(dir.path());

        SUBCASE("by one batch, which gets other ranges") {
            TestSink sink(settings_of(dir, mode), old);
            const Reply reply = sink.begin(1, offsets(1, 5), true);
            CHECK(reply.status == SLUICE_FATAL);
            CHECK(says(reply.error, "checkpoint is older than the output"));
        }
        SUBCASE("by more than one") {
            REQUIRE(run_batch(settings_of(dir, mode), checkpoint, offsets(2, 3)).status == SLUICE_OK);
            const TestSink sink(settings_of(dir, mode), old);
            CHECK(sink.opened().status == SLUICE_FATAL);
            CHECK(says(sink.opened().error, "checkpoint is older than the output"));
        }
        SUBCASE("none at all") {
            const TestSink sink(settings_of(dir, mode), {});
            CHECK(sink.opened().status == SLUICE_FATAL);
            CHECK(says(sink.opened().error, "checkpoint is older than the output"));
        }
        for (const auto& [name, content] : before) CHECK(contents(dir.path()).count(name) == 1);
    }
}

TEST_CASE("a batch that was begun with other ranges is fatal, although nothing of it was committed") {
    for (const std::string mode : {"parts", "append"}) {
        CAPTURE(mode);
        const TempDir dir;
        Checkpoint checkpoint;
        REQUIRE(run_batch(settings_of(dir, mode), checkpoint, offsets(0, 1)).status == SLUICE_OK);
        REQUIRE(dies_at(mode == "parts" ? "file.commit.before_manifest" : "file.append.after_sync", [&] {
            Checkpoint lost = checkpoint;
            (void)run_batch(settings_of(dir, mode), lost, offsets(1, 3));
        }));
        const auto before = contents(dir.path());
        const Reply reply = run_batch(settings_of(dir, mode), checkpoint, offsets(1, 2), true);
        CHECK(reply.status == SLUICE_FATAL);
        CHECK(says(reply.error, "begun there before, with other ranges"));
        CHECK(contents(dir.path()) == before);
    }
}

TEST_CASE("an output older than the checkpoint is fatal in both modes") {
    for (const std::string mode : {"parts", "append"}) {
        CAPTURE(mode);
        const TempDir dir;
        Checkpoint checkpoint;
        REQUIRE(run_batch(settings_of(dir, mode), checkpoint, offsets(0, 1)).status == SLUICE_OK);
        const std::string owner = read_file(dir.path() / "_sluice.json");
        REQUIRE(run_batch(settings_of(dir, mode), checkpoint, offsets(1, 2)).status == SLUICE_OK);
        write_file(dir.path() / "_sluice.json", owner);
        const TestSink sink(settings_of(dir, mode), checkpoint);
        CHECK(sink.opened().status == SLUICE_FATAL);
        CHECK(says(sink.opened().error, "output is older than the checkpoint"));
    }
}

TEST_CASE("an output directory that is empty again, as an unmounted disk is, is fatal") {
    const TempDir dir;
    const Settings settings = settings_of(dir, "parts");
    Checkpoint checkpoint;
    REQUIRE(run_batch(settings, checkpoint, offsets(0, 1)).status == SLUICE_OK);
    for (const auto& entry : fs::directory_iterator(dir.path())) fs::remove_all(entry.path());
    const TestSink sink(settings, checkpoint);
    CHECK(sink.opened().status == SLUICE_FATAL);
    CHECK(says(sink.opened().error, "is the file system mounted?"));
}

TEST_CASE("append: an output shorter or longer than the checkpoint is fatal with both lengths") {
    const TempDir dir;
    const Settings settings = settings_of(dir, "append");
    const fs::path current = dir.path() / "current.jsonl";
    Checkpoint checkpoint;
    REQUIRE(run_batch(settings, checkpoint, offsets(0, 3)).status == SLUICE_OK);
    const std::string whole = read_file(current);
    REQUIRE(whole.size() == 33);

    SUBCASE("shorter") {
        fs::resize_file(current, 20);
        const TestSink sink(settings, checkpoint);
        CHECK(sink.opened().status == SLUICE_FATAL);
        CHECK(says(sink.opened().error, "20 bytes"));
        CHECK(says(sink.opened().error, "33 bytes"));
        CHECK(fs::file_size(current) == 20);
    }
    SUBCASE("longer, and no batch has begun") {
        write_file(current, whole + "foreign\n");
        const TestSink sink(settings, checkpoint);
        CHECK(sink.opened().status == SLUICE_FATAL);
        CHECK(says(sink.opened().error, "checkpoint is older than the output"));
        CHECK(says(sink.opened().error, "41 bytes"));
        CHECK(says(sink.opened().error, "33 bytes"));
        CHECK(read_file(current) == whole + "foreign\n");
    }
    SUBCASE("longer while the sink is open") {
        TestSink sink(settings, checkpoint);
        write_file(current, whole + "foreign\n");
        const Reply reply = sink.begin(1, offsets(3, 4));
        CHECK(reply.status == SLUICE_FATAL);
        CHECK(says(reply.error, "something else writes to it"));
        CHECK(sink.abort(1).status == SLUICE_OK);  // nothing of the batch is there
        CHECK(read_file(current) == whole + "foreign\n");
    }
    SUBCASE("gone") {
        fs::remove(current);
        const TestSink sink(settings, checkpoint);
        CHECK(sink.opened().status == SLUICE_FATAL);
        CHECK(says(sink.opened().error, "logrotate"));
    }
    SUBCASE("another file of the same length") {
        write_file(current, std::string(33, 'x'));
        const TestSink sink(settings, checkpoint);
        CHECK(sink.opened().status == SLUICE_FATAL);
        CHECK(says(sink.opened().error, "is not the file"));
    }
}

TEST_CASE("a foreign file in the way is fatal and stays as it is") {
    const TempDir dir;
    SUBCASE("parts") {
        Checkpoint checkpoint;
        const fs::path in_the_way =
            dir.path() / "orders/partition=0/00000000000000000000-00000000000000000001.jsonl";
        fs::create_directories(in_the_way.parent_path());
        write_file(in_the_way, "mine");
        const Reply reply = run_batch(settings_of(dir, "parts"), checkpoint, offsets(0, 1));
        CHECK(reply.status == SLUICE_FATAL);
        CHECK(says(reply.error, in_the_way.string()));
        CHECK(read_file(in_the_way) == "mine");
        CHECK_FALSE(fs::exists(dir.path() / "_batches/_0.json"));

        fs::remove(in_the_way);  // the remedy
        CHECK(run_batch(settings_of(dir, "parts"), checkpoint, offsets(0, 1), true).status ==
              SLUICE_OK);
    }
    SUBCASE("append") {
        write_file(dir.path() / "current.jsonl", "mine");
        const TestSink sink(settings_of(dir, "append"), {});
        CHECK(sink.opened().status == SLUICE_FATAL);
        CHECK(read_file(dir.path() / "current.jsonl") == "mine");
    }
    SUBCASE("append, where the rolled file goes") {
        const fs::path in_the_way =
            dir.path() / "00000000000000000000-00000000000000000000.jsonl";
        write_file(in_the_way, "mine");
        Checkpoint checkpoint;
        const Settings settings = settings_of(dir, "append", {{"rollSize", "1"}});
        CHECK(run_batch(settings, checkpoint, offsets(0, 1)).status == SLUICE_FATAL);
        CHECK(read_file(in_the_way) == "mine");
    }
}

TEST_CASE("symbolic links inside path are not followed") {
    const TempDir dir;
    const TempDir outside;
    Checkpoint checkpoint;
    SUBCASE("a topic's directory") {
        fs::create_directory_symlink(outside.path(), dir.path() / "orders");
        const Reply reply = run_batch(settings_of(dir, "parts"), checkpoint, offsets(0, 1));
        CHECK(reply.status == SLUICE_FATAL);
        CHECK(says(reply.error, "symbolic link"));
    }
    SUBCASE("the file of append mode") {
        write_file(outside.path() / "target", "");
        fs::create_symlink(outside.path() / "target", dir.path() / "current.jsonl");
        const TestSink sink(settings_of(dir, "append"), {});
        CHECK(sink.opened().status == SLUICE_FATAL);
        CHECK(says(sink.opened().error, "symbolic link"));
    }
    SUBCASE("where a file is created") {
        using namespace sluice::plugins::file;
        fs::create_symlink(outside.path() / "new", dir.path() / "piece");
        write_file(dir.path() / "there", "mine");
        const Directory directory = Directory::open_path(dir.path().string(), Modes{});
        CHECK_THROWS_AS((void)directory.create("piece"), Fatal);
        CHECK_THROWS_AS((void)directory.create("there"), Fatal);
        CHECK(read_file(dir.path() / "there") == "mine");
        CHECK_FALSE(fs::exists(outside.path() / "new"));
    }
    SUBCASE("path itself may be one") {
        fs::create_directory_symlink(outside.path(), dir.path() / "link");
        Settings settings = settings_of(dir, "parts");
        settings["path"] = (dir.path() / "link").string();
        CHECK(run_batch(settings, checkpoint, offsets(0, 1)).status == SLUICE_OK);
        fs::remove_all(outside.path() / "orders");
    }
    CHECK(contents(outside.path()).size() <= 1);
    for (const auto& [name, content] : contents(outside.path())) CHECK(content.empty());
}

TEST_CASE("the mode of a directory cannot be changed") {
    const TempDir dir;
    Checkpoint checkpoint;
    REQUIRE(run_batch(settings_of(dir, "parts"), checkpoint, offsets(0, 1)).status == SLUICE_OK);
    const TestSink sink(settings_of(dir, "append"), checkpoint);
    CHECK(sink.opened().status == SLUICE_FATAL);
    CHECK(says(sink.opened().error, "mode: parts"));
}

TEST_CASE("options that do not fit together are refused before anything is touched") {
    const TempDir dir;
    for (const Settings& wrong :
         {Settings{{"value", "json"}}, Settings{{"fileMode", "0240"}}, Settings{{"fileMode", "rw"}},
          Settings{{"fileMode", "07777"}}}) {
        const TestSink sink(settings_of(dir, "parts", wrong), {});
        CHECK(sink.opened().status == SLUICE_FATAL);
    }
    CHECK(fs::is_empty(dir.path()));
}

TEST_CASE("a full disk answers RETRY, keeps nothing of the call, and goes on when there is room") {
    for (const std::string compression : {"none", "gzip", "zstd"}) {
        CAPTURE(compression);
        const TempDir dir;
        TestSink sink(settings_of(dir, "parts", {{"compression", compression}, {"rollSize", "400000"}}),
                      {});
        const Range range{"orders", 0, 0, 60'000};
        REQUIRE(sink.begin(0, {range}).status == SLUICE_OK);
        sluice_writer* writer = nullptr;
        REQUIRE(sink.open_writer(0, 0, range, &writer).status == SLUICE_OK);
        const FileSizeLimit limit(30'000);
        int refused = 0;
        constexpr std::int64_t chunk = 5000;
        std::vector<std::string> expected;
        for (std::int64_t at = 0; at < range.until;) {
            std::vector<std::string> values;
            std::vector<sluice_record> records;
            for (std::int64_t offset = at; offset < at + chunk; ++offset) {
                // Not so compressible that nothing is ever written.
                std::uint64_t noise = static_cast<std::uint64_t>(offset) * 0x9E3779B97F4A7C15U;
                noise ^= noise >> 29;
                values.push_back(std::to_string(noise) + "@" + std::to_string(offset));
            }
            for (std::size_t i = 0; i < values.size(); ++i) {
                sluice_record record{};
                record.topic = {range.topic.data(), range.topic.size()};
                record.offset = at + static_cast<std::int64_t>(i);
                record.value = {reinterpret_cast<const std::uint8_t*>(values[i].data()),
                                values[i].size()};
                records.push_back(record);
            }
            const Reply reply = sink.write_records(writer, records);
            if (reply.status == SLUICE_OK) {
                at += chunk;
                expected.insert(expected.end(), values.begin(), values.end());
                continue;
            }
            REQUIRE(reply.status == SLUICE_RETRY);
            CHECK(says(reply.error, (dir.path() / ".batch-0").string()));
            CHECK(says(reply.error, "bytes were to be written"));
            if (++refused == 3) limit.lift();  // the same records are offered until there is room
        }
        CHECK(refused == 3);
        REQUIRE(sink.close_writer(writer, true).status == SLUICE_OK);
        REQUIRE(sink.commit(0).status == SLUICE_OK);
        std::sort(expected.begin(), expected.end());
        CHECK(sorted_lines(dir.path()) == expected);
    }
}

TEST_CASE("append: a disk that fills up in commit answers RETRY, and the re-run is whole") {
    const TempDir dir;
    const Settings settings = settings_of(dir, "append");
    Checkpoint checkpoint;
    TestSink sink(settings, checkpoint);
    REQUIRE(run_batch(sink, checkpoint, offsets(0, 1000)).status == SLUICE_OK);
    const auto length = fs::file_size(dir.path() / "current.jsonl");
    {
        const FileSizeLimit limit(length + 100);
        const Reply reply = run_batch(sink, checkpoint, offsets(1000, 2000));
        CHECK(reply.status == SLUICE_RETRY);
        CHECK(says(reply.error, "current.jsonl"));
        REQUIRE(sink.abort(1).status == SLUICE_OK);
        CHECK(fs::file_size(dir.path() / "current.jsonl") == length);
    }
    REQUIRE(run_batch(sink, checkpoint, offsets(1000, 2000), true).status == SLUICE_OK);
    CHECK(sorted_lines(dir.path()) == expected_lines({offsets(0, 2000)}));
}

TEST_CASE("a directory that may not be written is fatal and names user and path") {
    const TempDir dir;
    fs::permissions(dir.path(), fs::perms::owner_read | fs::perms::owner_exec |
                                    fs::perms::others_read | fs::perms::others_exec);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        // Root may write anywhere: nobody may not.
        if (::geteuid() == 0 && ::seteuid(65534) != 0) ::_exit(10);
        const TestSink sink(settings_of(dir, "parts"), {});
        if (sink.opened().status != SLUICE_FATAL) ::_exit(11);
        if (!says(sink.opened().error, "user " + std::to_string(::geteuid()))) ::_exit(12);
        if (!says(sink.opened().error, dir.path().string())) ::_exit(13);
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    fs::permissions(dir.path(), fs::perms::owner_all);
}

TEST_CASE("errors say what to do") {
    using namespace sluice::plugins::file;
    const auto text = [](int error, bool retry) {
        try {
            throw_io(error, "create", "/srv/sluice/orders/x", 4096);
        } catch (const sluice::Retry& thrown) {
            CHECK(retry);
            return std::string(thrown.what());
        } catch (const Fatal& thrown) {
            CHECK_FALSE(retry);
            return std::string(thrown.what());
        }
    };
    CHECK(says(text(EROFS, false), "ReadWritePaths="));
    CHECK(says(text(ENOSPC, true), "4096 bytes were to be written"));
    CHECK(says(text(ENOSPC, true), "bytes are free"));
    CHECK(says(text(EDQUOT, true), "quota of user"));
    CHECK(says(text(EACCES, false), "user " + std::to_string(::geteuid())));
    CHECK(says(text(EIO, false), "/srv/sluice/orders/x"));
}
