#pragma once
// SLUICE_ASSERT states what only a bug can break. It stays on in release builds: stopping is better
// than checkpointing a lie. Input (configuration, broker, plugin) is validated, never asserted.

namespace sluice {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;
}

#define SLUICE_ASSERT(condition)  \
    (static_cast<bool>(condition) \
         ? static_cast<void>(0)   \
         : ::sluice::assertion_failed(#condition, __FILE__, __LINE__))
