#include "plugins/file/directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "plugins/file/errors.hpp"

namespace sluice::plugins::file {
namespace {

constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

/// Repeats a system call that a signal interrupted.
template <class Call>
auto uninterrupted(Call call) {
    auto result = call();
    while (result < 0 && errno == EINTR) result = call();
    return result;
}

void sync_fd(int fd, const std::string& path) {
    if (uninterrupted([&] { return ::fsync(fd); }) != 0) throw_io(errno, "fsync", path);
}

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.find_last_of('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

/// mkdir -p, each step durable before the next relies on it.
void make_path(const std::string& path, Modes modes) {
    if (::mkdir(path.c_str(), modes.directory) != 0) {
        if (errno == EEXIST) return;
        if (errno != ENOENT || parent_of(path) == path) throw_io(errno, "create directory", path);
        make_path(parent_of(path), modes);
        if (::mkdir(path.c_str(), modes.directory) != 0) {
            if (errno == EEXIST) return;
            throw_io(errno, "create directory", path);
        }
    }
    if (::chmod(path.c_str(), modes.directory) != 0) throw_io(errno, "set the mode of", path);
    const std::string parent = parent_of(path);
    const Fd fd(::open(parent.c_str(), directory_flags));
    if (!fd.is_open()) throw_io(errno, "open directory", parent);
    sync_fd(fd.get(), parent);
}

}  // namespace

Fd::~Fd() {
    if (fd_ >= 0) ::close(fd_);
}

Directory Directory::open_path(const std::string& path, Modes modes) {
    std::string clean = path;
    while (clean.size() > 1 && clean.back() == '/') clean.pop_back();
    Fd fd(::open(clean.c_str(), directory_flags));
    if (!fd.is_open() && errno == ENOENT) {
        make_path(clean, modes);
        fd = Fd(::open(clean.c_str(), directory_flags));
    }
    if (!fd.is_open()) throw_io(errno, "open directory", clean);
    return {std::move(fd), clean, modes};
}

std::optional<Directory> Directory::find(const std::string& name) const {
    Fd fd(::openat(fd_.get(), name.c_str(), directory_flags | O_NOFOLLOW));
    if (fd.is_open()) return Directory(std::move(fd), path_of(name), modes_);
    if (errno == ENOENT) return std::nullopt;
    // A symbolic link with O_DIRECTORY|O_NOFOLLOW answers ENOTDIR; say what it is.
    struct stat status {};
    const int error = errno;
    if (error == ENOTDIR && ::fstatat(fd_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(status.st_mode))
        throw_io(ELOOP, "open directory", path_of(name));
    throw_io(error, "open directory", path_of(name));
}

Directory Directory::ensure(const std::string& name, bool durable) const {
    if (auto found = find(name)) return std::move(*found);
    if (::mkdirat(fd_.get(), name.c_str(), modes_.directory) != 0 && errno != EEXIST)
        throw_io(errno, "create directory", path_of(name));
    auto made = find(name);
    if (!made) throw Fatal("directory " + path_of(name) + " vanished as soon as it was created");
    if (::fchmod(made->fd_.get(), modes_.directory) != 0)
        throw_io(errno, "set the mode of", path_of(name));
    if (durable) sync();
    return std::move(*made);
}

void Directory::sync() const { sync_fd(fd_.get(), path_); }

void Directory::sync_ancestors() const {
    for (std::string above = path_; above != "/" && above != ".";) {
        above = parent_of(above);
        const Fd fd(::open(above.c_str(), directory_flags));
        if (!fd.is_open()) return;  // what we may not read, we have not created
        sync_fd(fd.get(), above);
    }
}

Fd Directory::create(const std::string& name) const {
    Fd fd(::openat(fd_.get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                   modes_.file));
    if (!fd.is_open()) throw_io(errno, "create", path_of(name));
    if (::fchmod(fd.get(), modes_.file) != 0) throw_io(errno, "set the mode of", path_of(name));
    return fd;
}

std::optional<Fd> Directory::open_file(const std::string& name, bool writable) const {
    // O_NONBLOCK: a FIFO in place of our file must not hang the pipeline.
    const int flags = (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    Fd fd(::openat(fd_.get(), name.c_str(), flags));
    if (!fd.is_open()) {
        if (errno == ENOENT) return std::nullopt;
        throw_io(errno, "open", path_of(name));
    }
    if (!info_of(fd, path_of(name)).is_regular)
        throw Fatal(path_of(name) + " is not a regular file: move it away");
    return fd;
}

std::optional<FileInfo> Directory::info(const std::string& name) const {
    struct stat status {};
    if (::fstatat(fd_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
        throw_io(errno, "look at", path_of(name));
    }
    return FileInfo{status.st_ino, static_cast<std::uint64_t>(status.st_size),
                    S_ISREG(status.st_mode)};
}

std::optional<std::string> Directory::read(const std::string& name) const {
    const auto fd = open_file(name, false);
    if (!fd) return std::nullopt;
    return read_at(*fd, 0, info_of(*fd, path_of(name)).size, path_of(name));
}

void Directory::replace(const std::string& name, std::string_view content) const {
    const std::string unfinished = "." + name;
    remove(unfinished);
    const Fd fd = create(unfinished);
    std::size_t written = 0;
    write_all_at(fd, content, 0, path_of(unfinished), written);
    sync_fd(fd.get(), path_of(unfinished));
    if (::renameat(fd_.get(), unfinished.c_str(), fd_.get(), name.c_str()) != 0)
        throw_io(errno, "rename to", path_of(name));
    sync();
}

Directory::Moved Directory::move(const std::string& name, const Directory& to,
                                 const std::string& new_name) const {
    int result = ::renameat2(fd_.get(), name.c_str(), to.fd_.get(), new_name.c_str(),
                             RENAME_NOREPLACE);
    if (result != 0 && (errno == EINVAL || errno == ENOSYS)) {
        // A file system without RENAME_NOREPLACE (NFS): the lock keeps our own kind away meanwhile.
        if (to.info(new_name)) return info(name) ? Moved::target_exists : Moved::source_missing;
        result = ::renameat(fd_.get(), name.c_str(), to.fd_.get(), new_name.c_str());
    }
    if (result == 0) return Moved::yes;
    if (errno == ENOENT) return Moved::source_missing;
    if (errno == EEXIST) return Moved::target_exists;
    throw_io(errno, "rename to", to.path_of(new_name));
}

bool Directory::remove(const std::string& name) const {
    if (::unlinkat(fd_.get(), name.c_str(), 0) == 0) return true;
    if (errno == ENOENT) return false;
    throw_io(errno, "remove", path_of(name));
}

void Directory::remove_tree(const std::string& name) const {
    const auto tree = find(name);
    if (!tree) return;
    for (const std::string& file : tree->names()) tree->remove(file);
    if (::unlinkat(fd_.get(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
        throw_io(errno, "remove directory", path_of(name));
}

std::vector<std::string> Directory::names() const {
    // A descriptor of its own: fdopendir() takes it, and moves its position.
    const int fd = ::openat(fd_.get(), ".", directory_flags);
    if (fd < 0) throw_io(errno, "open directory", path_);
    struct Close {
        void operator()(DIR* stream) const noexcept { ::closedir(stream); }
    };
    const std::unique_ptr<DIR, Close> stream(::fdopendir(fd));
    if (!stream) {
        const int error = errno;
        ::close(fd);
        throw_io(error, "list", path_);
    }
    std::vector<std::string> found;
    errno = 0;
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") found.emplace_back(name);
        errno = 0;
    }
    if (errno != 0) throw_io(errno, "list", path_);
    return found;
}

bool Directory::lock() const {
    if (uninterrupted([&] { return ::flock(fd_.get(), LOCK_EX | LOCK_NB); }) == 0) return true;
    // Some network file systems cannot lock a directory; the daemon's own lock is then all there is.
    return errno != EWOULDBLOCK;
}

void write_all_at(const Fd& fd, std::string_view content, std::uint64_t offset,
                  const std::string& path, std::size_t& written) {
    written = 0;
    while (written < content.size()) {
        const ssize_t done = uninterrupted([&] {
            return ::pwrite(fd.get(), content.data() + written, content.size() - written,
                            static_cast<off_t>(offset + written));
        });
        if (done < 0) throw_io(errno, "write to", path, content.size() - written);
        written += static_cast<std::size_t>(done);
    }
}

std::string read_at(const Fd& fd, std::uint64_t offset, std::size_t size, const std::string& path) {
    std::string content(size, '\0');
    std::size_t got = 0;
    while (got < size) {
        const ssize_t done = uninterrupted([&] {
            return ::pread(fd.get(), content.data() + got, size - got,
                           static_cast<off_t>(offset + got));
        });
        if (done < 0) throw_io(errno, "read", path);
        if (done == 0) break;
        got += static_cast<std::size_t>(done);
    }
    content.resize(got);
    return content;
}

void copy_range(const Fd& from, std::uint64_t from_offset, const std::string& from_path,
                const Fd& to, std::uint64_t to_offset, const std::string& to_path,
                std::uint64_t size) {
    while (size > 0) {
        auto in = static_cast<off_t>(from_offset);
        auto out = static_cast<off_t>(to_offset);
        const ssize_t done = uninterrupted([&] {
            return ::copy_file_range(from.get(), &in, to.get(), &out, size, 0);
        });
        if (done > 0) {
            const auto copied = static_cast<std::uint64_t>(done);
            from_offset += copied;
            to_offset += copied;
            size -= copied;
            continue;
        }
        if (done < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
            throw_io(errno, "copy into", to_path, size);
        // Not here, or at a file's end: by hand, which says which.
        constexpr std::uint64_t step = 256 * 1024;
        const std::string chunk =
            read_at(from, from_offset, static_cast<std::size_t>(std::min(size, step)), from_path);
        if (chunk.empty()) throw Fatal(from_path + " is " + std::to_string(size) + " bytes too short");
        std::size_t written = 0;
        write_all_at(to, chunk, to_offset, to_path, written);
        from_offset += chunk.size();
        to_offset += chunk.size();
        size -= chunk.size();
    }
}

FileInfo info_of(const Fd& fd, const std::string& path) {
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) throw_io(errno, "look at", path);
    return {status.st_ino, static_cast<std::uint64_t>(status.st_size), S_ISREG(status.st_mode)};
}

void sync_data(const Fd& fd, const std::string& path) {
    if (uninterrupted([&] { return ::fdatasync(fd.get()); }) != 0) throw_io(errno, "fsync", path);
}

void start_writing_back(const Fd& fd, std::uint64_t offset, std::uint64_t size) noexcept {
    (void)::sync_file_range(fd.get(), static_cast<off_t>(offset), static_cast<off_t>(size),
                            SYNC_FILE_RANGE_WRITE);
}

void truncate_to(const Fd& fd, std::uint64_t size, const std::string& path) {
    if (uninterrupted([&] { return ::ftruncate(fd.get(), static_cast<off_t>(size)); }) != 0)
        throw_io(errno, "truncate", path);
}

}  // namespace sluice::plugins::file
