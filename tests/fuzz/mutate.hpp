#pragma once
// New inputs from old ones. The same numbers from `random` make the same input.

#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::fuzz {

using Random = std::mt19937_64;

/// One to six changes of one entry of `corpus` (which has some): bytes and bits changed, pieces
/// cut, repeated, moved in from other entries, words put in, integers made extreme at any width and
/// order.
std::string mutated(const std::vector<std::string>& corpus,
                    const std::vector<std::string_view>& words, std::size_t size_max,
                    Random& random);

}  // namespace sluice::fuzz
