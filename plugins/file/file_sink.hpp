#pragma once
// The sink: glue between the ABI's calls, the pieces that writers fill, and the mode.

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "plugins/file/options.hpp"
#include "plugins/file/output.hpp"
#include "plugins/file/target.hpp"
#include "sluice/sink.hpp"

namespace sluice::plugins::file {

inline constexpr Description description =
    describe("file", SLUICE_PLUGIN_VERSION,
             "Writes JSON lines into a directory: files per partition, or one that grows.")
        .exactly_once()
        .options(option_table);

/// What writers of one batch share with each other and hand to commit(). Safe for concurrent calls.
class BatchPieces {
 public:
    /// `memory_max`: bytes that ranges of one append batch may keep in memory instead of files, in all.
    BatchPieces(Host host, std::size_t memory_max) : host_(host), memory_max_(memory_max) {}

    /// Buffers kept between writers.
    static constexpr std::size_t buffers_max = 16;

    void add(std::vector<PieceInfo> pieces);
    /// In plan order; empty afterwards.
    [[nodiscard]] std::vector<PieceInfo> take();
    /// Whether a piece of this size may stay in memory; counted until take().
    [[nodiscard]] bool reserve_memory(std::size_t size);

    [[nodiscard]] std::string take_buffer();
    void give_buffer(std::string buffer);

    /// A writer holds `now` bytes of its own, and `before` when it said so last: the daemon is told the sum.
    void hold(std::size_t before, std::size_t now);

 private:
    void tell_held() const;

    const Host host_;
    const std::size_t memory_max_;
    std::mutex mutex_;
    std::vector<PieceInfo> pieces_;
    std::vector<std::string> buffers_;
    std::size_t memory_ = 0;   // reserved
    std::size_t writing_ = 0;  // in writers
    std::size_t spare_ = 0;    // in buffers_
};

/// One per pipeline; threads as sluice/sink.h says. A crash loses nothing that was committed; the
/// batch that was being written is found and finished or removed by begin().
class FileSink final : public Sink {
 public:
    FileSink(Host host, const Config& config, std::optional<std::string_view> receipt);
    static Status check(const Config& config);

    Status begin(const Batch& batch) override;
    std::unique_ptr<Writer> open_writer(const Range& range) override;
    Status commit(std::uint64_t batch_id) override;
    Status abort(std::uint64_t batch_id) override;
    std::optional<std::string> initial_receipt() override { return to_json(target_->receipt()); }

 private:
    Host host_;
    Options options_;
    std::optional<Output> output_;
    std::unique_ptr<Target> target_;
    BatchPieces pieces_;
    std::uint64_t batch_ = 0;  // the one begun
    std::string plan_;
};

}  // namespace sluice::plugins::file
