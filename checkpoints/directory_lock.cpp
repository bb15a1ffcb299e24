// The lock file of a data directory: `lock`, holding who has it as one line of JSON.
//
// Open-file-description locks, not flock: they can be looked at without being taken, so that asking
// for the owner never makes a daemon's start fail. Byte 0 is the lock; byte 1 is locked as well once
// the content is that of the holder, so that nobody reads the leftovers of one that was killed.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "checkpoints/disk_errors.hpp"
#include "checkpoints/store.hpp"

namespace sluice::checkpoints {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr off_t held_byte = 0;
constexpr off_t named_byte = 1;
constexpr auto naming_time_max = std::chrono::milliseconds(200);
constexpr std::size_t content_bytes_max = 16 << 10;

struct ::flock range(off_t byte) {
    struct ::flock one {};
    one.l_type = F_WRLCK;
    one.l_whence = SEEK_SET;
    one.l_start = byte;
    one.l_len = 1;
    return one;
}

bool try_lock(int fd, off_t byte) {
    struct ::flock one = range(byte);
    return ::fcntl(fd, F_OFD_SETLK, &one) == 0;
}

bool is_locked(int fd, off_t byte) {
    struct ::flock one = range(byte);
    return ::fcntl(fd, F_OFD_GETLK, &one) == 0 && one.l_type != F_UNLCK;
}

class FileDescriptor {
 public:
    explicit FileDescriptor(int fd) : fd_(fd) {}
    ~FileDescriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;
    [[nodiscard]] int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }

 private:
    int fd_;
};

std::string to_json(const LockOwner& owner) {
    const json::object content{
        {"pid", owner.pid}, {"host", owner.host}, {"controlSocket", owner.control_socket}};
    return json::serialize(content) + "\n";
}

/// What the file says; an owner without pid when it says nothing that makes sense.
LockOwner read_owner(int fd) {
    std::string text(content_bytes_max, '\0');
    const ssize_t size = ::pread(fd, text.data(), text.size(), 0);
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    LockOwner owner;
    json::error_code error;
    const json::value content = json::parse(text, error);
    if (error || !content.is_object()) return owner;
    const auto text_at = [&](const char* key) {
        const json::value* const found = content.as_object().if_contains(key);
        return found != nullptr && found->is_string() ? std::string(found->as_string())
                                                      : std::string();
    };
    if (const json::value* const pid = content.as_object().if_contains("pid")) {
        if (pid->is_int64()) owner.pid = pid->as_int64();
    }
    owner.host = text_at("host");
    owner.control_socket = text_at("controlSocket");
    return owner;
}

/// nullopt when nobody holds the lock. Waits for a holder that is just writing down its name.
std::optional<LockOwner> holder_of(int fd) {
    const auto deadline = std::chrono::steady_clock::now() + naming_time_max;
    while (is_locked(fd, held_byte)) {
        if (is_locked(fd, named_byte)) {
            LockOwner owner = read_owner(fd);
            if (owner.pid != 0) return owner;
        }
        // The holder changed between the two looks, and the new one is just writing: a moment.
        if (std::chrono::steady_clock::now() > deadline) return LockOwner{};
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return std::nullopt;
}

Error locked_by(const fs::path& data_dir, const LockOwner& owner) {
    std::string text = "data directory " + data_dir.string() + " is in use by ";
    if (owner.pid == 0) {
        text += "another process, which has not said which";
    } else {
        text += "pid " + std::to_string(owner.pid) + " on " + owner.host;
        text += owner.control_socket.empty() ? ", an offline command: try again when it is done"
                                             : " (control socket " + owner.control_socket +
                                                   "): ask that daemon, or stop it";
    }
    return {ErrorCode::locked, std::move(text), true};
}

Result<void> make_directory(const fs::path& data_dir) {
    std::error_code error;
    if (fs::is_directory(data_dir, error)) return {};
    const fs::path absolute = fs::absolute(data_dir, error);
    if (absolute.has_parent_path()) fs::create_directories(absolute.parent_path(), error);
    if (error) return disk_error(data_dir, "create the data directory", error.value());
    if (::mkdir(absolute.c_str(), 0700) != 0 && errno != EEXIST) {
        return disk_error(data_dir, "create the data directory", errno);
    }
    if (!fs::is_directory(data_dir, error)) {
        return disk_error(data_dir, "create the data directory", ENOTDIR);
    }
    return {};
}

}  // namespace

Result<DirectoryLock> DirectoryLock::acquire(const fs::path& data_dir, const LockOwner& me) {
    SLUICE_CHECK(make_directory(data_dir));
    const fs::path path = data_dir / "lock";
    FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (file.get() < 0) return disk_error(data_dir, "open the lock file", errno);
    while (!try_lock(file.get(), held_byte)) {
        if (errno != EAGAIN && errno != EACCES) {
            return disk_error(data_dir, "lock the data directory", errno);
        }
        // The holder may be gone by the time it is looked for: then it is our turn after all.
        if (const auto owner = holder_of(file.get())) return locked_by(data_dir, *owner);
    }
    const std::string content = to_json(me);
    const bool written =
        ::ftruncate(file.get(), 0) == 0 &&
        ::pwrite(file.get(), content.data(), content.size(), 0) ==
            static_cast<ssize_t>(content.size());
    if (!written) return disk_error(data_dir, "write the lock file", errno);
    if (!try_lock(file.get(), named_byte)) {
        return disk_error(data_dir, "lock the data directory", errno);
    }
    return DirectoryLock(file.release());
}

Result<std::optional<LockOwner>> DirectoryLock::owner(const fs::path& data_dir) {
    const FileDescriptor file(::open((data_dir / "lock").c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) {
        if (errno == ENOENT) return std::optional<LockOwner>{};
        return disk_error(data_dir, "read the lock file", errno);
    }
    return holder_of(file.get());
}

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

DirectoryLock& DirectoryLock::operator=(DirectoryLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

DirectoryLock::~DirectoryLock() {
    if (fd_ >= 0) ::close(fd_);  // frees the lock; the file stays, so that all lock the same one
}

}  // namespace sluice::checkpoints
