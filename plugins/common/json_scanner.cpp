#include "plugins/common/json_scanner.hpp"

#include <bitset>
#include <cstdint>
#include <cstring>

#include "plugins/common/utf8.hpp"

namespace sluice::plugins {
namespace {

class Scanner {
 public:
    explicit Scanner(sluice_bytes text) noexcept : at_(text.data), end_(text.data + text.size) {}

    /// One value and nothing behind it. Not recursive: containers open are bits in `is_object_`.
    bool document() noexcept {
        while (true) {
            space();
            if (at_ == end_) return false;
            if (*at_ == '{' || *at_ == '[') {
                if (!enter()) return false;
                if (!empty_) continue;  // at the first value of the container
            } else if (!scalar()) {
                return false;
            }
            if (!after_value()) return false;
            if (depth_ == 0) return space(), at_ == end_;
        }
    }

 private:
    void space() noexcept {
        while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t'))
            ++at_;
    }
    bool take(char c) noexcept {
        if (at_ == end_ || *at_ != static_cast<std::uint8_t>(c)) return false;
        ++at_;
        return true;
    }
    bool word(const char* expected) noexcept {
        const std::size_t size = std::strlen(expected);
        if (static_cast<std::size_t>(end_ - at_) < size) return false;
        if (std::memcmp(at_, expected, size) != 0) return false;
        at_ += size;
        return true;
    }

    /// Past '{' and the first key, or past '['; sets `empty_` when the container closed at once.
    bool enter() noexcept {
        if (depth_ == json_depth_max) return false;
        const bool object = *at_++ == '{';
        is_object_[depth_++] = object;
        space();
        empty_ = take(object ? '}' : ']');
        if (empty_) {
            --depth_;
            return true;
        }
        return !object || key();
    }

    /// Behind a value: closes what ends here; stops before the next value, or at depth 0.
    bool after_value() noexcept {
        while (depth_ > 0) {
            space();
            const bool object = is_object_[depth_ - 1];
            if (take(',')) {
                if (!object) return true;
                space();
                return key();
            }
            if (!take(object ? '}' : ']')) return false;
            --depth_;
        }
        return true;
    }

    bool key() noexcept {
        if (!string()) return false;
        space();
        return take(':');
    }

    bool scalar() noexcept {
        switch (*at_) {
            case '"':
                return string();
            case 't':
                return word("true");
            case 'f':
                return word("false");
            case 'n':
                return word("null");
            default:
                return number();
        }
    }

    bool digits() noexcept {
        const std::uint8_t* const first = at_;
        while (at_ != end_ && *at_ >= '0' && *at_ <= '9')
            ++at_;
        return at_ != first;
    }

    bool number() noexcept {
        take('-');
        if (!take('0') && !digits()) return false;
        if (take('.') && !digits()) return false;
        if (take('e') || take('E')) {
            if (!take('+')) take('-');
            return digits();
        }
        return true;
    }

    bool string() noexcept {
        if (!take('"')) return false;
        while (at_ != end_) {
            const std::uint8_t c = *at_;
            if (c == '"') return ++at_, true;
            if (c < 0x20) return false;
            if (c == '\\') {
                if (!escape()) return false;
            } else if (const std::size_t length = utf8_sequence(at_, end_); length != 0) {
                at_ += length;
            } else {
                return false;
            }
        }
        return false;
    }

    bool escape() noexcept {
        ++at_;
        if (at_ == end_) return false;
        switch (*at_++) {
            case '"':
            case '\\':
            case '/':
            case 'b':
            case 'f':
            case 'n':
            case 'r':
            case 't':
                return true;
            case 'u':
                break;
            default:
                return false;
        }
        unsigned unit = 0;
        if (!hex4(unit) || (unit >= 0xDC00 && unit <= 0xDFFF)) return false;
        if (unit < 0xD800 || unit > 0xDBFF) return true;
        return take('\\') && take('u') && hex4(unit) && unit >= 0xDC00 && unit <= 0xDFFF;
    }

    bool hex4(unsigned& unit) noexcept {
        if (end_ - at_ < 4) return false;
        unit = 0;
        for (int i = 0; i < 4; ++i, ++at_) {
            const unsigned c = *at_;
            if (c >= '0' && c <= '9')
                unit = unit * 16 + (c - '0');
            else if (c >= 'a' && c <= 'f')
                unit = unit * 16 + (c - 'a' + 10);
            else if (c >= 'A' && c <= 'F')
                unit = unit * 16 + (c - 'A' + 10);
            else
                return false;
        }
        return true;
    }

    const std::uint8_t* at_;
    const std::uint8_t* end_;
    std::bitset<json_depth_max> is_object_;
    std::size_t depth_ = 0;
    bool empty_ = false;
};

}  // namespace

bool is_json(sluice_bytes text) noexcept {
    return text.data != nullptr && Scanner(text).document();
}

}  // namespace sluice::plugins
