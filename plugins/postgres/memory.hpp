#pragma once
// What a sink holds in memory: summed up, told to the host, held against the sink's part of memoryMax.

#include <cstdint>
#include <mutex>

#include "sluice/sink.hpp"

namespace sluice::plugins::postgres {

/// A sum of shares. Safe for concurrent calls; a share is confined to what it is the share of, and
/// the sum outlives its shares.
class Memory {
 public:
    /// `bytes_max` 0: nobody bounds it.
    Memory(Host host, std::uint64_t bytes_max) : host_(host), bytes_max_(bytes_max) {}

    class Share {
     public:
        explicit Share(Memory& memory) : memory_(memory) {}
        ~Share() { set(0); }
        Share(const Share&) = delete;
        Share& operator=(const Share&) = delete;

        void set(std::uint64_t bytes) noexcept {
            if (bytes == bytes_) return;
            memory_.change(bytes_, bytes);
            bytes_ = bytes;
        }
        void at_least(std::uint64_t bytes) noexcept {
            if (bytes > bytes_) set(bytes);
        }

     private:
        Memory& memory_;
        std::uint64_t bytes_ = 0;
    };

    /// More is held than the bound allows: whoever can hand something on does so now.
    [[nodiscard]] bool is_full() const noexcept {
        const std::lock_guard lock(mutex_);
        return bytes_max_ != 0 && held_ > bytes_max_;
    }

 private:
    // The host is told under the lock, so that what it heard last is what is true.
    void change(std::uint64_t from, std::uint64_t to) noexcept {
        const std::lock_guard lock(mutex_);
        held_ = held_ - from + to;
        host_.memory_held(held_);
    }

    Host host_;
    const std::uint64_t bytes_max_;
    mutable std::mutex mutex_;
    std::uint64_t held_ = 0;
};

}  // namespace sluice::plugins::postgres
