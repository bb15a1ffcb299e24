#pragma once
// Named places where a crash test kills the process it runs in, as `kill -9` would.
//
//   SLUICE_FAILPOINT=file.commit.after_manifest        at the first pass
//   SLUICE_FAILPOINT=file.commit.mid_rename:3          at the third
//
// Always compiled in, so that what is tested is what is shipped; without the variable a failpoint is
// one getenv(), and there are a few per batch and two per chunk of records, none per record.

#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string_view>

namespace sluice {

/// Dies here by SIGKILL when SLUICE_FAILPOINT asks for `name`. Safe for concurrent calls.
inline void failpoint(std::string_view name) noexcept {
    const char* const wanted = std::getenv("SLUICE_FAILPOINT");
    if (wanted == nullptr) return;
    std::string_view spec(wanted);
    if (spec.substr(0, name.size()) != name) return;
    spec.remove_prefix(name.size());
    int pass = 1;
    if (!spec.empty()) {
        if (spec.front() != ':') return;  // a longer name
        std::from_chars(spec.data() + 1, spec.data() + spec.size(), pass);
    }
    static std::atomic<int> passes{0};  // only one name counts, the one in the variable
    if (++passes >= pass) ::kill(::getpid(), SIGKILL);
}

}  // namespace sluice
