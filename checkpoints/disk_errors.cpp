#include "checkpoints/disk_errors.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

namespace sluice::checkpoints {
namespace {

namespace fs = std::filesystem;

std::string remedy(const fs::path& path, int error_number) {
    switch (error_number) {
        case ENOSPC:
        case EDQUOT:
            return "the disk or the quota is full. Free space on the file system of " +
                   path.string() + " (`df " + path.string() +
                   "`); nothing that was acknowledged is lost, and work goes on by itself";
        case EROFS:
            return "the file system is read-only. Under systemd, name the directory in "
                   "ReadWritePaths=; otherwise the kernel may have remounted it after an error "
                   "(see `dmesg`)";
        case EACCES:
        case EPERM:
            return "permission denied. Run as the user who owns " + path.string() +
                   " (uid " + std::to_string(::geteuid()) +
                   " is running now), or give it to that user with `chown -R`";
        case EIO:
            return "the disk reports an error (see `dmesg` and `smartctl`). Stop the daemon and copy "
                   "the data directory to a healthy disk before anything else";
        case EMFILE:
        case ENFILE: return "too many open files. Raise LimitNOFILE= of the unit, or `ulimit -n`";
        case ENOENT: return "no such directory. Create it, or correct dataDir";
        case ENOTDIR: return "a part of the path is not a directory. Correct dataDir";
        default: return std::generic_category().message(error_number);
    }
}

/// One file descriptor, closed at the end of its scope.
class File {
 public:
    File(const fs::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    [[nodiscard]] bool is_open() const { return fd_ >= 0; }
    [[nodiscard]] bool write(std::string_view text) const {
        while (!text.empty()) {
            const ssize_t done = ::write(fd_, text.data(), text.size());
            if (done < 0 && errno == EINTR) continue;
            if (done < 0) return false;
            text.remove_prefix(static_cast<std::size_t>(done));
        }
        return true;
    }
    [[nodiscard]] bool sync() const { return ::fsync(fd_) == 0; }

 private:
    int fd_;
};

}  // namespace

Error disk_error(const fs::path& path, std::string_view doing, int error_number) {
    const bool full = error_number == ENOSPC || error_number == EDQUOT;
    return {ErrorCode::storage,
            "can't " + std::string(doing) + " in " + path.string() + ": " +
                remedy(path, error_number),
            full};
}

std::string way_back(const fs::path& directory) {
    const std::string here = directory.string();
    std::vector<std::string> copies;
    std::error_code error;
    for (const fs::directory_entry& beside :
         fs::directory_iterator(directory.parent_path(), error)) {
        const std::string name = beside.path().filename().string();
        if (name.starts_with("before-")) copies.push_back(beside.path().string());
    }
    std::sort(copies.begin(), copies.end());
    std::string text = "The way back: stop the daemon, move the directory aside (`mv " + here + " " +
                       here + ".damaged`), and put a backup in its place";
    for (const std::string& copy : copies) text += ", or the copy of before an upgrade " + copy;
    return text +
           "; without one, start anew: positions then come from startingOffsets, or from `sluice "
           "offsets set`, and batch ids from 0, so compare with what the sinks have";
}

Error damaged(const fs::path& directory, std::string_view what) {
    return {ErrorCode::storage, "the checkpoints in " + directory.string() + " are damaged: " +
                                    std::string(what) + ". " + way_back(directory)};
}

int sync_directory(const fs::path& directory) {
    const File file(directory, O_RDONLY | O_DIRECTORY);
    return file.is_open() && file.sync() ? 0 : errno;
}

int replace_file(const fs::path& path, std::string_view text) {
    const fs::path part = path.string() + ".part";
    {
        const File file(part, O_WRONLY | O_CREAT | O_TRUNC);
        if (!file.is_open() || !file.write(text) || !file.sync()) {
            const int error_number = errno;
            ::unlink(part.c_str());
            return error_number;
        }
    }
    if (::rename(part.c_str(), path.c_str()) != 0) return errno;
    return sync_directory(path.parent_path());
}

int try_writing(const fs::path& directory) {
    const fs::path probe = directory / ".writable";
    const int error_number = replace_file(probe, "sluice\n");
    ::unlink(probe.c_str());
    return error_number;
}

}  // namespace sluice::checkpoints
