#pragma once
// Which rows of a call the server refuses, when it may refuse many at once and names few. Pure: it says
// what to try next, and is told how that went.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace sluice::plugins::postgres {

/// Tries pieces of the call: the server's line tells how far a piece was good, or else it is halved,
/// down to the row. A few tries for each row refused, whatever lines the server tells.
class RowSearch {
 public:
    explicit RowSearch(std::size_t count) : count_(count), piece_(count) {}

    [[nodiscard]] bool is_done() const { return at_ == count_; }
    /// To be tried: rows [at(), at() + size()).
    [[nodiscard]] std::size_t at() const { return at_; }
    [[nodiscard]] std::size_t size() const { return std::min(piece_, count_ - at_); }

    /// All of them were taken.
    void taken() {
        const std::size_t size = this->size();
        at_ += size;
        piece_ = size * 2;
    }
    /// None of them was; `line` counts from 1 within them. True when the row at() is the one, and is
    /// passed over.
    bool refused(std::optional<std::uint64_t> line) {
        const std::size_t size = this->size();
        if (size == 1 || line == 1) {
            ++at_;
            piece_ = std::max<std::size_t>(1, size / 2);
            return true;
        }
        // The last line may be no more than how far the server had read: a deferred check, a foreign table.
        piece_ = line && *line < size ? static_cast<std::size_t>(*line) - 1 : size / 2;
        return false;
    }

 private:
    std::size_t count_;
    std::size_t at_ = 0;
    std::size_t piece_;
};

}  // namespace sluice::plugins::postgres
