#include "plugins/file/piece.hpp"

#include <utility>

#include "daemon/base/failpoint.hpp"
#include "plugins/file/crc32.hpp"

namespace sluice::plugins::file {
Piece::Piece(StagingSource staging, std::string name, Compression compression, std::string buffer)
    : staging_(std::move(staging)),
      name_(std::move(name)),
      compressor_(make_compressor(compression)),
      text_(std::move(buffer)) {}

void Piece::compress() {
    if (!compressor_ || text_.empty()) return;
    compressor_->add(text_, compressed_);
    text_flushed_ += text_.size();
    text_.clear();
}

void Piece::count(std::string_view content) {
    bytes_ += content.size();
    crc32_ = file::crc32(crc32_, content);
}

void Piece::write_pending() {
    std::string& pending = compressor_ ? compressed_ : text_;
    if (!fd_.is_open()) {
        const Directory& staging = staging_();
        path_ = staging.path_of(name_);
        fd_ = staging.create(name_);
    }
    std::size_t written = 0;
    const auto keep_rest = [&] {
        count(std::string_view(pending).substr(0, written));
        if (!compressor_) text_flushed_ += written;
        pending.erase(0, written);  // all of it but after an error: then clear() and no move
    };
    try {
        write_all_at(fd_, pending, bytes_, path_, written);
    } catch (...) {
        keep_rest();
        throw;
    }
    keep_rest();
}

void Piece::flush(bool to_stay) {
    constexpr std::uint64_t writeback_size = 8 << 20;
    compress();
    if (buffered() == 0) return;
    write_pending();
    if (to_stay && bytes_ - written_back_ >= writeback_size) {
        start_writing_back(fd_, written_back_, bytes_ - written_back_);
        written_back_ = bytes_;
    }
    failpoint("file.write.after_flush");
}

void Piece::end() {
    if (!compressor_) return;
    compress();
    compressor_->end(compressed_);
}

void Piece::finish(bool durable) {
    if (!is_written_) {
        if (buffered() != 0 || !fd_.is_open()) write_pending();
        is_written_ = true;
    }
    if (durable) sync_data(fd_, path_);
    fd_.reset();
}

std::string Piece::take_content() {
    std::string& pending = compressor_ ? compressed_ : text_;
    count(pending);
    std::string content(pending);  // as large as it is; what it was gathered in has room for more, and is used again
    pending.clear();
    return content;
}

std::string Piece::take_buffer() noexcept {
    text_.clear();
    return std::move(text_);
}

}  // namespace sluice::plugins::file
