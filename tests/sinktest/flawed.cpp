// A right sink, and the mistakes that authors make, one at a time: what the kit must find. Without a flaw
// each batch is a file of JSON lines, renamed into place by its commit: exactly-once.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "plugins/common/json_lines.hpp"
#include "sluice/sink.hpp"

namespace {

constexpr std::string_view bad = "bad";

class FlawedSink final : public sluice::Sink {
 public:
    FlawedSink(sluice::Host host, const sluice::Config& config, std::optional<std::string_view>);
    sluice::Status begin(const sluice::Batch& batch) override;
    std::unique_ptr<sluice::Writer> open_writer(const sluice::Range& range) override;
    sluice::Status commit(std::uint64_t batch_id) override;
    sluice::Status abort(std::uint64_t batch_id) override;

    [[nodiscard]] bool has(const char* flaw) const { return flaw_ == flaw; }
    /// Lines that a writer is done with, or, for those that cannot wait, has just been given.
    void keep(const std::string& lines);
    void write_visibly(const std::string& lines);
    /// Which call this is, for who asks: a line of `log`.
    template <class... Numbers>
    void note(std::string call, Numbers... numbers) const {
        (call.append(" ").append(std::to_string(numbers)), ...);
        if (log_) append(*log_, std::to_string(batch_) + ' ' + call + '\n');
    }
    const sluice::Host host;

 private:
    [[nodiscard]] std::filesystem::path file_of(std::uint64_t id) const {
        return folder_ / (std::to_string(id) + ".jsonl");
    }
    void append(const std::filesystem::path& file, const std::string& lines) const;

    const std::filesystem::path folder_;
    const std::string flaw_;
    const std::optional<std::string> log_;
    std::mutex mutex_;
    std::uint64_t batch_ = 0;
    int commits_ = 0;
    std::uint64_t acknowledged_ = 0;
    std::string lines_;
};

class FlawedWriter final : public sluice::Writer {
 public:
    FlawedWriter(FlawedSink& sink, std::uint32_t range) : sink_(sink), range_(range) {}
    sluice::Status write(sluice::Records records) override;
    sluice::Status close(bool keep) override {
        sink_.note(keep ? "close" : "drop", range_);
        if (keep && !sink_.has("losesAWriter")) sink_.keep(lines_);
        if (keep && sink_.has("losesAWriter") && range_ == 0) sink_.keep(lines_);
        return {};
    }

 private:
    FlawedSink& sink_;
    const std::uint32_t range_;
    std::string lines_;
    bool was_asked_ = false;
};

FlawedSink::FlawedSink(sluice::Host its_host, const sluice::Config& config,
                       std::optional<std::string_view>)
    : host(its_host), folder_(config.settings.string("path")), flaw_(config.settings.string("flaw")),
      log_(config.settings.find("log")) {
    std::filesystem::create_directories(folder_);
    if (has("leaks")) (void)::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

sluice::Status FlawedSink::begin(const sluice::Batch& batch) {
    batch_ = batch.id;
    note(batch.is_rerun ? "begin again" : "begin", batch.ranges.size());
    for (const sluice::Range range : batch.ranges) {
        note(std::string(range.topic), range.partition, range.from, range.until);
    }
    if (!has("acknowledgesEarly")) lines_.clear();
    if (has("crashes") && batch.is_rerun) ::raise(SIGSEGV);
    if (has("forgetsBatches") || has("commitsAtWrite")) return {};
    if (has("doubtsAndForgets") && commits_ > 0) return {};
    if (std::filesystem::exists(file_of(batch.id))) {
        return sluice::Status::already_committed(has("changesReceipts") ? "again" : "done");
    }
    return {};
}

std::unique_ptr<sluice::Writer> FlawedSink::open_writer(const sluice::Range& range) {
    note("open", range.index);
    return std::make_unique<FlawedWriter>(*this, range.index);
}

sluice::Status FlawedWriter::write(sluice::Records records) {
    sink_.note("write", range_, records.size(), records[0].offset());
    if (sink_.has("retries") && !std::exchange(was_asked_, true)) {
        return sluice::Status::retry("asked for the first time");
    }
    std::vector<sluice::Rejection> refused;
    std::string lines;
    for (std::size_t i = 0; i < records.size(); ++i) {
        sluice_record record = records[i].raw();
        if (records[i].value() == bad) {
            refused.push_back({i, "it says bad"});
            if (!sink_.has("keepsRefused")) continue;
        }
        if (sink_.has("cutsAtNul") && record.value.data != nullptr) {
            const auto text = *records[i].value();
            record.value.size = std::min(text.size(), text.find('\0'));
        }
        if (sink_.has("roundsTimestamps")) record.timestamp_ms -= record.timestamp_ms % 1000;
        const sluice::Headers headers = sink_.host.headers(records[i]);
        const std::size_t kept = sink_.has("dropsHeaders") ? 0 : headers.size();
        sluice::plugins::append_json_line(lines, record, {headers.data(), kept}, sluice::plugins::ValueMode::text);
    }
    const bool is_refused = !refused.empty();
    if (is_refused && sink_.has("dropsNeighbours")) return sluice::Status::reject(std::move(refused));
    if (sink_.has("commitsAtWrite")) {
        sink_.write_visibly(lines);
    } else {
        lines_ += lines;
    }
    if (sink_.has("keepsRetried") && !std::exchange(was_asked_, true)) {
        return sluice::Status::retry("asked for the first time, and kept it all");
    }
    if (is_refused) return sluice::Status::reject(std::move(refused));
    return {};
}

void FlawedSink::keep(const std::string& lines) {
    const std::lock_guard lock(mutex_);
    lines_ += lines;
}

void FlawedSink::write_visibly(const std::string& lines) {
    const std::lock_guard lock(mutex_);
    append(file_of(batch_), lines);
}

void FlawedSink::append(const std::filesystem::path& file, const std::string& lines) const {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || ::write(fd, lines.data(), lines.size()) != static_cast<ssize_t>(lines.size())) {
        throw std::runtime_error("cannot write " + file.string());
    }
    ::close(fd);
}

sluice::Status FlawedSink::commit(std::uint64_t batch_id) {
    note("commit");
    if (has("hangs")) std::this_thread::sleep_for(std::chrono::hours{1});
    if (has("retries") && !std::filesystem::exists(folder_ / ".asked")) {
        append(folder_ / ".asked", "once");
        return sluice::Status::retry("asked for the first time");
    }
    if (has("commitsAtWrite")) return sluice::Status::ok("done");
    if (has("forgetsBatches")) {
        append(folder_ / "all.jsonl", lines_);
        return sluice::Status::ok("done");
    }
    if (has("acknowledgesEarly")) {  // before it is written: two batches become one write
        if (++acknowledged_ % 2 == 1) return sluice::Status::ok("done");
    }
    if (has("marksFirst")) {  // that it has the batch, and then the batch
        append(file_of(batch_id), "");
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
        append(file_of(batch_id), lines_);
        lines_.clear();
        return sluice::Status::ok("done");
    }
    std::filesystem::remove(folder_ / ".open");
    append(folder_ / ".open", lines_);
    const bool is_doubtful = has("doubts") || has("doubtsAndForgets");
    if (has("doubtsAndForgets") && commits_ > 0) {
        std::filesystem::rename(folder_ / ".open", folder_ / (std::to_string(batch_id) + ".2.jsonl"));
    } else {
        std::filesystem::rename(folder_ / ".open", file_of(batch_id));
    }
    lines_.clear();
    if (is_doubtful && commits_++ == 0) return sluice::Status::retry("the answer of the target was lost");
    commits_ = 0;
    return sluice::Status::ok("done");
}

sluice::Status FlawedSink::abort(std::uint64_t) {
    note("abort");
    lines_.clear();
    return {};
}

constexpr sluice_option options[] = {
    sluice::option("path", SLUICE_OPTION_PATH, "The folder.").required(),
    sluice::option("log", SLUICE_OPTION_PATH, "Where each call is written down."),
    sluice::option("flaw", SLUICE_OPTION_STRING, "What is wrong with it.").by_default("none")};

}  // namespace

SLUICE_SINK_PLUGIN(FlawedSink, sluice::describe("flawed", "1.0", "Makes one mistake.")
                                   .exactly_once()
                                   .options(options));
