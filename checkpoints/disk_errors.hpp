#pragma once
// What the disk refuses, said so that a person can act.

#include <filesystem>
#include <string>
#include <string_view>

#include "daemon/base/error.hpp"

namespace sluice::checkpoints {

/// `storage` with the remedy for this errno. `doing` completes "can't …". Full disks are retriable:
/// the same call succeeds once there is space again.
Error disk_error(const std::filesystem::path& path, std::string_view doing, int error_number);

/// `storage`: the store below `directory` was damaged; `what` names the file. Ends with the way back.
Error damaged(const std::filesystem::path& directory, std::string_view what);

/// How to go on without the store in `directory`; names the copies of it that lie beside it.
std::string way_back(const std::filesystem::path& directory);

/// 0 when a file can be made, written and synced in `directory`; otherwise the errno.
int try_writing(const std::filesystem::path& directory);

/// Makes a rename inside `directory` survive a power loss. 0 or the errno.
int sync_directory(const std::filesystem::path& directory);

/// Replaces `path` with `text`, atomically and synced. 0 or the errno.
int replace_file(const std::filesystem::path& path, std::string_view text);

}  // namespace sluice::checkpoints
