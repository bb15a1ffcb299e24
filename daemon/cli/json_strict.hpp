#pragma once
// JSON as a person meant it: what Boost.JSON lets pass quietly is an error here.

#include <boost/json/value.hpp>
#include <cstddef>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"

namespace sluice::cli {

struct JsonLimits {
    std::size_t bytes_max = 0;
    std::size_t depth_max = 0;  ///< objects and arrays inside each other
};

/// Parses one JSON text. Unlike boost::json::parse, a key that appears twice in one object is an
/// error (the last one would win silently).
/// Errors: `invalid_argument`, naming the byte where the text stops being JSON, or the key.
Result<boost::json::value> parse_strictly(std::string_view text, const JsonLimits& limits);

/// `text` for an error message: quoted, and cut off when it is long.
std::string shown(std::string_view text);

}  // namespace sluice::cli
