#pragma once
// Directories and files below the sink's `path`, reached from an open directory only: no name with a
// '/' is ever followed, no symbolic link either. Everything throws as errors.hpp says.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::plugins::file {

/// Owns a file descriptor.
class Fd {
 public:
    Fd() = default;
    explicit Fd(int fd) noexcept : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd();
    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
    void reset() noexcept { Fd closing(std::move(*this)); }

 private:
    int fd_ = -1;
};

struct FileInfo {
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    bool is_regular = false;
};

/// Modes of what is created, whatever the umask: files `file`, directories with x where r is.
struct Modes {
    mode_t file = 0640;
    mode_t directory = 0750;
};

/// An open directory. Confined to one thread at a time, but for create() and open_file().
class Directory {
 public:
    /// Opens `path`, creating what is missing of it; every directory created is durable, up to the
    /// first that was there. `path` itself may be reached through symbolic links: the operator wrote it.
    static Directory open_path(const std::string& path, Modes modes);

    /// A directory below; nullopt when there is none.
    [[nodiscard]] std::optional<Directory> find(const std::string& name) const;
    /// The same, created when it is missing: durably, or after the caller's own sync().
    [[nodiscard]] Directory ensure(const std::string& name, bool durable = true) const;

    /// Makes names created, renamed or removed here durable.
    void sync() const;
    /// The same for the directories above, as far as they may be read: a process that was killed may
    /// have created this one without having come to it.
    void sync_ancestors() const;

    /// A new file, open for reading and writing; whatever has this name already is an error.
    [[nodiscard]] Fd create(const std::string& name) const;
    /// An existing regular file, open for reading and writing or reading only; nullopt: none.
    [[nodiscard]] std::optional<Fd> open_file(const std::string& name, bool writable) const;
    [[nodiscard]] std::optional<FileInfo> info(const std::string& name) const;

    /// The whole of a small file; nullopt when there is none.
    [[nodiscard]] std::optional<std::string> read(const std::string& name) const;
    /// Writes a small file, durably and as one: `.name`, fsync, rename over `name`, fsync.
    void replace(const std::string& name, std::string_view content) const;

    enum class Moved { yes, source_missing, target_exists };
    /// Renames a file into `to`, replacing nothing. Durable after sync() of both.
    Moved move(const std::string& name, const Directory& to, const std::string& new_name) const;

    /// Removes a file; false when there is none.
    bool remove(const std::string& name) const;
    /// Removes a directory that holds files only, and the files; nothing when there is none.
    void remove_tree(const std::string& name) const;
    [[nodiscard]] std::vector<std::string> names() const;

    /// One process at a time: false when another one holds it. Held until this object goes.
    [[nodiscard]] bool lock() const;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::string path_of(const std::string& name) const { return path_ + "/" + name; }

 private:
    Directory(Fd fd, std::string path, Modes modes)
        : fd_(std::move(fd)), path_(std::move(path)), modes_(modes) {}

    Fd fd_;
    std::string path_;  // for messages
    Modes modes_;
};

/// Lets the disk begin with these bytes, so that the sync at the end finds little to do. Waits for nothing, and
/// promises nothing: what goes wrong is the sync's to say.
void start_writing_back(const Fd& fd, std::uint64_t offset, std::uint64_t size) noexcept;
/// All of `content` at `offset`; on an error `written` says how much of it is there.
void write_all_at(const Fd& fd, std::string_view content, std::uint64_t offset,
                  const std::string& path, std::size_t& written);
/// Reads `size` bytes at `offset`; fewer only at the end of the file.
std::string read_at(const Fd& fd, std::uint64_t offset, std::size_t size, const std::string& path);
/// Copies `size` bytes, inside the kernel where it can.
void copy_range(const Fd& from, std::uint64_t from_offset, const std::string& from_path,
                const Fd& to, std::uint64_t to_offset, const std::string& to_path,
                std::uint64_t size);
FileInfo info_of(const Fd& fd, const std::string& path);
void sync_data(const Fd& fd, const std::string& path);
void truncate_to(const Fd& fd, std::uint64_t size, const std::string& path);

}  // namespace sluice::plugins::file
