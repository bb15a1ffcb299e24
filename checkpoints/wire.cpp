#include "checkpoints/wire.hpp"

namespace sluice::checkpoints {

Writer& Writer::byte(std::uint8_t value) {
    out_ += static_cast<char>(value);
    return *this;
}

Writer& Writer::fixed32(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) byte(static_cast<std::uint8_t>(value >> shift));
    return *this;
}

Writer& Writer::fixed64(std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) byte(static_cast<std::uint8_t>(value >> shift));
    return *this;
}

Writer& Writer::varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) byte(static_cast<std::uint8_t>(value | 0x80));
    return byte(static_cast<std::uint8_t>(value));
}

Writer& Writer::zigzag(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    return varint((bits << 1) ^ (value < 0 ? ~std::uint64_t{0} : 0));
}

Writer& Writer::text(std::string_view value) {
    varint(value.size());
    out_ += value;
    return *this;
}

void Reader::reject(std::string_view why) {
    if (!ok()) return;
    fault_ = std::string(why) + " at byte " + std::to_string(at_) + " of " +
             std::to_string(bytes_.size());
}

bool Reader::need(std::size_t bytes) {
    if (ok() && left() < bytes) reject("truncated");
    return ok();
}

std::uint8_t Reader::byte() {
    if (!need(1)) return 0;
    return static_cast<std::uint8_t>(bytes_[at_++]);
}

std::uint32_t Reader::fixed32() {
    if (!need(4)) return 0;
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = (value << 8) | byte();
    return value;
}

std::uint64_t Reader::fixed64() {
    if (!need(8)) return 0;
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = (value << 8) | byte();
    return value;
}

std::uint64_t Reader::varint(std::uint64_t max) {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        const std::uint8_t part = byte();
        if (!ok()) return 0;
        if (shift == 63 && part > 1) {
            reject("a number above 64 bits");
            return 0;
        }
        if (part == 0 && shift > 0) {  // 80 00 would be a second way to write 00
            reject("a number longer than it needs to be");
            return 0;
        }
        value |= static_cast<std::uint64_t>(part & 0x7F) << shift;
        if ((part & 0x80) == 0) break;
    }
    if (value > max) {
        reject("a number out of bounds");
        return 0;
    }
    return value;
}

std::int64_t Reader::zigzag(std::int64_t min, std::int64_t max) {
    const std::uint64_t bits = varint();
    const auto value =
        static_cast<std::int64_t>((bits >> 1) ^ ((bits & 1) != 0 ? ~std::uint64_t{0} : 0));
    if (ok() && (value < min || value > max)) reject("a number out of bounds");
    return ok() ? value : 0;
}

std::string_view Reader::text() {
    const std::uint64_t size = varint();
    if (!ok()) return {};
    if (size > left()) {
        reject("truncated");
        return {};
    }
    const std::string_view value = bytes_.substr(at_, static_cast<std::size_t>(size));
    at_ += value.size();
    return value;
}

std::size_t Reader::count(std::size_t item_bytes_min) {
    const std::uint64_t items = varint();
    if (ok() && items > left() / item_bytes_min) reject("a count above what follows");
    return ok() ? static_cast<std::size_t>(items) : 0;
}

std::string Reader::finish() {
    if (ok() && left() != 0) reject("bytes left over");
    return fault_;
}

}  // namespace sluice::checkpoints
