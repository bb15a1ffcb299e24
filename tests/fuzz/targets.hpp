#pragma once
// Hostile input, one function for each place where bytes of strangers come in. Each takes any bytes
// at all, and returns; it throws Broken when an invariant does not hold. Crashes, hangs, leaks and
// memory are watched from outside: by generator.cpp in every test run, by libFuzzer (SLUICE_FUZZ).

#include <algorithm>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::fuzz {

using Bytes = std::span<const std::uint8_t>;

/// The code under test broke a promise; what() says which.
class Broken : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void require(bool holds, std::string_view promise) {
    if (!holds) throw Broken(std::string(promise));
}

inline std::string_view text_of(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Takes an input apart: what is left when it runs dry is zero.
class Input {
 public:
    explicit Input(Bytes bytes) : left_(bytes) {}

    std::uint8_t byte() {
        if (left_.empty()) return 0;
        const std::uint8_t value = left_.front();
        left_ = left_.subspan(1);
        return value;
    }
    std::uint64_t number(int bytes = 8) {
        std::uint64_t value = 0;
        for (int i = 0; i < bytes; ++i)
            value = (value << 8) | byte();
        return value;
    }
    Bytes take(std::size_t size) {
        const Bytes taken = left_.first(std::min(size, left_.size()));
        left_ = left_.subspan(taken.size());
        return taken;
    }
    std::string text() { return std::string(text_of(take(byte()))); }
    [[nodiscard]] Bytes rest() const { return left_; }
    [[nodiscard]] bool empty() const { return left_.empty(); }

 private:
    Bytes left_;
};

/// YAML, as the text of one file; plugins are made up.
void fuzz_config(Bytes bytes);
/// The question of `sluice plan --what-if`.
void fuzz_what_if(Bytes bytes);
/// An entry of the checkpoint store, or a key of it: the first byte chooses the decoder. From 0x80
/// on the bytes make up a value instead, which must survive being written and read.
void fuzz_checkpoint(Bytes bytes);
/// A plugin's tables, in memory of exactly the sizes that they declare.
void fuzz_plugin_table(Bytes bytes);
/// A file that says it is a plugin.
void fuzz_elf(Bytes bytes);
/// What a client sends over one connection before it closes its side. The first byte says whether
/// to the TCP port or to the control socket.
void fuzz_http(Bytes bytes);
/// A record whose key, value, headers and reason are a stranger's, as a dead letter.
void fuzz_dead_letter(Bytes bytes);

struct Target {
    const char* name;  ///< of its folders in corpus/ and crashes/ too
    void (*run)(Bytes);
    std::vector<std::string_view> words;  ///< what the format is made of
    std::size_t size_max;
};
const std::vector<Target>& targets();

}  // namespace sluice::fuzz
