#pragma once
// One output file while it is written: text in, compressed, in large writes to the staging directory.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "plugins/file/compressor.hpp"
#include "plugins/file/directory.hpp"
#include "plugins/file/options.hpp"

namespace sluice::plugins::file {

/// Text is gathered to this size before it is compressed and written.
inline constexpr std::size_t flush_size = 256 * 1024;

/// The directory that unfinished files go to; asked for when the first one is needed.
using StagingSource = std::function<const Directory&()>;

/// Confined to its writer. Nothing is on disk before the first flush(), no file either. What could not
/// be written stays in memory, so that a full disk loses nothing: flush() again.
class Piece {
 public:
    /// What `staging` answers outlives the piece; `buffer` is used for the text, its capacity kept.
    Piece(StagingSource staging, std::string name, Compression compression, std::string buffer);

    /// Records are appended here; flush() once it holds flush_size.
    [[nodiscard]] std::string& text() noexcept { return text_; }
    /// Bytes of text so far, before compression.
    [[nodiscard]] std::uint64_t text_size() const noexcept { return text_flushed_ + text_.size(); }

    /// Compresses and writes what is there. Retry: some of it may be written, the rest is kept.
    /// `to_stay`: it will be finished durably.
    void flush(bool to_stay);
    /// Ends the compression frame, in memory. No text after this.
    void end();
    /// The rest of an ended piece goes to disk, durably when asked, and the file is closed. Retry
    /// before is_written(): call it again; after: the file's content is in doubt, give it up.
    void finish(bool durable);
    [[nodiscard]] bool is_written() const noexcept { return is_written_; }

    /// Of an ended piece that nothing was written of: its bytes, instead of finish().
    [[nodiscard]] bool is_in_memory() const noexcept { return !fd_.is_open(); }
    [[nodiscard]] std::string take_content();

    /// The buffer given at the start, to be used again.
    [[nodiscard]] std::string take_buffer() noexcept;

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// Bytes written or taken, and their CRC-32.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::uint32_t crc32() const noexcept { return crc32_; }
    /// Bytes in memory, but for what the compressor holds: of an ended piece, what finish() would
    /// write.
    [[nodiscard]] std::size_t buffered() const noexcept {
        return text_.size() + compressed_.size();
    }
    /// Bytes it holds, its compressor's included.
    [[nodiscard]] std::size_t memory() const {
        return text_.capacity() + compressed_.capacity() + (compressor_ ? compressor_->memory() : 0);
    }

 private:
    void compress();
    void write_pending();
    void count(std::string_view content);

    StagingSource staging_;
    std::string path_;  // once there is a file
    std::string name_;
    std::unique_ptr<Compressor> compressor_;  // nullptr: text_ is what is written
    std::string text_;
    std::string compressed_;
    Fd fd_;
    std::uint64_t text_flushed_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t written_back_ = 0;  // the disk was told to begin with so many
    std::uint32_t crc32_ = 0;
    bool is_written_ = false;
};

}  // namespace sluice::plugins::file
