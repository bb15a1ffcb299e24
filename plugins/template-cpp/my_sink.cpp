// my_sink writes each batch as one file of lines, a value each: exactly-once. Pipeline and id of the batch are the
// file's name, so that begin() finds what is committed.
#include <mutex>
#include "sluice/durable.hpp"
#include "sluice/sink.hpp"

namespace {
namespace fs = std::filesystem;

/// Takes the records of one range; writers run in parallel, and meet when they are closed.
struct MyWriter final : sluice::Writer {
    MyWriter(std::mutex& batch_mutex, std::string& batch_lines) : mutex(batch_mutex), batch(batch_lines) {}
    sluice::Status write(sluice::Records records) override {
        for (const sluice::Record record : records) (lines += record.value().value_or("")) += '\n';
        return {};
    }
    sluice::Status close(bool keep) override {
        const std::lock_guard lock(mutex);
        if (keep) batch += lines;
        return {};
    }
    std::mutex& mutex;
    std::string& batch;
    std::string lines;
};

class MySink final : public sluice::Sink {
 public:
    MySink(sluice::Host, const sluice::Config& config, std::optional<std::string_view>)
        : folder_(config.settings.string("path")), pipeline_(config.pipeline) {
        fs::create_directories(folder_);
    }
    sluice::Status begin(const sluice::Batch& batch) override {
        lines_.clear();
        if (!fs::exists(file_of(batch.id))) return {};
        sluice::sync_folder(folder_);  // a crash came before commit() had done so
        return sluice::Status::already_committed({});
    }
    std::unique_ptr<sluice::Writer> open_writer(const sluice::Range&) override {
        return std::make_unique<MyWriter>(mutex_, lines_);
    }
    sluice::Status commit(std::uint64_t batch_id) override {
        sluice::replace_file(file_of(batch_id), lines_);  // throws Retry: the disk may be full
        return {};
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
SLUICE_SINK_PLUGIN(MySink, sluice::describe("my_sink", "0.1", "A file of values per batch.")
                               .exactly_once().options(options));
