#include "tests/fuzz/mutate.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace sluice::fuzz {
namespace {

std::size_t below(std::size_t end, Random& random) {
    return end == 0 ? 0 : static_cast<std::size_t>(random() % end);
}

/// Somewhere in `text`, its end included.
std::size_t place_in(const std::string& text, Random& random) {
    return below(text.size() + 1, random);
}

/// Mostly short: a long piece rarely leaves anything to look at.
std::size_t length(std::size_t most, Random& random) {
    if (most == 0) return 0;
    const std::size_t bound = random() % 4 == 0 ? most : std::min<std::size_t>(most, 16);
    return 1 + below(bound, random);
}

/// Sizes, counts and offsets are where readers go wrong: what is just in, just out, and far out.
void attack_integer(std::string& bytes, Random& random) {
    constexpr std::array<std::uint64_t, 14> extremes{
        0,          1,          0x7F,       0x80,      0xFF,       0x7FFF,    0xFFFF,
        0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, INT64_MAX, 1ULL << 63, ~0ULL - 1, ~0ULL};
    const std::size_t width = std::size_t{1} << below(4, random);
    if (bytes.size() < width) return;
    const std::size_t at = below(bytes.size() - width + 1, random);
    std::uint64_t value = extremes[below(extremes.size(), random)];
    if (random() % 3 == 0) value = bytes.size() + below(3, random) - 1;
    const bool big_endian = random() % 2 == 0;
    for (std::size_t i = 0; i < width; ++i) {
        const std::size_t shift = 8 * (big_endian ? width - 1 - i : i);
        bytes[at + i] = static_cast<char>(value >> shift);
    }
}

/// The same in text: a run of digits becomes another number.
void attack_digits(std::string& text, Random& random) {
    constexpr std::array<std::string_view, 10> numbers{"0",
                                                       "-1",
                                                       "1",
                                                       "255",
                                                       "65536",
                                                       "2147483648",
                                                       "9223372036854775807",
                                                       "9223372036854775808",
                                                       "18446744073709551616",
                                                       "1e9"};
    const std::size_t begin = text.find_first_of("0123456789", place_in(text, random));
    if (begin == std::string::npos) return;
    const std::size_t end = std::min(text.find_first_not_of("0123456789", begin), text.size());
    text.replace(begin, end - begin, numbers[below(numbers.size(), random)]);
}

void change(std::string& input, const std::vector<std::string>& corpus,
            const std::vector<std::string_view>& words, Random& random) {
    const std::size_t at = place_in(input, random);
    switch (random() % 11) {
        case 0:
            if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << random() % 8));
            return;
        case 1:
            if (at < input.size()) input[at] = static_cast<char>(random());
            return;
        case 2:
            input.insert(at, 1, static_cast<char>(random()));
            return;
        case 3:
            input.erase(at, length(input.size(), random));
            return;
        case 4:
            input.resize(at);
            return;
        case 5: {  // the same piece again, here or a few hundred times
            const std::string piece = input.substr(at, length(64, random));
            const std::size_t times = random() % 16 == 0 ? 300 : 1;
            for (std::size_t i = 0; i < times; ++i)
                input.insert(at, piece);
            return;
        }
        case 6: {  // a piece of another entry, over or into this one
            const std::string& other = corpus[below(corpus.size(), random)];
            const std::string piece =
                other.substr(place_in(other, random), length(other.size(), random));
            input.replace(at, random() % 2 == 0 ? piece.size() : 0, piece);
            return;
        }
        case 7:
        case 8: {
            if (words.empty()) return;
            const std::string_view word = words[below(words.size(), random)];
            input.replace(at, random() % 2 == 0 ? word.size() : 0, word);
            return;
        }
        case 9:
            return attack_integer(input, random);
        default:
            return attack_digits(input, random);
    }
}

}  // namespace

std::string mutated(const std::vector<std::string>& corpus,
                    const std::vector<std::string_view>& words, std::size_t size_max,
                    Random& random) {
    std::string input = corpus[below(corpus.size(), random)];
    for (std::size_t changes = 1 + below(6, random); changes > 0; --changes) {
        change(input, corpus, words, random);
    }
    if (input.size() > size_max) input.resize(size_max);
    return input;
}

}  // namespace sluice::fuzz
