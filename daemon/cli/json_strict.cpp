#include "daemon/cli/json_strict.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <unordered_set>
#include <utility>
#include <vector>

#include "daemon/base/text.hpp"

namespace sluice::cli {
namespace {

namespace json = boost::json;
using json::error_code;

/// Builds the value as json::parser does, and remembers the keys of every open object.
// The names are those that json::basic_parser calls.
class Handler {
 public:
    static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_string_size = json::string::max_size();
    static constexpr std::size_t max_key_size = json::string::max_size();

    bool on_document_begin(error_code&) {
        stack_.reset();
        return true;
    }
    bool on_document_end(error_code&) { return true; }
    bool on_object_begin(error_code&) {
        keys_.emplace_back();
        return true;
    }
    bool on_object_end(std::size_t count, error_code&) {
        keys_.pop_back();
        stack_.push_object(count);
        return true;
    }
    bool on_array_begin(error_code&) { return true; }
    bool on_array_end(std::size_t count, error_code&) {
        stack_.push_array(count);
        return true;
    }
    bool on_key_part(json::string_view part, std::size_t, error_code&) {
        key_.append(part.data(), part.size());
        stack_.push_chars(part);
        return true;
    }
    bool on_key(json::string_view rest, std::size_t, error_code& ec) {
        key_.append(rest.data(), rest.size());
        stack_.push_key(rest);
        if (!keys_.back().insert(key_).second) {
            repeated_ = std::move(key_);
            ec = json::error::syntax;
            return false;
        }
        key_.clear();
        return true;
    }
    bool on_string_part(json::string_view part, std::size_t, error_code&) {
        stack_.push_chars(part);
        return true;
    }
    bool on_string(json::string_view rest, std::size_t, error_code&) {
        stack_.push_string(rest);
        return true;
    }
    bool on_number_part(json::string_view, error_code&) { return true; }
    bool on_int64(std::int64_t number, json::string_view, error_code&) {
        stack_.push_int64(number);
        return true;
    }
    bool on_uint64(std::uint64_t number, json::string_view, error_code&) {
        stack_.push_uint64(number);
        return true;
    }
    bool on_double(double number, json::string_view, error_code&) {
        stack_.push_double(number);
        return true;
    }
    bool on_bool(bool value, error_code&) {
        stack_.push_bool(value);
        return true;
    }
    bool on_null(error_code&) {
        stack_.push_null();
        return true;
    }
    bool on_comment_part(json::string_view, error_code&) { return true; }
    bool on_comment(json::string_view, error_code&) { return true; }

    const std::string& repeated() const { return repeated_; }
    json::value release() { return stack_.release(); }

 private:
    json::value_stack stack_;
    std::vector<std::unordered_set<std::string>> keys_;
    std::string key_;
    std::string repeated_;
};

Error invalid(std::string message) {
    return {ErrorCode::invalid_argument, std::move(message)};
}

}  // namespace

Result<json::value> parse_strictly(std::string_view text, const JsonLimits& limits) {
    if (text.size() > limits.bytes_max) {
        return invalid("the input is " + format_size(text.size()) + " long, and at most " +
                       format_size(limits.bytes_max) + " are accepted");
    }
    json::parse_options options;
    options.max_depth = limits.depth_max;
    json::basic_parser<Handler> parser(options);
    error_code ec;
    const std::size_t read = parser.write_some(false, text.data(), text.size(), ec);
    const Handler& handler = parser.handler();
    if (ec && !handler.repeated().empty()) {
        return invalid("key " + shown(handler.repeated()) +
                       " appears twice in one object; each key is accepted once");
    }
    if (ec == json::error::too_deep) {
        return invalid("the input is nested too deep: at most " + std::to_string(limits.depth_max) +
                       " levels of objects and arrays are accepted");
    }
    if (ec) {
        return invalid("not JSON at byte " + std::to_string(read) + ": " + ec.message());
    }
    const auto rest = text.substr(read).find_first_not_of(" \t\r\n");
    if (rest != std::string_view::npos) {
        return invalid("not JSON at byte " + std::to_string(read + rest) +
                       ": something follows the end of the object");
    }
    return parser.handler().release();
}

std::string shown(std::string_view text) {
    constexpr std::size_t shown_max = 64;
    if (text.size() <= shown_max) return json_quoted(text);
    // Not in the middle of a character.
    std::size_t end = shown_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
        --end;
    return json_quoted(text.substr(0, end)) + "…";
}

}  // namespace sluice::cli
