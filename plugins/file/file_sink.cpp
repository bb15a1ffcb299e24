#include "plugins/file/file_sink.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "plugins/file/append.hpp"
#include "plugins/file/errors.hpp"
#include "plugins/file/names.hpp"
#include "plugins/file/parts.hpp"
#include "plugins/file/piece.hpp"
#include "plugins/file/range_writer.hpp"

namespace sluice::plugins::file {
namespace {

/// What the small ranges of an append batch may hold in memory, where nobody bounds it.
constexpr std::size_t memory_wanted = 8 << 20;

}  // namespace

void BatchPieces::add(std::vector<PieceInfo> pieces) {
    const std::lock_guard lock(mutex_);
    for (PieceInfo& piece : pieces) pieces_.push_back(std::move(piece));
}

std::vector<PieceInfo> BatchPieces::take() {
    const std::lock_guard lock(mutex_);
    memory_ = 0;
    tell_held();
    std::vector<PieceInfo> taken = std::exchange(pieces_, {});
    std::sort(taken.begin(), taken.end(), [](const PieceInfo& a, const PieceInfo& b) {
        return std::tie(a.range_index, a.from) < std::tie(b.range_index, b.from);
    });
    return taken;
}

bool BatchPieces::reserve_memory(std::size_t size) {
    const std::lock_guard lock(mutex_);
    if (memory_ + size > memory_max_) return false;
    memory_ += size;
    tell_held();
    return true;
}

std::string BatchPieces::take_buffer() {
    const std::lock_guard lock(mutex_);
    if (buffers_.empty()) return {};
    std::string buffer = std::move(buffers_.back());
    buffers_.pop_back();
    spare_ -= buffer.capacity();
    return buffer;
}

void BatchPieces::give_buffer(std::string buffer) {
    // One that held a giant record is not worth its memory.
    if (buffer.capacity() > 4 * flush_size) return;
    const std::lock_guard lock(mutex_);
    if (buffers_.size() == buffers_max) return;
    spare_ += buffer.capacity();
    buffers_.push_back(std::move(buffer));
}

void BatchPieces::hold(std::size_t before, std::size_t now) {
    const std::lock_guard lock(mutex_);
    writing_ += now - before;
    tell_held();
}

void BatchPieces::tell_held() const { host_.memory_held(memory_ + writing_ + spare_); }

FileSink::FileSink(Host host, const Config& config, std::optional<std::string_view> receipt)
    : host_(host),
      options_(read_options(config.settings)),
      pieces_(host, config.buffer_size(memory_wanted, 0)) {
    std::optional<Receipt> last;
    if (receipt) last = parse_receipt(*receipt, "the checkpoint's receipt");
    output_.emplace(options_, config, last);
    if (options_.mode == Mode::append)
        target_ = std::make_unique<Append>(*output_, options_, host_, config.next_batch_id, last);
    else
        target_ = std::make_unique<Parts>(*output_, last);
}

Status FileSink::check(const Config& config) {
    (void)read_options(config.settings);
    return {};
}

Status FileSink::begin(const Batch& batch) {
    batch_ = batch.id;
    plan_ = plan_fingerprint(batch.ranges);
    (void)pieces_.take();
    output_->check_not_newer(batch_, plan_);
    if (const auto manifest = output_->find_manifest(batch_)) {
        if (manifest->plan != plan_)
            throw Fatal(output_->older_checkpoint("batch " + std::to_string(batch_) +
                                                  " is committed there, with other ranges"));
        target_->finish(*manifest);
        return Status::already_committed(to_json(target_->receipt()));
    }
    target_->discard(batch_);
    return {};
}

std::unique_ptr<Writer> FileSink::open_writer(const Range& range) {
    return std::make_unique<RangeWriter>(
        host_, options_, pieces_, range,
        [this]() -> const Directory& { return output_->staging(batch_); });
}

Status FileSink::commit(std::uint64_t batch_id) {
    if (batch_id != batch_)
        throw Fatal("commit of batch " + std::to_string(batch_id) + ", but batch " +
                    std::to_string(batch_) + " was begun");
    target_->commit(batch_, plan_, pieces_.take());
    return Status::ok(to_json(target_->receipt()));
}

Status FileSink::abort(std::uint64_t batch_id) {
    (void)pieces_.take();
    // A commit in doubt that came past its manifest is a commit: begin() will say so.
    if (!output_->find_manifest(batch_id)) target_->abort(batch_id);
    return {};
}

}  // namespace sluice::plugins::file
