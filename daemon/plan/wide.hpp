#pragma once
// 128-bit integers, for the inside of plan/ only. Sizes go up to 2^63 and are summed and multiplied
// with each other: 64 bits overflow, and doubles are wrong above 2^53.

namespace sluice::plan {

__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;

}  // namespace sluice::plan
