#pragma once
// Bytes of keys and values: fixed big-endian integers where order matters (keys), varints elsewhere.

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"

namespace sluice::checkpoints {

/// Appends; never fails.
class Writer {
 public:
    Writer& byte(std::uint8_t value);
    Writer& fixed32(std::uint32_t value);  ///< big-endian, 4 bytes
    Writer& fixed64(std::uint64_t value);  ///< big-endian, 8 bytes
    Writer& varint(std::uint64_t value);   ///< LEB128: 7 bits a byte, low ones first
    Writer& zigzag(std::int64_t value);    ///< 0, -1, 1, -2 … as varints 0, 1, 2, 3 …
    Writer& text(std::string_view value);  ///< varint length, then the bytes

    [[nodiscard]] std::string take() { return std::move(out_); }

 private:
    std::string out_;
};

/// Reads what Writer wrote, trusting nothing. The first fault sticks: every later call answers zero
/// or empty, and `finish` says what was wrong and at which byte. So decoders read straight through,
/// and need to look only before they loop or allocate by a count (`count` bounds it).
class Reader {
 public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}

    std::uint8_t byte();
    std::uint32_t fixed32();
    std::uint64_t fixed64();
    std::uint64_t varint(std::uint64_t max = std::numeric_limits<std::uint64_t>::max());
    std::int64_t zigzag(std::int64_t min = std::numeric_limits<std::int64_t>::min(),
                        std::int64_t max = std::numeric_limits<std::int64_t>::max());
    std::string_view text();
    /// A number of items of at least `item_bytes_min` bytes each: never more than what is left holds.
    std::size_t count(std::size_t item_bytes_min);

    /// The value makes no sense although its bytes do.
    void reject(std::string_view why);

    [[nodiscard]] bool ok() const noexcept { return fault_.empty(); }
    [[nodiscard]] std::size_t left() const noexcept { return bytes_.size() - at_; }
    /// "truncated at byte 14 of 20"; empty when everything was read and made sense.
    [[nodiscard]] std::string fault() const { return fault_; }
    /// Rejects bytes that are left over; the fault, or empty.
    std::string finish();

 private:
    bool need(std::size_t bytes);

    std::string_view bytes_;
    std::size_t at_ = 0;
    std::string fault_;
};

}  // namespace sluice::checkpoints
