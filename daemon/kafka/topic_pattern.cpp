#include "daemon/kafka/topic_pattern.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace sluice::kafka {
namespace {

constexpr std::size_t pattern_length_max = 1024;
/// Of all counts in braces multiplied: a{10} b{20} is 200. The matcher walks its automaton
/// recursively.
constexpr std::uint64_t repetitions_max = 1000;

// libstdc++'s default matcher backtracks, for years on (a+)+$ and a long name. Its other one does
// not.
#ifdef __GLIBCXX__
constexpr auto syntax =
    std::regex::ECMAScript | std::regex::optimize | std::regex_constants::__polynomial;
#else
constexpr auto syntax = std::regex::ECMAScript | std::regex::optimize;
#endif

std::uint64_t repetitions(std::string_view regex) {
    std::uint64_t product = 1;
    for (std::size_t at = regex.find('{'); at != std::string_view::npos;
         at = regex.find('{', at + 1)) {
        std::uint64_t largest = 1;
        std::uint64_t number = 0;
        for (const char c : regex.substr(at + 1)) {
            if (c >= '0' && c <= '9') {
                number = std::min<std::uint64_t>(number * 10 + static_cast<unsigned>(c - '0'),
                                                 repetitions_max + 1);
                largest = std::max(largest, number);
            } else if (c == ',') {
                number = 0;
            } else {
                break;
            }
        }
        product *= largest;
        if (product > repetitions_max) return product;
    }
    return product;
}

Error bad_pattern(std::string_view regex, std::string_view why) {
    return {ErrorCode::configuration, "subscribePattern '" + std::string(regex.substr(0, 80)) +
                                          (regex.size() > 80 ? "…" : "") +
                                          "': " + std::string(why)};
}

std::string_view describe(std::regex_constants::error_type code) {
    using namespace std::regex_constants;
    if (code == error_brack) return "a [ without its ]";
    // libstdc++ has one code for both.
    if (code == error_paren) return "a ( without its ), or a * + ? or { with nothing before it";
    if (code == error_brace || code == error_badbrace) return "a repetition {…} that is not one";
    if (code == error_range) return "a range in […] that ends before it starts";
    if (code == error_badrepeat) return "a * + ? or { with nothing before it";
    if (code == error_escape) return "an unknown escape after \\";
    if (code == error_ctype || code == error_collate) return "an unknown class [:…:]";
    if (code == error_backref || code == error_complexity) {
        return "back-references such as \\1 can't be used";
    }
    return "too large";
}

}  // namespace

Result<TopicPattern> TopicPattern::compile(const std::string& regex) {
    if (regex.empty()) return bad_pattern(regex, "is empty; '.*' takes every topic");
    if (regex.size() > pattern_length_max) return bad_pattern(regex, "is longer than 1024 bytes");
    if (repetitions(regex) > repetitions_max) {
        return bad_pattern(regex, "repeats too often: all {counts} multiplied are above 1000");
    }
    try {
        return TopicPattern{std::regex(regex, syntax)};
    } catch (const std::regex_error& e) {
        return bad_pattern(regex, describe(e.code()));
    }
}

bool TopicPattern::matches(const std::string& name) const {
    return !is_internal_topic(name) && std::regex_search(name, regex_);
}

bool is_internal_topic(std::string_view name) noexcept {
    static constexpr std::string_view internal[] = {"__consumer_offsets", "__transaction_state",
                                                    "__share_group_state", "__cluster_metadata"};
    return std::find(std::begin(internal), std::end(internal), name) != std::end(internal);
}

}  // namespace sluice::kafka
