#include "daemon/control/url.hpp"

#include <algorithm>

namespace sluice::control {
namespace {

std::optional<int> hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return std::nullopt;
}

std::optional<std::string> decoded(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_space) {
            out += ' ';
        } else if (text[i] != '%') {
            out += text[i];
        } else {
            if (i + 2 >= text.size()) return std::nullopt;
            const auto high = hex_digit(text[i + 1]);
            const auto low = hex_digit(text[i + 2]);
            if (!high || !low) return std::nullopt;
            out += static_cast<char>(*high * 16 + *low);
            i += 2;
        }
    }
    return out;
}

/// Calls `take` with each piece between separators, empty ones too; false as soon as it is.
template <class Take>
bool each_piece(std::string_view text, char separator, Take take) {
    while (true) {
        const std::size_t end = text.find(separator);
        if (!take(text.substr(0, end))) return false;
        if (end == std::string_view::npos) return true;
        text.remove_prefix(end + 1);
    }
}

}  // namespace

std::optional<Target> parse_target(std::string_view target) {
    if (!target.starts_with('/')) return std::nullopt;
    Target parsed;

    const std::size_t question = target.find('?');
    std::string_view path = target.substr(1, question == std::string_view::npos
                                                 ? std::string_view::npos
                                                 : question - 1);
    if (path.ends_with('/')) path.remove_suffix(1);
    const bool path_ok = path.empty() || each_piece(path, '/', [&](std::string_view piece) {
        auto segment = decoded(piece, false);
        if (segment) parsed.segments.push_back(std::move(*segment));
        return segment.has_value();
    });
    if (!path_ok) return std::nullopt;

    if (question == std::string_view::npos) return parsed;
    const bool query_ok = each_piece(target.substr(question + 1), '&', [&](std::string_view piece) {
        if (piece.empty()) return true;
        const std::size_t equals = std::min(piece.find('='), piece.size());
        auto key = decoded(piece.substr(0, equals), true);
        auto value = decoded(piece.substr(std::min(equals + 1, piece.size())), true);
        if (!key || !value) return false;
        parsed.query.emplace(std::move(*key), std::move(*value));
        return true;
    });
    if (!query_ok) return std::nullopt;
    return parsed;
}

std::string url_encoded(std::string_view text) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            out += c;
        } else {
            out += '%';
            out += hex[byte >> 4];
            out += hex[byte & 15];
        }
    }
    return out;
}

}  // namespace sluice::control
