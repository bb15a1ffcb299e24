#pragma once
// Room for the headers of a chunk's records. Included by daemon/kafka/*.cpp only.

#include <algorithm>
#include <cstddef>
#include <vector>

#include "sluice/sink.h"

namespace sluice::kafka {

/// Blocks that are kept and filled again, chunk after chunk: once it is warm it allocates nothing. What it gave
/// stays where it is until clear(). Confined to one thread.
class HeaderArena {
 public:
    /// Room for `count` headers in a row; not nullptr, even for none.
    sluice_header* take(std::size_t count) {
        while (block_ < blocks_.size() && blocks_[block_].size() - used_ < count) {
            ++block_;
            used_ = 0;
        }
        if (block_ == blocks_.size()) {
            blocks_.emplace_back(std::max(count, block_size));
            used_ = 0;
        }
        sluice_header* const room = blocks_[block_].data() + used_;
        used_ += count;
        return room;
    }
    /// What was given ends here; the room is kept.
    void clear() {
        block_ = 0;
        used_ = 0;
    }

 private:
    static constexpr std::size_t block_size = 1024;

    std::vector<std::vector<sluice_header>> blocks_;  ///< none ever grows: records point into them
    std::size_t block_ = 0;                           ///< being filled
    std::size_t used_ = 0;                            ///< of it
};

}  // namespace sluice::kafka
