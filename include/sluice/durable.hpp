// sluice/durable.hpp: files that are whole, and there after a power cut. For sinks that write some; C++17, POSIX.
#ifndef SLUICE_DURABLE_HPP
#define SLUICE_DURABLE_HPP

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "sluice/sink.hpp"

namespace sluice {
inline namespace sink_v1 {
namespace detail {

/// An open file or folder. Whatever fails throws Retry: disks are made room on, mounted again, given back.
class Opened {
 public:
    Opened(const std::filesystem::path& path, int flags)
        : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {
        if (fd_ < 0) fail("open");
    }
    ~Opened() {
        if (fd_ >= 0) ::close(fd_);
    }
    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;

    void write(std::string_view text) {
        while (!text.empty()) {
            const ssize_t count = ::write(fd_, text.data(), text.size());
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) fail("write");
            text.remove_prefix(static_cast<std::size_t>(count));
        }
    }
    void sync() {
        if (::fsync(fd_) != 0 && errno != EINVAL) fail("sync");  // EINVAL: this file system has no such thing
    }
    /// Some file systems tell only now what they could not write.
    void close() {
        if (::close(std::exchange(fd_, -1)) != 0) fail("close");
    }

 private:
    [[noreturn]] void fail(const char* what) const {
        const std::string why = std::generic_category().message(errno);
        throw Retry(std::string("cannot ") + what + " " + path_.string() + ": " + why);
    }

    const std::filesystem::path path_;
    int fd_;
};

}  // namespace detail

/// Makes durable which names there are in `folder`: a power cut may take back one that is only seen. Throws Retry.
inline void sync_folder(const std::filesystem::path& folder) {
    detail::Opened(folder, O_RDONLY | O_DIRECTORY).sync();
}

/// When it returns, `path` holds `text`, durably; at any moment before, a whole text: this one or the one before. For
/// one caller at a time; `.NAME.part` beside it may stay behind after a crash, and is used again. Throws Retry.
inline void replace_file(const std::filesystem::path& path, std::string_view text) {
    const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
    const std::filesystem::path part = folder / ("." + path.filename().string() + ".part");
    detail::Opened file(part, O_WRONLY | O_CREAT | O_TRUNC);
    file.write(text);
    file.sync();
    file.close();
    std::error_code failed;
    std::filesystem::rename(part, path, failed);
    if (failed) throw Retry("cannot rename " + part.string() + ": " + failed.message());
    sync_folder(folder);
}

}  // namespace sink_v1
}  // namespace sluice

#endif
