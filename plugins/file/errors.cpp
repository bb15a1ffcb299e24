#include "plugins/file/errors.hpp"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace sluice::plugins::file {
namespace {

/// What an unprivileged user may still write on the file system of `path`, or of its nearest parent
/// that exists.
std::string free_bytes(std::string path) {
    while (true) {
        struct statvfs space {};
        if (::statvfs(path.c_str(), &space) == 0)
            return std::to_string(std::uint64_t{space.f_bavail} * space.f_frsize);
        const std::size_t slash = path.rfind('/');
        if (slash == std::string::npos || slash == 0) return "an unknown number of";
        path.resize(slash);
    }
}

std::string remedy(int error, const std::string& path, std::uint64_t wanted) {
    const std::string needed =
        wanted == 0 ? std::string() : std::to_string(wanted) + " bytes were to be written, ";
    switch (error) {
        case ENOSPC:
            return needed + free_bytes(path) + " bytes are free there: make room, and it goes on";
        case EDQUOT:
            return needed + "and the disk quota of user " + std::to_string(::geteuid()) +
                   " is used up: raise it or make room, and it goes on";
        case EFBIG:
            return needed + "which is beyond the largest file allowed: raise LimitFSIZE= (ulimit -f), "
                            "or lower `rollSize`";
        case EROFS:
            return "under systemd, add the directory to ReadWritePaths= of the unit "
                   "(systemctl edit sluice); otherwise the file system is mounted read-only";
        case EACCES:
        case EPERM:
            return "user " + std::to_string(::geteuid()) + ", group " + std::to_string(::getegid()) +
                   " may not: change the owner or the mode of the directory";
        case ELOOP:
            return "it is a symbolic link, and inside `path` none is followed: remove it";
        case EEXIST:
            return "something is there already: move it away";
        case EMFILE:
        case ENFILE:
            return "raise LimitNOFILE= of the unit (ulimit -n)";
        default:
            return {};
    }
}

bool may_pass(int error) {
    switch (error) {
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
        case EMFILE:
        case ENFILE:
        case ENOMEM:
        case EINTR:
        case EAGAIN:
        case ESTALE:
        case ETIMEDOUT:
            return true;
        default:
            return false;
    }
}

}  // namespace

void throw_io(int error, std::string_view action, const std::string& path, std::uint64_t wanted) {
    std::string text = "cannot ";
    text.append(action).append(" ").append(path).append(": ");
    text += std::generic_category().message(error);
    if (const std::string what = remedy(error, path, wanted); !what.empty()) text += "; " + what;
    if (may_pass(error)) throw Retry(text);
    throw Fatal(text);
}

}  // namespace sluice::plugins::file
