#pragma once
// How many bytes wait to be sent. Pure.
//
// librdkafka bounds its queue by values alone, so keys and headers are counted here. It reports no record
// that was delivered (delivery.report.only.error, for the sake of speed), only how many are left; they
// leave in the order they came, but for those of other partitions, so what is left is about as large as
// the newest ones were.

#include <cstddef>
#include <cstdint>
#include <deque>

namespace sluice::plugins::kafka {

/// What librdkafka keeps for each record beside key, value and headers.
inline constexpr std::uint64_t record_cost = 512;

class Waiting {
 public:
    explicit Waiting(std::uint64_t bytes_max) : bytes_max_(bytes_max), step_(bytes_max / 64) {}

    /// Whether a record of `bytes` may join. Any may where nothing waits, so that none waits for ever.
    /// `left()` answers how many records do wait; it costs a lock, and is asked once the bound is met.
    template <class Left>
    [[nodiscard]] bool has_room(std::size_t bytes, Left left) {
        if (bytes_ + bytes <= bytes_max_) return true;
        keep_newest(left());
        return bytes_ == 0 || bytes_ + bytes <= bytes_max_;
    }
    void add(std::size_t bytes) {
        if (groups_.empty() || groups_.back().bytes >= step_) groups_.push_back({});
        ++groups_.back().records;
        groups_.back().bytes += bytes;
        ++records_;
        bytes_ += bytes;
    }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
    /// So many records are left. A group of which any is left counts whole.
    void keep_newest(std::uint64_t records) {
        while (!groups_.empty() && records_ - groups_.front().records >= records) {
            records_ -= groups_.front().records;
            bytes_ -= groups_.front().bytes;
            groups_.pop_front();
        }
    }

 private:
    /// Of neighbours: a sum for each record would cost more than many records do.
    struct Group {
        std::uint64_t records = 0;
        std::uint64_t bytes = 0;
    };

    const std::uint64_t bytes_max_;
    const std::uint64_t step_;
    std::deque<Group> groups_;
    std::uint64_t records_ = 0;
    std::uint64_t bytes_ = 0;
};

}  // namespace sluice::plugins::kafka
