#include "daemon/pipeline/dead_letters.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <system_error>

#include "daemon/base/clock.hpp"
#include "daemon/base/failpoint.hpp"
#include "daemon/base/text.hpp"
#include "daemon/kafka/producer.hpp"
#include "plugins/common/json_lines.hpp"

namespace sluice::pipeline {
namespace {

constexpr Milliseconds open_timeout{10'000};
constexpr Milliseconds settle_timeout{60'000};

std::string_view text_of(sluice_string text) { return {text.data, text.size}; }

std::optional<std::string_view> bytes_of(sluice_bytes bytes) {
    if (bytes.data == nullptr) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(bytes.data), bytes.size);
}

/// Whom ACLs and logins name, with references left as written: what they stand for is not shown.
std::string principal_shown(const config::Source& source) {
    auto properties = source.kafka;
    for (const auto& [name, reference] : source.kafka_references) properties[name] = reference;
    return kafka::principal_of(properties);
}

/// Key, value, headers and timestamp as they were, with Connect's headers behind the record's own. (A
/// timestamp that the topic refuses becomes a header, too: kafka::Producer.)
class TopicLetters final : public DeadLetters {
 public:
    TopicLetters(const config::Pipeline& pipeline, std::uint64_t memory_max)
        : source_(pipeline.source),
          settings_{pipeline.source.kafka, pipeline.name, pipeline.source.isolation_level,
                    principal_shown(pipeline.source)},
          topic_(*pipeline.errors.dead_letter_topic),
          plugin_(pipeline.sink.plugin) {
        memory_.held = &held_;
        if (memory_max > 0) memory_.max = std::min(memory_.max, memory_max);
    }

    Result<void> begin(std::uint64_t) override {
        const std::lock_guard lock(mutex_);
        if (unsettled_) producer_.reset();  // with whatever waits in it
        unsettled_ = false;
        return {};
    }

    Result<void> add(const sluice_record& record, sluice_headers headers, const std::string& reason,
                     const std::stop_token& stop) override {
        const std::lock_guard lock(mutex_);
        if (!producer_) {
            auto opened = kafka::open_producer(settings_, topic_, memory_, open_timeout);
            if (!opened) return refused(std::move(opened).error());
            producer_ = *std::move(opened);
        }
        unsettled_ = true;
        std::vector<kafka::ProducedHeader> all;
        for (std::size_t i = 0; i < headers.count; ++i) {
            all.push_back({text_of(headers.items[i].name), bytes_of(headers.items[i].value)});
        }
        const auto added = connect_headers(settings_.pipeline, plugin_, record, reason);
        for (const auto& [name, value] : added) all.push_back({name, value});
        auto produced = producer_->produce(
            {bytes_of(record.key), bytes_of(record.value), record.timestamp_ms, all}, stop);
        if (!produced) return refused(std::move(produced).error());
        return {};
    }

    Result<void> settle(const std::stop_token& stop) override {
        const std::lock_guard lock(mutex_);
        if (!unsettled_) return {};
        if (auto flushed = producer_->flush(settle_timeout, stop); !flushed) {
            return refused(std::move(flushed).error());
        }
        unsettled_ = false;
        return {};
    }

    std::uint64_t held_bytes() const override { return held_; }

 private:
    /// Where it is the login that was refused, the next attempt reads the references again.
    Result<void> refused(Error error) {
        if (error.code == ErrorCode::denied) {
            producer_.reset();
            SLUICE_TRY(auto credentials, config::resolve_again(source_));
            settings_.properties = std::move(credentials.properties);
        }
        return error;
    }

    const config::Source source_;
    kafka::ClientSettings settings_;
    const std::string topic_;
    const std::string plugin_;
    std::atomic<std::uint64_t> held_{0};
    kafka::ProducerMemory memory_;
    std::mutex mutex_;
    std::unique_ptr<kafka::Producer> producer_;
    bool unsettled_ = false;
};

Error disk_error(const std::filesystem::path& path, const char* what) {
    const int code = errno;
    return Error{ErrorCode::unavailable,
                 "dead letters: cannot " + std::string(what) + " " + path.string() + ": " +
                     std::strerror(code) + (code == EROFS ? " (under systemd: ReadWritePaths=)" : ""),
                 true};
}

class Descriptor {
 public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) (void)::close(fd_);
    }
    [[nodiscard]] int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }

 private:
    int fd_;
};

/// <path>/<pipeline>/<batch>.jsonl: a line for each letter, as the `file` sink writes records, with
/// "error" in front. Hidden by a leading '.' until the batch is about to be committed, so that a batch
/// has its letters once, however often it was run.
class FileLetters final : public DeadLetters {
 public:
    explicit FileLetters(const config::Pipeline& pipeline)
        : folder_(*pipeline.errors.dead_letter_path / pipeline.name), plugin_(pipeline.sink.plugin) {}

    Result<void> begin(std::uint64_t batch_id) override {
        const std::lock_guard lock(mutex_);
        const std::string digits = std::to_string(batch_id);
        name_ = std::string(digits.size() < 20 ? 20 - digits.size() : 0, '0') + digits + ".jsonl";
        file_.reset();
        if (::unlink((folder_ / ("." + name_)).c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
            return disk_error(folder_ / ("." + name_), "remove");
        }
        return {};
    }

    Result<void> add(const sluice_record& record, sluice_headers headers, const std::string& reason,
                     const std::stop_token&) override {
        const std::lock_guard lock(mutex_);
        const std::filesystem::path path = folder_ / ("." + name_);
        if (!file_) {
            std::error_code failed;
            std::filesystem::create_directories(folder_, failed);
            if (failed) {
                errno = failed.value();
                return disk_error(folder_, "create");
            }
            file_.emplace(::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0640));
            if (!*file_) {
                file_.reset();
                return disk_error(path, "create");
            }
        }
        const std::string line = dead_letter_line(plugin_, record, headers, reason);
        for (std::string_view left = line; !left.empty();) {
            const ssize_t written = ::write(file_->get(), left.data(), left.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return disk_error(path, "write");
            left.remove_prefix(static_cast<std::size_t>(written));
        }
        return {};
    }

    Result<void> settle(const std::stop_token&) override {
        const std::lock_guard lock(mutex_);
        if (!file_) return {};
        const std::filesystem::path hidden = folder_ / ("." + name_);
        const std::filesystem::path path = folder_ / name_;
        if (::fsync(file_->get()) != 0) return disk_error(hidden, "fsync");
        failpoint("dead_letters.before_rename");
        if (::rename(hidden.c_str(), path.c_str()) != 0) return disk_error(path, "rename");
        const Descriptor folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!folder || ::fsync(folder.get()) != 0) return disk_error(folder_, "fsync");
        // The folder's own name, which may be new.
        const Descriptor parent(
            ::open(folder_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!parent || ::fsync(parent.get()) != 0) return disk_error(folder_.parent_path(), "fsync");
        file_.reset();
        return {};
    }

 private:
    const std::filesystem::path folder_;
    const std::string plugin_;
    std::mutex mutex_;
    std::string name_;
    std::optional<Descriptor> file_;
};

}  // namespace

std::vector<std::pair<std::string, std::string>> connect_headers(const std::string& pipeline,
                                                                 const std::string& plugin,
                                                                 const sluice_record& record,
                                                                 const std::string& reason) {
    constexpr std::string_view prefix = "__connect.errors.";
    const std::pair<std::string_view, std::string> headers[] = {
        {"topic", std::string(text_of(record.topic))},
        {"partition", std::to_string(record.partition)},
        {"offset", std::to_string(record.offset)},
        {"connector.name", pipeline},
        {"task.id", "0"},
        {"stage", "TASK_PUT"},
        {"class.name", plugin},
        {"exception.class.name", "sluice.RecordRefused"},
        {"exception.message", reason},
        {"exception.stacktrace", "sink " + plugin + " refused the record: " + reason}};
    std::vector<std::pair<std::string, std::string>> named;
    for (const auto& [name, value] : headers) named.emplace_back(std::string(prefix) + std::string(name), value);
    return named;
}

std::string dead_letter_line(const std::string& plugin, const sluice_record& record,
                             sluice_headers headers, const std::string& reason) {
    std::string line = "{\"error\":" + json_quoted(reason) + ",\"plugin\":" + json_quoted(plugin) + ",";
    std::string rest;
    plugins::append_json_line(rest, record, headers, plugins::ValueMode::text);
    return line.append(rest, 1);  // both are one object
}

std::unique_ptr<DeadLetters> make_dead_letters(const config::Pipeline& pipeline, std::uint64_t memory_max) {
    if (pipeline.errors.tolerance == config::Errors::Tolerance::none) return nullptr;
    if (pipeline.errors.dead_letter_topic) return std::make_unique<TopicLetters>(pipeline, memory_max);
    return std::make_unique<FileLetters>(pipeline);
}

}  // namespace sluice::pipeline
