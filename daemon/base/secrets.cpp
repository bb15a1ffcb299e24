#include "daemon/base/secrets.hpp"

#include <algorithm>
#include <mutex>
#include <shared_mutex>
#include <string_view>
#include <vector>

namespace sluice::secrets {
namespace {

struct Kept {
    std::shared_mutex mutex;
    std::vector<std::string> by_age;
    std::vector<std::string> by_size;  ///< the same, longest first: none hides in another
};

Kept& kept() {
    static Kept instance;
    return instance;
}

}  // namespace

void keep(std::span<const std::string> values) {
    Kept& all = kept();
    const std::unique_lock lock(all.mutex);
    for (const std::string& value : values) {
        if (value.size() < bytes_min) continue;
        if (std::find(all.by_age.begin(), all.by_age.end(), value) == all.by_age.end()) {
            all.by_age.push_back(value);
        }
    }
    if (all.by_age.size() > kept_max) {
        const auto over = static_cast<std::ptrdiff_t>(all.by_age.size() - kept_max);
        all.by_age.erase(all.by_age.begin(), all.by_age.begin() + over);
    }
    all.by_size = all.by_age;
    std::stable_sort(all.by_size.begin(), all.by_size.end(),
                     [](const auto& a, const auto& b) { return a.size() > b.size(); });
}

std::string redacted(std::string text) {
    static constexpr std::string_view shown = "(secret)";
    Kept& all = kept();
    const std::shared_lock lock(all.mutex);
    for (const std::string& secret : all.by_size) {
        for (std::size_t at = text.find(secret); at != std::string::npos;
             at = text.find(secret, at + shown.size())) {
            text.replace(at, secret.size(), shown);
        }
    }
    return text;
}

}  // namespace sluice::secrets
