#pragma once
// Request targets: "/api/pipelines/a%2Fb/pause?force=true" taken apart, and put together.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::control {

/// Keys may repeat, as in "expand=status&expand=info".
using Query = std::multimap<std::string, std::string, std::less<>>;

struct Target {
    std::vector<std::string> segments;  ///< decoded; one trailing slash adds none; "/" has none at all
    Query query;                        ///< decoded, '+' is a space; a key without '=' has value ""
};

/// nullopt when `target` does not begin with '/', or has a '%' that two hex digits do not follow.
/// Splits before decoding: "%2F" is part of a name, not a separator.
std::optional<Target> parse_target(std::string_view target);

/// For building targets: everything but letters, digits and "-._~" becomes %XX.
std::string url_encoded(std::string_view text);

}  // namespace sluice::control
