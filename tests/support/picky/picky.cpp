// A sink for tests that refuses records, in each form the ABI knows. A batch is one file of JSON Lines,
// renamed into place: exactly-once.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "plugins/common/json_lines.hpp"
#include "sluice/sink.hpp"

namespace {

class PickySink;

class PickyWriter final : public sluice::Writer {
 public:
    explicit PickyWriter(PickySink& sink) : sink_(sink) {}
    sluice::Status write(sluice::Records records) override;
    sluice::Status close(bool keep) override;

 private:
    PickySink& sink_;
    std::string lines_;
};

class PickySink final : public sluice::Sink {
 public:
    PickySink(sluice::Host, const sluice::Config& config, std::optional<std::string_view>)
        : folder_(config.settings.string("path")), refuse(config.settings.string("refuse")) {
        std::filesystem::create_directories(folder_);
    }
    sluice::Status begin(const sluice::Batch& batch) override {
        lines_.clear();
        if (std::filesystem::exists(file_of(batch.id))) return sluice::Status::already_committed({});
        return {};
    }
    std::unique_ptr<sluice::Writer> open_writer(const sluice::Range&) override {
        return std::make_unique<PickyWriter>(*this);
    }
    sluice::Status commit(std::uint64_t batch_id) override {
        const std::filesystem::path hidden = folder_ / ".open";
        std::ofstream(hidden, std::ios::trunc) << lines_;
        const int fd = ::open(hidden.c_str(), O_RDONLY | O_CLOEXEC);
        ::fsync(fd);
        ::close(fd);
        std::filesystem::rename(hidden, file_of(batch_id));
        return {};
    }
    sluice::Status abort(std::uint64_t) override { return {}; }
    void keep(const std::string& lines) {
        const std::lock_guard lock(mutex_);
        lines_ += lines;
    }

 private:
    [[nodiscard]] std::filesystem::path file_of(std::uint64_t batch_id) const {
        return folder_ / (std::to_string(batch_id) + ".jsonl");
    }
    const std::filesystem::path folder_;
    std::mutex mutex_;
    std::string lines_;

 public:
    const std::string refuse;
};

sluice::Status PickyWriter::write(sluice::Records records) {
    std::vector<sluice::Rejection> bad;
    std::string lines;
    for (std::size_t i = 0; i < records.size(); ++i) {
        if (records[i].value().value_or("").find("bad") != std::string_view::npos) {
            bad.push_back({i, "it says bad"});
        } else {
            sluice::plugins::append_json_line(lines, records[i].raw(), {},
                                              sluice::plugins::ValueMode::text);
        }
    }
    if (!bad.empty() && sink_.refuse == "all") return sluice::Status::reject_all("one of them says bad");
    if (!bad.empty() && sink_.refuse == "batchLost") return sluice::Status::batch_lost(std::move(bad));
    lines_ += lines;
    if (bad.empty()) return {};
    return sluice::Status::reject(std::move(bad));
}

sluice::Status PickyWriter::close(bool keep) {
    if (keep) sink_.keep(lines_);
    return {};
}

constexpr sluice_option options[] = {
    sluice::option("path", SLUICE_OPTION_PATH, "The folder.").required(),
    sluice::option("refuse", SLUICE_OPTION_CHOICE, "How.").by_default("which").choices("which|all|batchLost")};

}  // namespace

SLUICE_SINK_PLUGIN(PickySink, sluice::describe("picky", "1.0", "Refuses what says bad.")
                                  .exactly_once().options(options));
