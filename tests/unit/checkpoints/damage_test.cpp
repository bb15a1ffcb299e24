// A damaged directory is an error that names the file and the way back, never a crash, and never a
// store that has silently lost what it acknowledged.

#include <fcntl.h>
#include <unistd.h>

#include <random>

#include "checkpoints/keys.hpp"
#include "checkpoints/rocksdb_backend.hpp"
#include "support.hpp"

using namespace sluice;
using namespace sluice::checkpoints;
using namespace sluice::checkpoints::test;

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t batches_written = 40;

/// A store with tables and a log with entries, closed well.
void make_store(const fs::path& data_dir) {
    for (std::uint64_t part = 0; part < 4; ++part) {  // opening writes what the log has to tables
        const auto store = must(open_store(data_dir));
        for (std::uint64_t id = part * 10; id < part * 10 + 10; ++id) {
            const auto from = static_cast<std::int64_t>(id) * 10;
            run_batch(*store, "p", id, from, from + 10);
        }
    }
}

fs::path one_file(const fs::path& data_dir, const char* begins, const char* ends) {
    const auto found = files(data_dir / "checkpoints", begins, ends);
    REQUIRE_FALSE(found.empty());
    return found.back();
}

/// Everything that a start reads. The first error, or nothing.
std::optional<Error> read_everything(const Store& store) {
    const auto state = store.load("p");
    if (!state) return state.error();
    const auto all = store.batches("p", 1'000);
    if (!all) return all.error();
    if (const auto ledger = store.losses("p"); !ledger) return ledger.error();
    if (const auto audit = store.audit("p"); !audit) return audit.error();
    if (state->next_batch_id != batches_written || all->size() != batches_written) {
        return Error{ErrorCode::failed, "SILENT LOSS: next " + std::to_string(state->next_batch_id) +
                                            ", batches " + std::to_string(all->size())};
    }
    return std::nullopt;
}

void check_named(const Error& error, const std::string& file) {
    CAPTURE(error.message);
    CHECK(error.code == ErrorCode::storage);
    CHECK(error.message.find(file) != std::string::npos);
    CHECK(error.message.find("The way back") != std::string::npos);
}

void check_refused(const fs::path& data_dir, const std::string& file) {
    check_named(error_of(open_store_for_reading(data_dir)), file);
    check_named(error_of(open_store(data_dir)), file);
}

}  // namespace

TEST_CASE("a store without CURRENT is damaged, not new") {
    const TempDir dir;
    make_store(dir.path());
    fs::create_directory(dir.path() / "before-0.0.1");
    fs::remove(dir.path() / "checkpoints" / "CURRENT");
    check_refused(dir.path(), "CURRENT");
    CHECK(error_of(open_store(dir.path())).message.find("before-0.0.1") != std::string::npos);
    write_file(dir.path() / "checkpoints" / "CURRENT", "");
    check_refused(dir.path(), "CURRENT");
    write_file(dir.path() / "checkpoints" / "CURRENT", "MANIFEST-999999\n");
    check_refused(dir.path(), "MANIFEST-999999");
}

TEST_CASE("a MANIFEST cut anywhere is noticed") {
    const TempDir dir;
    make_store(dir.path());
    const fs::path manifest = one_file(dir.path(), "MANIFEST-", "");
    const std::string whole = read_file(manifest);
    for (const std::size_t percent : {0, 10, 30, 50, 70, 90}) {
        CAPTURE(percent);
        write_file(manifest, whole.substr(0, whole.size() * percent / 100));
        check_refused(dir.path(), manifest.filename().string());
    }
    write_file(manifest, whole.substr(0, whole.size() - 1));
    check_refused(dir.path(), manifest.filename().string());
    write_file(manifest, whole);
    CHECK_FALSE(read_everything(*must(open_store(dir.path()))));
}

TEST_CASE("a store of a release that noted the sequence number alone is opened, and notes more") {
    const TempDir dir;
    make_store(dir.path());
    const fs::path noted = dir.path() / "checkpoints" / "SEQUENCE";
    const std::string now = read_file(noted);
    REQUIRE(now.find("MANIFEST-") != std::string::npos);
    write_file(noted, now.substr(0, now.find('\n') + 1));
    CHECK_FALSE(read_everything(*must(open_store(dir.path()))));
    CHECK(read_file(noted).find("MANIFEST-") != std::string::npos);
}

TEST_CASE("a table that is missing or shorter is named") {
    const TempDir dir;
    make_store(dir.path());
    const fs::path table = one_file(dir.path(), "", ".sst");
    const std::string whole = read_file(table);
    write_file(table, whole.substr(0, whole.size() / 2));
    check_refused(dir.path(), table.filename().string());
    fs::remove(table);
    check_refused(dir.path(), table.filename().string());
}

TEST_CASE("a log that is missing, shorter or holed is noticed") {
    const TempDir dir;
    make_store(dir.path());
    const fs::path log = one_file(dir.path(), "", ".log");
    const std::string whole = read_file(log);
    REQUIRE(whole.size() > 1'000);
    std::string holed = whole;
    holed[whole.size() / 3] ^= 4;
    write_file(log, holed);
    check_refused(dir.path(), log.filename().string());
    write_file(log, whole.substr(0, whole.size() / 2));
    check_refused(dir.path(), "*.log");
    write_file(log, "");
    check_refused(dir.path(), "*.log");
    fs::remove(log);
    check_refused(dir.path(), "*.log");
    write_file(log, whole);
    CHECK_FALSE(read_everything(*must(open_store(dir.path()))));
}

TEST_CASE("a write that a crash cut off is dropped, and all before it kept") {
    const TempDir dir;
    make_store(dir.path());
    fs::remove(dir.path() / "checkpoints" / "SEQUENCE");  // as after a crash: no clean close
    const fs::path log = one_file(dir.path(), "", ".log");
    const std::string whole = read_file(log);
    SUBCASE("short") { write_file(log, whole.substr(0, whole.size() - 3)); }
    SUBCASE("zeros") { write_file(log, whole.substr(0, whole.size() - 9) + std::string(9, '\0')); }
    const auto store = must(open_store(dir.path()));
    const PipelineState state = must(store->load("p"));
    REQUIRE(state.unfinished);  // the last commit is the one that was cut
    CHECK(state.unfinished->batch_id == batches_written - 1);
    const Plan plan = *state.unfinished;
    must(store->put_commit("p", make_commit(plan), ends_of(plan), {}, {}));
    CHECK_FALSE(read_everything(*store));
}

TEST_CASE("an opening looks through the logs once, and says once what it drops") {
    const TempDir dir;
    make_store(dir.path());
    fs::remove(dir.path() / "checkpoints" / "SEQUENCE");  // as after a crash: no clean close
    const fs::path log = one_file(dir.path(), "", ".log");
    const std::string whole = read_file(log);
    write_file(log, whole.substr(0, whole.size() - 3));
    const fs::path said = dir.path() / "said";
    const int said_to = ::open(said.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const int before = ::dup(STDERR_FILENO);
    REQUIRE(said_to >= 0);
    REQUIRE(before >= 0);
    ::dup2(said_to, STDERR_FILENO);
    const auto opened = open_rocksdb(dir.path() / "checkpoints", OpenMode::read);
    ::dup2(before, STDERR_FILENO);
    ::close(before);
    ::close(said_to);
    REQUIRE(opened);
    const std::string text = read_file(said);
    const auto once = text.find("was cut off");
    REQUIRE_MESSAGE(once != std::string::npos, text);
    CHECK_MESSAGE(text.find("was cut off", once + 1) == std::string::npos, text);
}

TEST_CASE("a flipped byte in any file is an error or does no harm") {
    const std::uint64_t seed = 19'091;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const TempDir dir;
    make_store(dir.path());
    const fs::path checkpoints = dir.path() / "checkpoints";
    int noticed = 0;
    for (int round = 0; round < 150; ++round) {
        const TempDir copy;
        fs::copy(checkpoints, copy.path() / "checkpoints");
        std::vector<fs::path> candidates;
        for (const char* ends : {".sst", ".log"}) {
            for (const auto& path : files(copy.path() / "checkpoints", "", ends)) {
                candidates.push_back(path);
            }
        }
        candidates.push_back(files(copy.path() / "checkpoints", "MANIFEST-", "").back());
        const fs::path victim = candidates[random() % candidates.size()];
        std::string bytes = read_file(victim);
        if (bytes.empty()) continue;
        const std::size_t at = random() % bytes.size();
        bytes[at] ^= static_cast<char>(1U << (random() % 8));
        write_file(victim, bytes);
        CAPTURE(victim.filename());
        CAPTURE(at);
        const auto store = round % 2 == 0 ? open_store(copy.path())
                                          : open_store_for_reading(copy.path());
        const auto error =
            store ? read_everything(**store) : std::optional<Error>(store.error());
        if (!error) continue;
        ++noticed;
        CHECK_MESSAGE(error->code == ErrorCode::storage, error->message);
    }
    CHECK(noticed > 50);
}

TEST_CASE("an entry that can't be decoded names its key and the way back") {
    const TempDir dir;
    run_batch(*must(open_store(dir.path())), "p", 0, 0, 10);
    const auto replace = [&](Family family, const std::string& key, const std::string& value) {
        const auto backend = must(open_rocksdb(dir.path() / "checkpoints", OpenMode::write));
        const std::string before = must(backend->get(family, key)).value_or("");
        Batch batch;
        batch.put(family, key, value);
        must(backend->write(batch));
        return before;
    };
    const PipelineId id{0};
    const std::pair<Family, std::string> entries[] = {
        {Family::plans, keys::batch(id, 0)},
        {Family::commits, keys::batch(id, 0)},
        {Family::positions, keys::position(id, {"orders", 0})},
        {Family::meta, keys::next_batch(id)},
        {Family::meta, keys::pipeline_name("p")}};
    for (const auto& [family, key] : entries) {
        const std::string name = describe_key(family, key);
        CAPTURE(name);
        const std::string whole = replace(family, key, "\x01");
        std::optional<Error> error;
        if (const auto store = open_store(dir.path()); !store) {
            error = store.error();
        } else {
            if (const auto state = (*store)->load("p"); !state) error = state.error();
            if (const auto all = (*store)->batches("p", 9); !all) error = all.error();
        }
        REQUIRE(error);
        check_named(*error, name);
        CHECK(error->message.find("at byte") != std::string::npos);
        replace(family, key, whole);
    }
    const auto store = must(open_store(dir.path()));
    CHECK(must(store->batches("p", 9)).size() == 1);
}

TEST_CASE("a batch id that was given out is not given out again by damaged checkpoints") {
    const TempDir dir;
    run_batch(*must(open_store(dir.path())), "p", 0, 0, 10);
    {
        const auto backend = must(open_rocksdb(dir.path() / "checkpoints", OpenMode::write));
        Batch batch;
        batch.erase(Family::meta, keys::next_batch(PipelineId{0}));
        must(backend->write(batch));
    }
    const auto store = must(open_store(dir.path()));
    const Error error = error_of(store->load("p"));
    CHECK(error.code == ErrorCode::storage);
    CHECK(error_of(store->put_plan("p", make_plan(0, {range("orders", 0, 0, 10)}), {})).code ==
          ErrorCode::storage);
}
