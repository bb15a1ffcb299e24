#pragma once
// Writes one range: records to text, text to pieces.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "plugins/file/file_sink.hpp"
#include "plugins/file/piece.hpp"
#include "sluice/sink.hpp"

namespace sluice::plugins::file {

/// Confined to one thread at a time. Holds one open file, and the pieces that a full disk keeps from
/// being finished. No allocation per record: text gathers in one buffer, which is written in large
/// pieces.
class RangeWriter final : public Writer {
 public:
    RangeWriter(Host host, const Options& options, BatchPieces& batch, Range range,
                StagingSource staging);
    ~RangeWriter() override;
    RangeWriter(const RangeWriter&) = delete;
    RangeWriter& operator=(const RangeWriter&) = delete;

    /// Retry only before anything of the call is kept: a disk that fills up in the middle of a call
    /// leaves the rest in memory, and the next call finds out.
    Status write(Records records) override;
    Status close(bool keep) override;

 private:
    struct OpenPiece {
        PieceInfo info;
        std::unique_ptr<Piece> piece;
    };

    void start(std::int64_t from);
    void end_current(std::int64_t until);
    void append(Record record, std::string& text) const;
    void settle();
    bool try_settle();
    void finish(OpenPiece& open);
    void tell_held();

    Host host_;
    const Options& options_;
    BatchPieces& batch_;
    std::string topic_;
    std::int32_t partition_;
    std::uint32_t index_;
    std::int64_t from_;
    std::int64_t until_;
    StagingSource staging_;
    OpenPiece current_;
    std::deque<OpenPiece> ended_;   // not finished yet: empty but on a full disk
    std::vector<PieceInfo> done_;
    std::uint32_t piece_count_ = 0;
    std::size_t held_ = 0;  // bytes, as told last
    std::string lost_;  // an fsync failed: why this batch has to be run again
};

}  // namespace sluice::plugins::file
