#include <unistd.h>

#include "checkpoints/disk_errors.hpp"
#include "checkpoints/keys.hpp"
#include "checkpoints/rocksdb_backend.hpp"
#include "checkpoints/upgrade.hpp"
#include "support.hpp"

using namespace sluice;
using namespace sluice::checkpoints;
using namespace sluice::checkpoints::test;

namespace fs = std::filesystem;

namespace {

void stamp(const fs::path& data_dir, const FormatStamp& stamp) {
    const auto backend = must(open_rocksdb(data_dir / "checkpoints", OpenMode::write));
    Batch batch;
    batch.put(Family::meta, keys::format(), encode(stamp));
    must(backend->write(batch));
}

}  // namespace

TEST_CASE("what was written is there after closing and opening") {
    const TempDir dir;
    const Plan plan = make_plan(2, {range("orders", 0, 20, 30)});
    {
        const auto store = must(open_store(dir.path()));
        run_batch(*store, "p", 0, 0, 10);
        run_batch(*store, "p", 1, 10, 20);
        must(store->put_plan("p", plan, {loss("orders", 1, 0, 5)}));
        must(store->rename("p", "żółw"));
    }
    const auto store = must(open_store(dir.path()));
    CHECK(must(store->pipelines()) == std::vector<std::string>{"żółw"});
    const PipelineState state = must(store->load("żółw"));
    CHECK(state.unfinished == plan);
    CHECK(state.next_batch_id == 3);
    CHECK(must(store->losses("żółw")).size() == 1);
}

TEST_CASE("numbers of forgotten pipelines are not given out again") {
    const TempDir dir;
    {
        const auto store = must(open_store(dir.path()));
        run_batch(*store, "a", 0, 0, 10);
        must(store->forget("a"));
    }
    const auto store = must(open_store(dir.path()));
    run_batch(*store, "b", 0, 0, 10);
    CHECK(must(store->load("b")).next_batch_id == 1);
    CHECK(must(store->pipelines()) == std::vector<std::string>{"b"});
}

TEST_CASE("an empty directory is a first start, and leftovers of a broken one are cleared") {
    const TempDir dir;
    fs::create_directory(dir.path() / "checkpoints");
    fs::create_directory(dir.path() / "checkpoints.new");
    write_file(dir.path() / "checkpoints.new" / "MANIFEST-000001", "half");
    run_batch(*must(open_store(dir.path())), "p", 0, 0, 10);
    CHECK(must(must(open_store(dir.path()))->load("p")).next_batch_id == 1);
    CHECK_FALSE(fs::exists(dir.path() / "checkpoints.new"));
}

TEST_CASE("reading needs no lock, changes no file and writes nothing") {
    const TempDir dir;
    CHECK(error_of(open_store_for_reading(dir.path())).code == ErrorCode::not_found);
    CHECK_FALSE(fs::exists(dir.path() / "checkpoints"));
    run_batch(*must(open_store(dir.path())), "p", 0, 0, 10);
    const auto listing = [&] {
        std::map<std::string, std::string> all;
        for (const auto& file : fs::directory_iterator(dir.path() / "checkpoints")) {
            all[file.path().filename().string()] = read_file(file.path());
        }
        return all;
    };
    const auto before = listing();
    {
        const auto store = must(open_store_for_reading(dir.path()));
        CHECK(must(store->load("p")).next_batch_id == 1);
        CHECK(must(store->batches("p", 5)).size() == 1);
        CHECK(must(store->pipelines()) == std::vector<std::string>{"p"});
        const Plan next = make_plan(1, {range("orders", 0, 10, 20)});
        for (const Result<void>& refused :
             {store->put_plan("p", next, {}), store->bind_cluster("p", "c"), store->forget("p"),
              store->rename("p", "q"), store->put_initial("new", "{}", {}),
              store->put_losses("p", {loss("orders", 0, 0, 1)}),
              store->put_run_state("p", RunState::paused, {}), store->put_move("p", {})}) {
            REQUIRE_FALSE(refused.has_value());
            CHECK(refused.error().code == ErrorCode::storage);
        }
        CHECK(must(store->pipelines()) == std::vector<std::string>{"p"});
    }
    CHECK(listing() == before);
}

TEST_CASE("a reader sees what only the write-ahead log has") {
    const TempDir dir;
    Child child({"write", dir.path().string(), "1"});
    while (child.line() != "commit 5") {
    }
    child.kill();
    child.wait();
    const auto store = must(open_store_for_reading(dir.path()));
    CHECK(must(store->load("orders")).next_batch_id >= 6);
}

TEST_CASE("a newer format is refused, naming the version that reads it") {
    const TempDir dir;
    { const auto store = must(open_store(dir.path())); }
    stamp(dir.path(), {current_format + 6, "9.8.7"});
    for (const Error& refused :
         {error_of(open_store(dir.path())), error_of(open_store_for_reading(dir.path()))}) {
        CHECK(refused.code == ErrorCode::configuration);
        CHECK(refused.message.find("9.8.7") != std::string::npos);
        CHECK(refused.message.find("before-") == std::string::npos);
    }
    fs::create_directory(dir.path() / "before-9.8.7");
    CHECK(error_of(open_store(dir.path())).message.find("before-9.8.7") != std::string::npos);
}

TEST_CASE("an older format is upgraded, and the copy of before can be put back") {
    const TempDir dir;
    const fs::path copy = dir.path() / ("before-" + current_stamp().written_by);
    const fs::path checkpoints = dir.path() / "checkpoints";
    run_batch(*must(open_store(dir.path())), "p", 0, 0, 10);
    stamp(dir.path(), {0, "0.0.9"});
    fs::create_directory(copy);  // of an attempt before this one
    write_file(copy / "stale", "x");
    CHECK(error_of(open_store_for_reading(dir.path())).code == ErrorCode::storage);
    {
        const auto store = must(open_store(dir.path()));
        run_batch(*store, "p", 1, 10, 20);
    }
    CHECK(must(read_format(checkpoints)) == current_stamp());
    CHECK(must(read_format(copy)) == FormatStamp{0, "0.0.9"});
    CHECK_FALSE(fs::exists(copy / "stale"));
    const auto tables = files(copy, "", ".sst");
    REQUIRE_FALSE(tables.empty());
    CHECK(fs::hard_link_count(tables.front()) > 1);

    fs::rename(checkpoints, dir.path() / "checkpoints.newer");
    fs::rename(copy, checkpoints);
    const auto store = must(open_store(dir.path()));  // upgrades once more
    CHECK(must(store->load("p")).next_batch_id == 1);
    CHECK(fs::exists(copy));
}

TEST_CASE("a store that may not be written says whom to run as") {
    const TempDir dir;
    { const auto store = must(open_store(dir.path())); }
    fs::permissions(dir.path() / "checkpoints", fs::perms(0555));
    const int refused = status_of_fork([&] {
        if (::geteuid() == 0) {
            fs::permissions(dir.path(), fs::perms(0755));
            if (::setuid(65534) != 0) ::_exit(2);
        }
        const auto store = open_store(dir.path());
        ::_exit(!store && store.error().code == ErrorCode::storage &&
                        store.error().message.find("permission denied") != std::string::npos
                    ? 42
                    : 3);
    });
    CHECK(refused == 42);
    fs::permissions(dir.path() / "checkpoints", fs::perms(0000));
    const int unreadable = status_of_fork([&] {
        if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
        const auto store = open_store_for_reading(dir.path());
        ::_exit(!store && store.error().code == ErrorCode::storage ? 42 : 3);
    });
    CHECK(unreadable == 42);
    fs::permissions(dir.path() / "checkpoints", fs::perms(0700));
}

TEST_CASE("each refusal of a disk carries its remedy") {
    const auto text = [](int error) { return disk_error("/data", "write", error).message; };
    CHECK(text(ENOSPC).find("Free space") != std::string::npos);
    CHECK(disk_error("/data", "write", ENOSPC).retriable);
    CHECK(disk_error("/data", "write", EDQUOT).retriable);
    CHECK(text(EROFS).find("ReadWritePaths=") != std::string::npos);
    CHECK(text(EACCES).find("chown") != std::string::npos);
    CHECK(text(EIO).find("dmesg") != std::string::npos);
    CHECK(text(EMFILE).find("LimitNOFILE") != std::string::npos);
    for (const int error : {ENOSPC, EROFS, EACCES, EIO, ELOOP}) {
        CHECK(disk_error("/data", "write", error).code == ErrorCode::storage);
        CHECK(text(error).find("/data") != std::string::npos);
    }
}
