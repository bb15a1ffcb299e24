#include "plugins/file/crc32.hpp"

#include <zlib.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define SLUICE_FILE_FOLDING_CRC 1
#endif

namespace sluice::plugins::file {
namespace {

#ifdef SLUICE_FILE_FOLDING_CRC

constexpr std::size_t folding_min = 64;

__m128i load(const char* at) noexcept { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }

/// `value` moved by the distance that `constants` stand for, plus `next`.
__attribute__((target("pclmul,sse4.1"))) inline __m128i fold(__m128i value, __m128i constants,
                                                             __m128i next) noexcept {
    const __m128i low = _mm_clmulepi64_si128(value, constants, 0x00);
    const __m128i high = _mm_clmulepi64_si128(value, constants, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/// Whole blocks of 16 bytes, at least folding_min; `state` is the register, not inverted.
/// Source: V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
/// Instruction", Intel 2009: the constants are x^n mod P for the bit-reflected P = 0x104C11DB7.
__attribute__((target("pclmul,sse4.1"))) std::uint32_t fold_blocks(std::uint32_t state, const char* at,
                                                                   std::size_t size) noexcept {
    const __m128i by_512 = _mm_set_epi64x(0x01C6E41596, 0x0154442BD4);
    const __m128i by_128 = _mm_set_epi64x(0x00CCAA009E, 0x01751997D0);
    const __m128i by_64 = _mm_set_epi64x(0, 0x0163CD6124);
    const __m128i barrett = _mm_set_epi64x(0x01F7011641, 0x01DB710641);
    const __m128i low_words = _mm_setr_epi32(~0, 0, ~0, 0);

    __m128i a = _mm_xor_si128(load(at), _mm_cvtsi32_si128(static_cast<int>(state)));
    __m128i b = load(at + 16);
    __m128i c = load(at + 32);
    __m128i d = load(at + 48);
    for (at += 64, size -= 64; size >= 64; at += 64, size -= 64) {
        a = fold(a, by_512, load(at));
        b = fold(b, by_512, load(at + 16));
        c = fold(c, by_512, load(at + 32));
        d = fold(d, by_512, load(at + 48));
    }
    a = fold(fold(fold(a, by_128, b), by_128, c), by_128, d);
    for (; size >= 16; at += 16, size -= 16) a = fold(a, by_128, load(at));

    // 128 bits to 64, to 32.
    a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by_128, 0x10));
    a = _mm_xor_si128(_mm_srli_si128(a, 4),
                      _mm_clmulepi64_si128(_mm_and_si128(a, low_words), by_64, 0x00));
    __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(a, low_words), barrett, 0x10);
    quotient = _mm_clmulepi64_si128(_mm_and_si128(quotient, low_words), barrett, 0x00);
    return static_cast<std::uint32_t>(_mm_extract_epi32(_mm_xor_si128(a, quotient), 1));
}

bool can_fold() noexcept {
    static const bool can = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
    return can;
}

#endif

}  // namespace

std::uint32_t crc32(std::uint32_t crc, std::string_view bytes) noexcept {
#ifdef SLUICE_FILE_FOLDING_CRC
    if (bytes.size() >= folding_min && can_fold()) {
        const std::size_t whole = bytes.size() & ~std::size_t{15};
        crc = ~fold_blocks(~crc, bytes.data(), whole);
        bytes.remove_prefix(whole);
    }
#endif
    // zlib takes a NULL for "give me the initial value".
    if (bytes.empty()) return crc;
    return static_cast<std::uint32_t>(
        ::crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace sluice::plugins::file
