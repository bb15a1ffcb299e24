#include "daemon/base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace sluice {

void assertion_failed(const char* condition, const char* file, int line) noexcept {
    // Straight to stderr: the logger may be what is broken.
    std::fprintf(stderr, "<2>sluice: assertion failed: %s (%s:%d). This is a bug; please report it.\n",
                 condition, file, line);
    std::abort();
}

}  // namespace sluice
