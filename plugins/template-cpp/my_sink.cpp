// my_sink writes each batch as one file of lines, a value each, and renames it into place by the commit:
// exactly-once. Pipeline and id of the batch are the file's name, so that begin() finds what is committed.
#include <fcntl.h>
#include <unistd.h>
#include <filesystem>
#include <mutex>
#include "sluice/sink.hpp"

namespace {
namespace fs = std::filesystem;

/// All of it, durable; false with errno otherwise.
bool write_file(const fs::path& path, std::string_view text) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    while (!text.empty()) {
        const ssize_t count = ::write(fd, text.data(), text.size());
        if (count <= 0) break;
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return ::fsync(fd) == 0 && ::close(fd) == 0 && text.empty();
}

/// Takes the records of one range; writers run in parallel, and meet when they are closed.
class MyWriter final : public sluice::Writer {
 public:
    MyWriter(std::mutex& mutex, std::string& batch) : mutex_(mutex), batch_(batch) {}
    sluice::Status write(sluice::Records records) override {
        for (const sluice::Record record : records) (lines_ += record.value().value_or("")) += '\n';
        return {};
    }
    sluice::Status close(bool keep) override {
        const std::lock_guard lock(mutex_);
        if (keep) batch_ += lines_;
        return {};
    }

 private:
    std::mutex& mutex_;
    std::string& batch_;
    std::string lines_;
};

class MySink final : public sluice::Sink {
 public:
    MySink(sluice::Host, const sluice::Config& config, std::optional<std::string_view>)
        : folder_(config.settings.string("path")), pipeline_(config.pipeline) {
        fs::create_directories(folder_);
    }
    sluice::Status begin(const sluice::Batch& batch) override {
        lines_.clear();
        if (fs::exists(file_of(batch.id))) return sluice::Status::already_committed({});
        return {};
    }
    std::unique_ptr<sluice::Writer> open_writer(const sluice::Range&) override {
        return std::make_unique<MyWriter>(mutex_, lines_);
    }
    sluice::Status commit(std::uint64_t batch_id) override {
        if (!write_file(folder_ / ".open", lines_))
            return sluice::Status::retry("cannot write in " + folder_.string() + ": is the disk full?");
        fs::rename(folder_ / ".open", file_of(batch_id));
        const int fd = ::open(folder_.c_str(), O_RDONLY | O_CLOEXEC);
        return ::fsync(fd), ::close(fd), sluice::Status::ok();  // the new name is to last as well
    }
    sluice::Status abort(std::uint64_t) override { return {}; }

 private:
    fs::path file_of(std::uint64_t id) const { return folder_ / (pipeline_ + '-' + std::to_string(id) + ".txt"); }
    const fs::path folder_;
    const std::string pipeline_;  // ids count per pipeline
    std::mutex mutex_;
    std::string lines_;
};

constexpr sluice_option options[] = {
    sluice::option("path", SLUICE_OPTION_PATH, "The folder that batches are written into.").required()};

}  // namespace

SLUICE_SINK_PLUGIN(MySink, sluice::describe("my_sink", "0.1", "Writes a file of values per batch.")
                               .exactly_once().options(options));
