#pragma once
// Is this text JSON? A scanner that builds nothing and allocates nothing.

#include <cstddef>

#include "sluice/sink.h"

namespace sluice::plugins {

/// Nested arrays and objects that is_json follows. Deeper text counts as no JSON: readers of the
/// output have limits of their own (Boost.JSON 32, Jackson 1000), and ours is a stack of fixed
/// size.
inline constexpr std::size_t json_depth_max = 512;

/// Whether `text` is exactly one JSON value as in RFC 8259, white space around it allowed: valid
/// UTF-8, no byte order mark, no lone surrogate escape (which many parsers refuse), no comments, no
/// NaN, no trailing comma. Looks at each byte once.
bool is_json(sluice_bytes text) noexcept;

}  // namespace sluice::plugins
