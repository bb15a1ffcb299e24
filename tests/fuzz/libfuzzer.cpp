// libFuzzer's entry: built once for each target, with SLUICE_TARGET as its function.
#include <cstddef>

#include "tests/fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    sluice::fuzz::SLUICE_TARGET({data, size});  // Broken ends the process, as any exception does
    return 0;
}
