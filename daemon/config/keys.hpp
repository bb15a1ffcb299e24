#pragma once
// The one table of the configuration: each key declared once, with type, default, bounds and a
// sentence. The parser, `did you mean` and the reference page are made from it.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/document.hpp"

namespace sluice::config {

struct Context;

enum class Type { text, boolean, integer, duration, size, choice, path, json, nested };

struct KeyInfo {  // every member has an initializer, so that a row names only what it needs
    std::string_view name = {};
    Type type = Type::text;
    bool required = false;
    bool secret = false;   ///< its value never stands in a message, however it was written
    bool literal = false;  ///< references are refused: the value is an identity that must not vary
    std::optional<std::string_view> default_value = {};  ///< as it would stand in YAML
    std::string_view default_note = {};  ///< for people, where the default is computed
    std::string_view words = {};         ///< separated by '|': all choices, or words besides the number
    std::string_view form = {};          ///< of a nested value: what may stand there, for people
    std::optional<std::int64_t> minimum = {};  ///< integer; milliseconds of a duration; bytes of a size
    std::optional<std::int64_t> maximum = {};
    std::string_view sentence = {};
    std::string_view hint = {};  ///< choice: what to do instead, after any other word
};

/// A value that has passed its key's type and bounds.
struct Value {
    const Node* node = nullptr;  ///< never null
    std::string path;            ///< "pipelines[0].trigger"
    std::string text;            ///< of text, path (absolute), json
    std::string_view word;       ///< the word or choice taken; empty for a number
    std::int64_t number = 0;     ///< integer, milliseconds, bytes
    bool boolean = false;
};

/// One key of a section that is read into a T.
template <class T>
struct Key {
    KeyInfo info;
    void (*set)(Context& context, const Value& value, T& out);
};

/// The tables, from the outside in. Defined beside the code that reads each section.
std::span<const Key<Config>> top_keys();
std::span<const Key<Config>> http_keys();
std::span<const Key<Config>> consumers_keys();
std::span<const Key<Config>> history_keys();
std::span<const Key<Pipeline>> pipeline_keys();
std::span<const Key<Source>> source_keys();
std::span<const Key<AtTimestamp>> timestamp_keys();
std::span<const Key<FromGroup>> group_keys();
std::span<const Key<Trigger>> trigger_keys();
std::span<const Key<Pipeline>> sink_keys();  ///< those that are not a plugin's
std::span<const Key<Errors>> errors_keys();
std::span<const Key<Errors>> dead_letters_keys();
std::span<const Key<Errors>> retry_keys();
std::span<const Key<Errors>> restart_keys();

struct Section {
    std::string_view path;  ///< "pipelines[].source", empty at the top
    std::string_view sentence;
    std::vector<const KeyInfo*> keys;
};

/// All sections in the order of the reference page.
const std::vector<Section>& sections();

/// What to say about a key that other systems have and we do not, or call something else; empty when
/// there is nothing to say. "startingTimestamp" → "write startingOffsets: {timestamp: …}".
std::string_view foreign_key_hint(std::string_view key);

/// The words of "a|b|c".
std::vector<std::string> split_words(std::string_view words);
/// "a, b or c".
std::string one_of(std::span<const std::string> words);
std::string and_list(std::span<const std::string> words);

/// "at least 1", "1 to 1024", "at most 5m"; empty without bounds.
std::string bounds_text(const KeyInfo& key);

}  // namespace sluice::config
