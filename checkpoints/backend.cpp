#include "checkpoints/backend.hpp"

#include "daemon/base/assert.hpp"

namespace sluice::checkpoints {

std::string_view name_of(Family family) noexcept {
    switch (family) {
        case Family::meta: return "meta";
        case Family::plans: return "plans";
        case Family::commits: return "commits";
        case Family::positions: return "positions";
        case Family::losses: return "losses";
        case Family::control: return "control";
    }
    return "meta";
}

void Batch::put(Family family, std::string key, std::string value) {
    changes.push_back({Change::Kind::put, family, std::move(key), std::move(value)});
}

void Batch::erase(Family family, std::string key) {
    changes.push_back({Change::Kind::erase, family, std::move(key), {}});
}

void Batch::erase_prefix(Family family, std::string prefix) {
    changes.push_back({Change::Kind::erase_prefix, family, std::move(prefix), {}});
}

std::string describe_key(Family family, std::string_view key) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text(name_of(family));
    text += '/';
    for (const char c : key) {
        const auto byte = static_cast<unsigned char>(c);
        text += digits[byte >> 4];
        text += digits[byte & 0xF];
    }
    return text;
}

Error unreadable(const Backend& backend, Family family, std::string_view key,
                 std::string_view why) {
    return {ErrorCode::storage, "checkpoint entry " + describe_key(family, key) +
                                    " can't be read: " + std::string(why) + ". " +
                                    backend.way_back()};
}

std::string end_of_prefix(std::string_view prefix) {
    std::string end(prefix);
    while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xFF) end.pop_back();
    SLUICE_ASSERT(!end.empty());
    end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    return end;
}

}  // namespace sluice::checkpoints
