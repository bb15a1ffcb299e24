#pragma once
// Streaming compression from memory to memory. Frames (zstd) and members (gzip) may follow each other
// in one file: every decompressor reads them as one text.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "plugins/file/options.hpp"

namespace sluice::plugins::file {

/// Confined to its piece. Throws Fatal, or std::bad_alloc.
class Compressor {
 public:
    virtual ~Compressor() = default;
    /// Appends what comes out to `out`; the rest is kept inside.
    virtual void add(std::string_view text, std::string& out) = 0;
    /// Ends the frame; the last call.
    virtual void end(std::string& out) = 0;
    /// Bytes it holds by now.
    [[nodiscard]] virtual std::size_t memory() const = 0;
};

/// nullptr for Compression::none.
std::unique_ptr<Compressor> make_compressor(Compression compression);

}  // namespace sluice::plugins::file
