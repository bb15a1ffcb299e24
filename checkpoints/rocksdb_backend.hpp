#pragma once
// RocksDB behind the Backend interface. No header of RocksDB is included outside of .cpp files here.

#include <filesystem>
#include <memory>

#include "checkpoints/backend.hpp"
#include "checkpoints/codec.hpp"

namespace sluice::checkpoints {

enum class OpenMode {
    create,  ///< makes a new database; the directory must not hold one
    write,
    read,  ///< changes no file; every write answers `storage`
};

class RocksDbBackend : public Backend {
 public:
    /// A copy of now that shares its immutable files with this one (hard links); `target` must not exist.
    virtual Result<void> copy_to(const std::filesystem::path& target) = 0;
};

/// Checks what it can before RocksDB trusts it, and how far the last session had come after.
/// Errors: `storage`, naming the file and the way back.
Result<std::unique_ptr<RocksDbBackend>> open_rocksdb(const std::filesystem::path& directory,
                                                     OpenMode mode);

/// The format of an existing store, read without opening the families we may not know.
Result<FormatStamp> read_format(const std::filesystem::path& directory);

}  // namespace sluice::checkpoints
