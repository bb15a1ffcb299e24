#pragma once
// One YAML document as a tree of our own: every value knows its line and column, duplicate keys are
// found, and what aliases expand to is bounded. Nothing outside document.cpp sees yaml-cpp.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/findings.hpp"

namespace sluice::config {

constexpr std::size_t file_bytes_max = 1U << 20;       ///< of one file
constexpr std::size_t depth_max = 64;                  ///< maps and lists inside each other
constexpr std::size_t document_cost_max = 8U << 20;    ///< bytes of text + 64 a node, aliases expanded

struct Node {
    enum class Kind { null, scalar, list, map };
    struct Key {
        std::string name;
        Position at;
    };

    Kind kind = Kind::null;
    Position at;
    std::string text;     ///< of a scalar, references replaced
    bool quoted = false;  ///< written in quotes or as a block: always text in JSON
    std::vector<Key> keys;    ///< of a map, as written, each once; the value of keys[i] is items[i]
    std::vector<Node> items;  ///< of a list or map

    std::optional<std::string> raw;         ///< the text as written, when it held references
    std::vector<std::string> secret_parts;  ///< what its references were replaced by
    bool is_broken = false;  ///< its reference could not be resolved, which was reported

    [[nodiscard]] bool is_map() const { return kind == Kind::map; }
    [[nodiscard]] bool is_list() const { return kind == Kind::list; }
    [[nodiscard]] bool is_scalar() const { return kind == Kind::scalar; }
    /// The value of a key, or nullptr. Only for maps.
    [[nodiscard]] const Node* find(std::string_view key) const;
};

/// "'text'", as it may stand in a message: the reference instead of its value, cut when it is long.
std::string quoted(const Node& scalar);
/// The same without quotes.
std::string shown(const Node& scalar);
/// "nothing", "a list" …: what stands there, after "got".
std::string_view kind_phrase(const Node& node);

/// The tree of one file's text; nullopt when that is not possible, which was reported. An empty
/// document is a null node. Never throws.
std::optional<Node> parse_document(std::string_view text, std::size_t file, Findings& findings);

/// A value written in our own tables or by a plugin (a default), placed at `at`.
Node parse_default(std::string_view text, const Position& at);

/// The value as JSON text; unquoted true, false, null and numbers stay what they are.
std::string to_json(const Node& node);

}  // namespace sluice::config
