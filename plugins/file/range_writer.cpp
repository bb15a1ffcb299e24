#include "plugins/file/range_writer.hpp"

#include <utility>

#include "daemon/base/failpoint.hpp"
#include "plugins/common/json_lines.hpp"
#include "plugins/file/names.hpp"

namespace sluice::plugins::file {

RangeWriter::RangeWriter(Host host, const Options& options, BatchPieces& batch, Range range,
                         StagingSource staging)
    : host_(host),
      options_(options),
      batch_(batch),
      topic_(range.topic),
      partition_(range.partition),
      index_(range.index),
      from_(range.from),
      until_(range.until),
      staging_(std::move(staging)) {}

RangeWriter::~RangeWriter() { batch_.hold(held_, 0); }

/// Once a call: what a piece holds grows by little in between.
void RangeWriter::tell_held() {
    std::size_t now = current_.piece ? current_.piece->memory() : 0;
    for (const OpenPiece& ended : ended_) now += ended.piece->memory();
    if (now == held_) return;
    batch_.hold(held_, now);
    held_ = now;
}

void RangeWriter::start(std::int64_t from) {
    current_.info = {};
    current_.info.range_index = index_;
    current_.info.topic = topic_;
    current_.info.partition = partition_;
    current_.info.from = from;
    current_.info.staged = std::to_string(index_) + "." + std::to_string(piece_count_++);
    current_.piece = std::make_unique<Piece>(staging_, current_.info.staged, options_.compression,
                                             batch_.take_buffer());
}

void RangeWriter::end_current(std::int64_t until) {
    current_.info.until = until;
    current_.info.name =
        padded_pair(static_cast<std::uint64_t>(current_.info.from),
                    static_cast<std::uint64_t>(until)) +
        extension(options_.compression);
    current_.piece->end();
    ended_.push_back(std::exchange(current_, {}));
}

void RangeWriter::append(Record record, std::string& text) const {
    if (options_.format == Format::json) {
        const Headers headers = host_.headers(record);
        append_json_line(text, record.raw(), {headers.data(), headers.size()}, options_.value);
        return;
    }
    const sluice_bytes value = record.raw().value;
    if (value.size != 0) text.append(reinterpret_cast<const char*>(value.data), value.size);
    text += '\n';
}

void RangeWriter::finish(OpenPiece& open) {
    Piece& piece = *open.piece;
    if (options_.mode == Mode::append && piece.is_in_memory() && piece.buffered() <= flush_size &&
        batch_.reserve_memory(piece.buffered())) {
        open.info.content = piece.take_content();
        open.info.staged.clear();
    } else {
        try {
            piece.finish(options_.mode == Mode::parts);
        } catch (const Retry& failed) {
            // After a failed fsync nobody knows what of the file is on disk: the batch runs again.
            if (!piece.is_written()) throw;
            lost_ = failed.what();
        }
    }
    open.info.bytes = piece.bytes();
    open.info.crc32 = piece.crc32();
    batch_.give_buffer(piece.take_buffer());
    done_.push_back(std::move(open.info));
}

void RangeWriter::settle() {
    while (!ended_.empty()) {
        finish(ended_.front());
        ended_.pop_front();
    }
    if (current_.piece && current_.piece->buffered() >= flush_size) current_.piece->flush(options_.mode == Mode::parts);
}

bool RangeWriter::try_settle() {
    try {
        settle();
        return true;
    } catch (const Retry&) {
        return false;
    }
}

Status RangeWriter::write(Records records) {
    if (lost_.empty()) settle();
    if (!lost_.empty()) return {};  // close() says so; the records come again
    const bool rolls = options_.mode == Mode::parts && options_.roll_size != 0;
    bool has_room = true;
    for (const Record record : records) {
        if (current_.piece && rolls && current_.piece->text_size() >= options_.roll_size) {
            end_current(record.offset());
            if (has_room) has_room = try_settle();
        }
        if (!current_.piece) start(piece_count_ == 0 ? from_ : record.offset());
        std::string& text = current_.piece->text();
        append(record, text);
        ++current_.info.records;
        if (text.size() >= flush_size && has_room) has_room = try_settle();
    }
    tell_held();
    return {};
}

Status RangeWriter::close(bool keep) {
    if (!keep) return {};  // abort() removes the staging directory
    failpoint("file.close.before_fsync");
    if (current_.piece) end_current(until_);
    if (lost_.empty()) settle();
    tell_held();
    if (!lost_.empty()) return Status::retry(lost_);
    batch_.add(std::move(done_));
    failpoint("file.close.after_fsync");
    return {};
}

}  // namespace sluice::plugins::file
