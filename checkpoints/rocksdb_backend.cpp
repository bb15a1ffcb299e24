#include "checkpoints/rocksdb_backend.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <exception>
#include <fstream>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "checkpoints/disk_errors.hpp"
#include "checkpoints/keys.hpp"
#include "checkpoints/log_check.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/text.hpp"

namespace sluice::checkpoints {
namespace {

namespace fs = std::filesystem;

std::string to_string(const rocksdb::Slice& slice) { return slice.ToString(); }
rocksdb::Slice to_slice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view to_view(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

std::string current_manifest(const fs::path& directory) {
    std::ifstream file(directory / "CURRENT");
    std::string name;
    std::getline(file, name);
    return name;
}

/// How far the store had come, beside RocksDB's own files: the sequence number that was reached when
/// it was opened, when memtables were flushed, and when it was closed, and the size that the MANIFEST had
/// then. RocksDB takes a MANIFEST or a log that lost its end for one that never had it; less than this
/// means that synced entries are gone. The number alone is not enough: a MANIFEST that lost the newest table
/// of one column family may still have a newer one of another. Always behind the truth, so it raises no false
/// alarm; but for a power cut in the moment between an entry of the MANIFEST and its sync, seen by a flush.
class Witness {
 public:
    explicit Witness(const fs::path& directory) : path_(path_in(directory)) {}

    static fs::path path_in(const fs::path& directory) { return directory / "SEQUENCE"; }

    /// Before RocksDB opens it, and begins another MANIFEST.
    Result<void> check_manifest() const {
        std::ifstream file(path_);
        std::string number;
        std::string name;
        std::uintmax_t recorded = 0;
        if (!(file >> number >> name >> recorded)) return {};  // of a release that noted none
        const fs::path directory = path_.parent_path();
        if (name != current_manifest(directory)) return {};
        std::error_code error;
        const auto bytes = fs::file_size(directory / name, error);
        if (error || bytes >= recorded) return {};  // one that is missing is named elsewhere
        return damaged(directory, "the file " + name + " has " + std::to_string(bytes) + " bytes, and " +
                                      path_.filename().string() + " says that it had " +
                                      std::to_string(recorded) + ": it lost its end");
    }

    Result<void> check(std::uint64_t reached) const {
        std::ifstream file(path_);
        if (!file.is_open()) return {};  // a copy made by copy_to has none yet
        std::string line;
        std::getline(file, line);
        const auto recorded = parse_int64(line);
        if (!recorded || *recorded < 0) {
            return Error{ErrorCode::storage, path_.string() +
                                                 " is damaged. Remove it to open the checkpoints "
                                                 "without the check that their end is there"};
        }
        if (reached >= static_cast<std::uint64_t>(*recorded)) return {};
        return damaged(path_.parent_path(),
                       "they end at write " + std::to_string(reached) + ", but " +
                           path_.filename().string() + " says that write " +
                           std::to_string(*recorded) +
                           " was reached: a MANIFEST-* or *.log file lost its end");
    }

    void record(std::uint64_t reached) const {
        const std::string manifest = current_manifest(path_.parent_path());
        std::error_code unknown;
        const auto bytes = fs::file_size(path_.parent_path() / manifest, unknown);
        std::string text = std::to_string(reached) + "\n";
        if (!unknown) text += manifest + " " + std::to_string(bytes) + "\n";
        if (const int error = replace_file(path_, text); error != 0) {
            log::warning("can't note how far the checkpoints have come; they are intact",
                         {{"file", path_.string()}, {"errno", error}});
        }
    }

 private:
    fs::path path_;
};

class Listener final : public rocksdb::EventListener {
 public:
    explicit Listener(Witness witness) : witness_(std::move(witness)) {}

    /// After a flush RocksDB may delete the log that proves how far it was.
    void OnFlushBegin(rocksdb::DB* db, const rocksdb::FlushJobInfo&) override {
        witness_.record(db->GetLatestSequenceNumber());
    }

    /// RocksDB's own recovery from a full disk may go on with the log that took half a write, and then
    /// aborts (7.8, nothing to flush). The database is opened anew instead: Database::write.
    void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                              bool* auto_recovery) override {
        *auto_recovery = false;
    }

 private:
    Witness witness_;
};

/// RocksDB's own log, into ours. Not into a file: where asserts are compiled in, as Debian does, RocksDB
/// aborts the process when a full disk takes no more of its log file; and a reader may not write there.
class Journal final : public rocksdb::Logger {
 public:
    Journal() : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
    using rocksdb::Logger::Logv;
    void Logv(const char*, va_list) override {}  // all there is comes with a level
    void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
        if (level < rocksdb::InfoLogLevel::WARN_LEVEL) return;
        if (level == rocksdb::InfoLogLevel::HEADER_LEVEL) return;  // every option, at every start
        // A disk that is broken makes RocksDB talk: the first lines say it all.
        if (said_.fetch_add(1) >= lines_max) return;
        std::array<char, 1024> text{};
        std::vsnprintf(text.data(), text.size(), format, arguments);
        log::warning("checkpoint store", {{"rocksdb", std::string_view(text.data())}});
    }

 private:
    static constexpr int lines_max = 100;  ///< of one opening
    std::atomic<int> said_{0};
};

rocksdb::DBOptions db_options(const fs::path& directory, OpenMode mode) {
    rocksdb::DBOptions options;
    options.create_if_missing = mode == OpenMode::create;
    options.error_if_exists = mode == OpenMode::create;
    options.paranoid_checks = true;

    // A synced write must never vanish silently. kAbsoluteConsistency refuses a torn tail, which every
    // power loss may leave, and which was never acknowledged. kTolerateCorruptedTailRecords takes a
    // tail that was cut, but refuses one whose last page holds zeros, which file systems leave as
    // well. kPointInTimeRecovery takes both, but also drops whatever follows damage in the middle:
    // that is found by check_logs before, and by Witness after.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    options.track_and_verify_wals_in_manifest = true;  // a closed log that is missing or shorter
    options.recycle_log_file_num = 0;                  // check_logs reads plain logs
    options.max_bgerror_resume_count = 0;              // see Listener

    // Small and quiet: about one entry per trigger.
    options.max_total_wal_size = 4 << 20;
    options.db_write_buffer_size = 4 << 20;
    options.max_open_files = 64;
    options.max_background_jobs = 1;
    options.max_file_opening_threads = 1;
    options.max_manifest_file_size = 1 << 20;
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    options.skip_stats_update_on_db_open = true;
    options.info_log = std::make_shared<Journal>();
    if (mode != OpenMode::read) {
        options.listeners.push_back(std::make_shared<Listener>(Witness(directory)));
    }
    return options;
}

rocksdb::ColumnFamilyOptions family_options(const std::shared_ptr<rocksdb::Cache>& cache) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = cache;
    // Pinned below the default of newer releases, so that any RocksDB since 6.6 reads the files of any
    // other: a data directory outlives the distribution it was made on.
    table.format_version = 5;
    rocksdb::ColumnFamilyOptions options;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    options.compression = rocksdb::kNoCompression;  // needs nothing of how RocksDB was built
    options.write_buffer_size = 1 << 20;
    options.max_write_buffer_number = 2;
    options.arena_block_size = 16 << 10;
    options.target_file_size_base = 8 << 20;
    options.max_bytes_for_level_base = 32 << 20;
    return options;
}

bool names_a_file(std::string_view text) {
    for (const std::string_view name : {"MANIFEST", ".sst", ".log", "CURRENT", "OPTIONS"}) {
        if (text.find(name) != std::string_view::npos) return true;
    }
    return false;
}

/// What RocksDB says, as an error of ours.
Error to_error(const rocksdb::Status& status, const fs::path& directory, OpenMode mode,
               std::string_view doing) {
    std::string text = status.ToString();
    // A table that is missing is looked for under LevelDB's name last, and reported under that one.
    for (auto at = text.find(".ldb"); at != std::string::npos; at = text.find(".ldb")) {
        text.replace(at, 4, ".sst");
    }
    if (status.IsNoSpace()) return disk_error(directory, doing, ENOSPC);
    const bool missing_file = status.IsPathNotFound() || text.find("No such file") != std::string::npos;
    if (status.IsIOError() && !missing_file && mode != OpenMode::read) {
        // RocksDB keeps the errno to itself; doing the same thing once more tells it.
        if (const int error = try_writing(directory); error != 0) {
            return disk_error(directory, doing, error);
        }
    }
    if (status.IsCorruption() || missing_file) {
        return damaged(directory,
                       names_a_file(text) ? text : text + " (" + current_manifest(directory) + ")");
    }
    if (status.IsIOError()) {
        return {ErrorCode::storage, "can't " + std::string(doing) + " in " + directory.string() + ": " +
                                        text +
                                        ". What was acknowledged is safe; see `dmesg`, then restart "
                                        "the daemon"};
    }
    return {ErrorCode::storage,
            "can't " + std::string(doing) + " in " + directory.string() + ": " + text};
}

std::size_t files_ending(const fs::path& directory, std::string_view extension) {
    std::error_code error;
    std::size_t found = 0;
    for (const fs::directory_entry& file : fs::directory_iterator(directory, error)) {
        if (file.path().extension() == extension) ++found;
    }
    return found;
}

/// What RocksDB would take for an empty database, or not notice at all.
Result<void> check_files(const fs::path& directory) {
    std::error_code error;
    if (!fs::exists(directory / "CURRENT", error)) {
        if (error) return disk_error(directory, "read the checkpoints", error.value());
        return damaged(directory, "the file CURRENT is missing");
    }
    std::ifstream readable(directory / "CURRENT");
    if (!readable.is_open()) return disk_error(directory, "read the checkpoints", errno);
    const std::string manifest = current_manifest(directory);
    if (!manifest.starts_with("MANIFEST-")) return damaged(directory, "the file CURRENT names no MANIFEST");
    const auto bytes = fs::file_size(directory / manifest, error);
    if (error) return damaged(directory, "the file " + manifest + ", which CURRENT names, is missing");
    if (bytes == 0) return damaged(directory, "the file " + manifest + " is empty");
    SLUICE_CHECK(Witness(directory).check_manifest());
    // Every session leaves a log; only a copy that was never opened has none, and no witness either.
    if (files_ending(directory, ".log") == 0 && fs::exists(Witness::path_in(directory), error)) {
        return damaged(directory, "there is no write-ahead log (*.log)");
    }
    return check_logs(directory);
}

class Database final : public RocksDbBackend {
 public:
    Database(fs::path directory, OpenMode mode) : directory_(std::move(directory)), mode_(mode) {}

    ~Database() override { close(); }

    /// `families`: those to open; the others answer `storage`.
    Result<void> open(std::span<const Family> families) {
        if (mode_ != OpenMode::create) SLUICE_CHECK(check_files(directory_));
        const auto cache = rocksdb::NewLRUCache(2 << 20, 0);
        std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
        for (const Family family : families) {
            descriptors.emplace_back(std::string(name_of(family)), family_options(cache));
        }
        std::vector<rocksdb::ColumnFamilyDescriptor> there{
            {rocksdb::kDefaultColumnFamilyName, family_options(cache)}};
        if (mode_ != OpenMode::create) there.insert(there.end(), descriptors.begin(), descriptors.end());
        std::vector<rocksdb::ColumnFamilyHandle*> handles;
        rocksdb::DB* db = nullptr;
        const rocksdb::DBOptions options = db_options(directory_, mode_);
        rocksdb::Status status =
            mode_ == OpenMode::read
                ? rocksdb::DB::OpenForReadOnly(options, directory_.string(), there, &handles, &db)
                : rocksdb::DB::Open(options, directory_.string(), there, &handles, &db);
        if (!status.ok()) return to_error(status, directory_, mode_, "open the checkpoints");
        db_.reset(db);
        (void)db_->DestroyColumnFamilyHandle(handles.front());
        handles.erase(handles.begin());
        if (mode_ == OpenMode::create) {
            // In one call: one by one, as Open would, each writes and reads all options anew (8 ms together).
            status = db_->CreateColumnFamilies(descriptors, &handles);
        }
        for (std::size_t i = 0; i < handles.size(); ++i) {
            handles_[static_cast<std::size_t>(families[i])] = handles[i];
        }
        if (!status.ok()) {
            release();
            return to_error(status, directory_, mode_, "create the checkpoints");
        }
        const std::uint64_t reached = db_->GetLatestSequenceNumber();
        const Witness witness(directory_);
        if (auto whole = witness.check(reached); !whole) {
            release();
            return whole;
        }
        if (mode_ != OpenMode::read) witness.record(reached);
        return {};
    }

    Result<std::optional<std::string>> get(Family family, std::string_view key) const override {
        const std::shared_lock lock(session_mutex_);
        if (!db_) return closed();
        std::string value;
        const rocksdb::Status status =
            db_->Get(rocksdb::ReadOptions(), handle(family), to_slice(key), &value);
        if (status.IsNotFound()) return std::optional<std::string>{};
        if (!status.ok()) return read_error(status, family, key);
        return std::optional<std::string>{std::move(value)};
    }

    Result<void> scan(Family family, std::string_view prefix, std::string_view first, Order order,
                      const Visit& visit) const override {
        const std::shared_lock lock(session_mutex_);
        if (!db_) return closed();
        const std::string end = prefix.empty() ? std::string() : end_of_prefix(prefix);
        const rocksdb::Slice lower = to_slice(prefix);
        const rocksdb::Slice upper = end;
        rocksdb::ReadOptions options;
        options.fill_cache = false;  // a pass over the history would push everything else out
        if (!prefix.empty()) {
            options.iterate_lower_bound = &lower;
            options.iterate_upper_bound = &upper;
        }
        const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(options, handle(family)));
        const bool ascending = order == Order::ascending;
        if (first.empty()) {
            ascending ? at->SeekToFirst() : at->SeekToLast();
        } else {
            ascending ? at->Seek(to_slice(first)) : at->SeekForPrev(to_slice(first));
        }
        std::string last;
        for (; at->Valid(); ascending ? at->Next() : at->Prev()) {
            last = to_string(at->key());
            SLUICE_TRY(const Step step, visit(last, to_view(at->value())));
            if (step == Step::stop) return {};
        }
        if (!at->status().ok()) return read_error(at->status(), family, last.empty() ? prefix : last);
        return {};
    }

    Result<void> write(const Batch& batch) override {
        if (mode_ == OpenMode::read) {
            return Error{ErrorCode::storage, "the checkpoints in " + directory_.string() +
                                                 " were opened for reading only"};
        }
        if (full_.load()) SLUICE_CHECK(open_again());
        const std::shared_lock lock(session_mutex_);
        if (!db_) return closed();
        rocksdb::WriteBatch writes;
        for (const Batch::Change& change : batch.changes) add(writes, change);
        rocksdb::WriteOptions options;
        options.sync = true;
        const rocksdb::Status status = db_->Write(options, &writes);
        if (status.ok()) return {};
        if (status.IsNoSpace()) full_ = true;
        return to_error(status, directory_, mode_, "write a checkpoint");
    }

    Result<void> copy_to(const fs::path& target) override {
        rocksdb::Checkpoint* made = nullptr;
        rocksdb::Status status = rocksdb::Checkpoint::Create(db_.get(), &made);
        const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
        if (status.ok()) status = checkpoint->CreateCheckpoint(target.string());
        if (!status.ok()) return to_error(status, directory_, mode_, "copy the checkpoints");
        return {};
    }

    std::string way_back() const override { return checkpoints::way_back(directory_); }

 private:
    rocksdb::ColumnFamilyHandle* handle(Family family) const {
        rocksdb::ColumnFamilyHandle* const handle = handles_[static_cast<std::size_t>(family)];
        SLUICE_ASSERT(handle != nullptr);
        return handle;
    }

    void add(rocksdb::WriteBatch& writes, const Batch::Change& change) const {
        rocksdb::Status status;
        switch (change.kind) {
            case Batch::Change::Kind::put:
                status = writes.Put(handle(change.family), change.key, change.value);
                break;
            case Batch::Change::Kind::erase:
                status = writes.Delete(handle(change.family), change.key);
                break;
            case Batch::Change::Kind::erase_prefix:
                status = writes.DeleteRange(handle(change.family), change.key,
                                            end_of_prefix(change.key));
                break;
        }
        SLUICE_ASSERT(status.ok());  // a batch in memory can't fail
    }

    Error read_error(const rocksdb::Status& status, Family family, std::string_view key) const {
        return with_context("checkpoint entry " + describe_key(family, key),
                            to_error(status, directory_, mode_, "read a checkpoint"));
    }

    /// Once there is space again, everything is as at a start: what was acknowledged is recovered, and
    /// the half of a write that the full disk left is dropped.
    Result<void> open_again() {
        const std::unique_lock lock(session_mutex_);
        if (!full_.load()) return {};  // somebody else did it
        if (const int error = try_writing(directory_); error != 0) {
            return disk_error(directory_, "write a checkpoint", error);
        }
        close();
        SLUICE_CHECK(open(all_families));
        full_ = false;
        log::info("there is space again: checkpoints go on", {{"directory", directory_.string()}});
        return {};
    }

    void close() {
        if (!db_) return;
        const std::uint64_t reached = db_->GetLatestSequenceNumber();
        const rocksdb::Status closed = release();
        if (mode_ == OpenMode::read) return;
        if (closed.ok()) {
            Witness(directory_).record(reached);
        } else {
            log::warning("the checkpoints did not close cleanly; what was acknowledged is safe",
                         {{"directory", directory_.string()}, {"reason", closed.ToString()}});
        }
    }

    rocksdb::Status release() {
        for (rocksdb::ColumnFamilyHandle*& handle : handles_) {
            if (handle != nullptr) (void)db_->DestroyColumnFamilyHandle(std::exchange(handle, nullptr));
        }
        const rocksdb::Status status = db_->Close();
        db_.reset();
        return status;
    }

    Error closed() const {
        return disk_error(directory_, "reach the checkpoints since the disk was full", ENOSPC);
    }

    fs::path directory_;
    OpenMode mode_;
    mutable std::shared_mutex session_mutex_;  ///< exclusive: db_ and handles_ change
    std::atomic<bool> full_{false};            ///< a write found the disk full; open_again comes next
    std::unique_ptr<rocksdb::DB> db_;
    std::array<rocksdb::ColumnFamilyHandle*, std::size(all_families)> handles_{};
};

Result<std::unique_ptr<Database>> open_database(const fs::path& directory, OpenMode mode,
                                                std::span<const Family> families) {
    // RocksDB reports by Status, but std::bad_alloc and std::system_error pass through it.
    try {
        auto database = std::make_unique<Database>(directory, mode);
        SLUICE_CHECK(database->open(families));
        return database;
    } catch (const std::exception& thrown) {
        return Error{ErrorCode::storage,
                     "can't open the checkpoints in " + directory.string() + ": " + thrown.what()};
    }
}

}  // namespace

Result<std::unique_ptr<RocksDbBackend>> open_rocksdb(const fs::path& directory, OpenMode mode) {
    SLUICE_TRY(std::unique_ptr<Database> database, open_database(directory, mode, all_families));
    return std::unique_ptr<RocksDbBackend>(std::move(database));
}

Result<FormatStamp> read_format(const fs::path& directory) {
    constexpr Family only_meta[] = {Family::meta};
    SLUICE_TRY(const std::unique_ptr<Database> database,
               open_database(directory, OpenMode::read, only_meta));
    SLUICE_TRY(const auto bytes, database->get(Family::meta, keys::format()));
    if (!bytes) return damaged(directory, "the entry that names their format is missing");
    auto stamp = decode_format(*bytes);
    if (!stamp) return unreadable(*database, Family::meta, keys::format(), stamp.error().message);
    return stamp;
}

}  // namespace sluice::checkpoints
