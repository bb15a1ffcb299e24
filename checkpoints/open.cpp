// How a store comes to be: made, checked, upgraded, opened.

#include <cerrno>
#include <system_error>

#include "checkpoints/disk_errors.hpp"
#include "checkpoints/keyed_store.hpp"
#include "checkpoints/rocksdb_backend.hpp"
#include "checkpoints/upgrade.hpp"

namespace sluice::checkpoints {
namespace {

namespace fs = std::filesystem;

fs::path directory_in(const fs::path& data_dir) {
    std::error_code error;
    const fs::path absolute = fs::absolute(data_dir, error);
    return (error ? data_dir : absolute) / "checkpoints";
}

/// Missing and empty are the same: nothing was ever kept there. Any file means that something was,
/// and a new store over it would start everything anew without a word.
Result<bool> is_there(const fs::path& directory) {
    std::error_code error;
    const bool exists = fs::exists(directory, error);
    if (error) return disk_error(directory, "look for checkpoints", error.value());
    if (!exists) return false;
    const bool empty = fs::is_empty(directory, error);
    if (error) return disk_error(directory, "look for checkpoints", error.value());
    return !empty;
}

/// Made under another name and renamed when whole, so that a crash in between leaves no half store.
Result<void> create(const fs::path& directory) {
    const fs::path part = directory.string() + ".new";
    std::error_code error;
    fs::remove_all(part, error);
    if (error) return disk_error(part, "remove unfinished checkpoints", error.value());
    fs::create_directory(part, error);
    if (error) return disk_error(directory.parent_path(), "create checkpoints", error.value());
    fs::permissions(part, fs::perms::owner_all, error);
    {
        SLUICE_TRY(const auto backend, open_rocksdb(part, OpenMode::create));
        Batch batch;
        batch.put(Family::meta, keys::format(), encode(current_stamp()));
        SLUICE_CHECK(backend->write(batch));
    }
    fs::rename(part, directory, error);
    if (error) return disk_error(directory, "name the new checkpoints", error.value());
    if (const int failed = sync_directory(directory.parent_path()); failed != 0) {
        return disk_error(directory, "name the new checkpoints", failed);
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Store>> open_store(const fs::path& data_dir) {
    const fs::path directory = directory_in(data_dir);
    SLUICE_TRY(const bool there, is_there(directory));
    if (!there) SLUICE_CHECK(create(directory));
    if (const int failed = try_writing(directory); failed != 0) {
        return disk_error(directory, "write checkpoints", failed);
    }
    FormatStamp stamp = current_stamp();  // of one that was just made
    if (there) {
        SLUICE_TRY(stamp, read_format(directory));
    }
    SLUICE_CHECK(check_not_newer(directory, stamp));
    SLUICE_TRY(std::unique_ptr<RocksDbBackend> backend, open_rocksdb(directory, OpenMode::write));
    if (stamp.format < current_format) SLUICE_CHECK(upgrade(*backend, directory, stamp));
    return KeyedStore::over(std::move(backend));
}

Result<std::unique_ptr<Store>> open_store_for_reading(const fs::path& data_dir) {
    const fs::path directory = directory_in(data_dir);
    SLUICE_TRY(const bool there, is_there(directory));
    if (!there) {
        return Error{ErrorCode::not_found, "there are no checkpoints in " + directory.string()};
    }
    SLUICE_TRY(const FormatStamp stamp, read_format(directory));
    SLUICE_CHECK(check_not_newer(directory, stamp));
    if (stamp.format < current_format) {
        return Error{ErrorCode::storage, "the checkpoints in " + directory.string() +
                                             " have format " + std::to_string(stamp.format) +
                                             ": start the daemon once, it upgrades them to " +
                                             std::to_string(current_format)};
    }
    SLUICE_TRY(std::unique_ptr<RocksDbBackend> backend, open_rocksdb(directory, OpenMode::read));
    return KeyedStore::over(std::move(backend));
}

}  // namespace sluice::checkpoints
