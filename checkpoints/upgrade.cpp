#include "checkpoints/upgrade.hpp"

#include <system_error>

#include "checkpoints/disk_errors.hpp"
#include "checkpoints/keys.hpp"
#include "daemon/base/log.hpp"

namespace sluice::checkpoints {
namespace {

namespace fs = std::filesystem;

/// What turns format n into n + 1, in order. Format 0 is that of builds before the first release; its
/// entries are those of format 1.
using Upgrade = Result<void> (*)(const Backend& store, Batch& changes);
constexpr Upgrade upgrades[] = {
    [](const Backend&, Batch&) -> Result<void> { return {}; },
};
static_assert(std::size(upgrades) == current_format);

/// The copy of an attempt before this one, or of an upgrade that was taken back, makes room: what it
/// was made from is what is copied now.
Result<void> leave_copy(RocksDbBackend& store, const fs::path& copy) {
    const fs::path part = copy.string() + ".part";
    std::error_code error;
    fs::remove_all(part, error);
    if (error) return disk_error(part, "remove an unfinished copy", error.value());
    SLUICE_CHECK(store.copy_to(part));
    fs::remove_all(copy, error);
    if (error) return disk_error(copy, "remove an earlier copy", error.value());
    fs::rename(part, copy, error);
    if (error) return disk_error(copy, "name a copy of the checkpoints", error.value());
    if (const int failed = sync_directory(copy.parent_path()); failed != 0) {
        return disk_error(copy, "name a copy of the checkpoints", failed);
    }
    return {};
}

}  // namespace

FormatStamp current_stamp() { return {current_format, SLUICE_VERSION}; }

Result<void> check_not_newer(const fs::path& directory, const FormatStamp& found) {
    if (found.format <= current_format) return {};
    const fs::path copy = directory.parent_path() / ("before-" + found.written_by);
    std::error_code error;
    std::string text = "the checkpoints in " + directory.string() + " were written by sluice " +
                       found.written_by + " (format " + std::to_string(found.format) +
                       "); this is sluice " SLUICE_VERSION " (format " +
                       std::to_string(current_format) + "). Run sluice " + found.written_by +
                       " or newer";
    if (fs::exists(copy, error)) {
        text += ", or put back the copy that was made before it: mv " + directory.string() + " " +
                directory.string() + ".newer && mv " + copy.string() + " " + directory.string() +
                " (what was committed since is delivered again)";
    }
    return Error{ErrorCode::configuration, std::move(text)};
}

Result<void> upgrade(RocksDbBackend& store, const fs::path& directory, const FormatStamp& found) {
    SLUICE_ASSERT(found.format < current_format);
    const fs::path copy = directory.parent_path() / ("before-" + current_stamp().written_by);
    SLUICE_CHECK(leave_copy(store, copy));
    Batch changes;
    for (std::uint64_t format = found.format; format < current_format; ++format) {
        SLUICE_CHECK(upgrades[format](store, changes));
    }
    changes.put(Family::meta, keys::format(), encode(current_stamp()));
    SLUICE_CHECK(store.write(changes));
    log::info("checkpoints upgraded",
              {{"directory", directory.string()},
               {"from_format", found.format},
               {"to_format", current_format},
               {"way_back", "stop the daemon, then: mv " + directory.string() + " " +
                                directory.string() + ".newer && mv " + copy.string() + " " +
                                directory.string()}});
    return {};
}

}  // namespace sluice::checkpoints
