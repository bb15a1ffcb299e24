#include "daemon/config/reader.hpp"

#include <algorithm>

#include "daemon/base/text.hpp"

namespace sluice::config {
namespace {

/// What a key of this type takes, after "expected".
std::string expectation(const KeyInfo& key) {
    std::vector<std::string> words = split_words(key.words);
    switch (key.type) {
        case Type::text: return "text";
        case Type::boolean: return "true or false";
        case Type::integer: words.insert(words.begin(), "a whole number"); break;
        case Type::duration: words.insert(words.begin(), "a duration such as 5s"); break;
        case Type::size: words.insert(words.begin(), "a size such as 64MiB"); break;
        case Type::choice: break;
        case Type::path: return "a path";
        case Type::json:
        case Type::nested: return std::string(key.form);
    }
    return one_of(words);
}

/// The number written in `text`, in the unit of `type`.
std::optional<std::int64_t> parse_number(Type type, std::string_view text) {
    if (type == Type::integer) return parse_int64(text);
    if (type == Type::duration) {
        if (const auto duration = parse_duration(text)) return duration->count();
        return std::nullopt;
    }
    if (const auto size = parse_size(text)) return static_cast<std::int64_t>(*size);
    return std::nullopt;
}

class ScalarReader {
 public:
    ScalarReader(Context& context, const KeyInfo& key, const Node& node, Value& value)
        : context_(context), key_(key), node_(node), value_(value) {}

    bool read() {
        switch (key_.type) {
            case Type::text: value_.text = node_.text; return true;
            case Type::boolean: return read_boolean();
            case Type::integer:
            case Type::duration:
            case Type::size: return read_number();
            case Type::choice:
                return take_word() ||
                       refuse(subject() + " is not accepted: write " + expectation(key_) +
                              (key_.hint.empty() ? nearest_word() : "; " + std::string(key_.hint)));
            case Type::path: return read_path();
            case Type::json:
            case Type::nested: return true;
        }
        return false;
    }

 private:
    [[nodiscard]] std::string subject() const {
        return key_.secret ? std::string("the value") : quoted(node_);
    }

    bool refuse(std::string message) {
        context_.findings.error(node_.at, value_.path, std::move(message));
        return false;
    }

    bool take_word() {
        std::string_view words = key_.words;
        while (!words.empty()) {
            const std::string_view word = words.substr(0, words.find('|'));
            if (word == node_.text) {
                value_.word = word;
                value_.text = node_.text;
                return true;
            }
            words.remove_prefix(std::min(words.size(), word.size() + 1));
        }
        return false;
    }

    [[nodiscard]] std::string nearest_word() const {
        if (key_.secret || node_.raw) return {};
        const std::vector<std::string> words = split_words(key_.words);
        const auto near = nearest(node_.text, words);
        return near ? "; did you mean '" + *near + "'?" : std::string();
    }

    bool read_boolean() {
        value_.boolean = node_.text == "true";
        return value_.boolean || node_.text == "false" ||
               refuse(subject() + " is not accepted: write true or false");
    }

    bool read_number() {
        if (take_word()) return true;
        const auto number = parse_number(key_.type, node_.text);
        if (!number) return refuse(not_a_number());
        value_.number = *number;
        if ((key_.minimum && *number < *key_.minimum) || (key_.maximum && *number > *key_.maximum)) {
            return refuse(subject() + " is out of bounds: " + bounds_text(key_));
        }
        return true;
    }

    [[nodiscard]] std::string not_a_number() const {
        if (!key_.words.empty()) {
            return subject() + " is not accepted: write " + expectation(key_);
        }
        if (key_.type == Type::duration) {
            return subject() + " is not a duration: write a whole number and its unit, such as "
                               "250ms, 5s, 10m, 2h or 31d";
        }
        if (key_.type == Type::size) {
            return subject() + " is not a size: write a whole number and its unit, such as 64KiB, "
                               "512MiB or 1GiB";
        }
        return subject() + " is not a whole number";
    }

    bool read_path() {
        if (node_.text.empty()) return refuse("a path is missing here");
        if (node_.text.find('\0') != std::string::npos) return refuse("a path has no NUL bytes");
        if (node_.text == "~" || node_.text.starts_with("~/")) {
            return refuse(subject() + ": '~' is not replaced here, write the whole path");
        }
        const std::filesystem::path written(node_.text);
        value_.text =
            (context_.findings.directory(node_.at.file) / written).lexically_normal().string();
        // "/srv/x/" and "/srv/x" are one place: compare and print them as one.
        while (value_.text.size() > 1 && value_.text.ends_with('/')) value_.text.pop_back();
        return true;
    }

    Context& context_;
    const KeyInfo& key_;
    const Node& node_;
    Value& value_;
};

/// "pipelines[0].source" as the tables name it: "pipelines[].source".
std::string general_path(std::string_view path) {
    std::string text;
    for (const char c : path) {
        if (c == ']') text.erase(text.rfind('[') + 1);
        text += c;
    }
    return text;
}

/// The section but the one at `path` in which `key` would be known, when it is exactly one.
std::string_view section_of(std::string_view key, const std::string& path) {
    const std::string here = general_path(path);
    std::string_view found;
    for (const Section& section : sections()) {
        if (section.path == here) continue;
        for (const KeyInfo* const info : section.keys) {
            if (info->name != key) continue;
            if (!found.empty()) return {};
            found = section.path.empty() ? std::string_view("the top level") : section.path;
        }
    }
    return found;
}

}  // namespace

void Context::remember_secrets(const Node& node, bool is_secret) {
    for (const std::string& part : node.secret_parts) {
        if (!part.empty()) secrets.push_back(part);
    }
    if (is_secret && node.is_scalar() && !node.text.empty()) secrets.push_back(node.text);
    for (const Node& item : node.items) remember_secrets(item, is_secret);
}

std::optional<Value> read_value(Context& context, const KeyInfo& key, const Node& node,
                                const std::string& path) {
    if (node.is_broken) return std::nullopt;
    Value value;
    value.node = &node;
    value.path = path;
    if (key.type == Type::nested) return value;
    if (key.type == Type::json) {
        value.text = to_json(node);
        return value;
    }
    if (!node.is_scalar()) {
        context.findings.error(
            node.at, path, "expected " + expectation(key) + ", got " + std::string(kind_phrase(node)));
        return std::nullopt;
    }
    if (key.literal && node.raw) {
        context.findings.error(node.at, path,
                               "a name in the checkpoints must not depend on the environment: write "
                               "it out instead of " + quoted(node));
        return std::nullopt;
    }
    if (!ScalarReader(context, key, node, value).read()) return std::nullopt;
    return value;
}

bool expect_map(Context& context, const Node& node, const std::string& path) {
    if (node.is_map()) return true;
    if (!node.is_broken) {
        context.findings.error(node.at, path,
                               "expected a map of keys, got " + std::string(kind_phrase(node)));
    }
    return false;
}

void report_unknown_key(Context& context, const Node::Key& key, const std::string& path,
                        const std::vector<std::string>& known) {
    std::string message = "unknown key";
    const auto near = nearest(key.name, known);
    if (const std::string_view hint = foreign_key_hint(key.name); !hint.empty()) {
        message += "; " + std::string(hint);
    } else if (const std::string_view section = section_of(key.name, path); !section.empty()) {
        message += " here; it belongs to " + std::string(section);
    } else if (near) {
        message += "; did you mean '" + *near + "'?";
    } else {
        message += "; known here: " + and_list(known);
    }
    Node name;
    name.text = key.name;
    context.findings.error(key.at, join_path(path, shown(name)), std::move(message));
}

Limit limit_of(const Value& value) {
    if (value.word == "auto") return Auto{};
    if (value.word == "unlimited") return Unlimited{};
    return value.number;
}

std::vector<std::string> present(const Node& map, std::span<const std::string_view> names) {
    std::vector<std::string> list;
    for (const std::string_view name : names) {
        if (map.find(name) != nullptr) list.emplace_back(name);
    }
    return list;
}

std::optional<std::string> refuse_topic_name(std::string_view name) {
    constexpr std::string_view letters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (name.empty()) return "a topic's name is missing here";
    if (name.size() > 249) return "no topic's name is longer than 249 characters";
    if (name == "." || name == ".." || name.find_first_not_of(letters) != std::string_view::npos) {
        return "not a topic's name: letters, digits, '.', '_' and '-' only";
    }
    return std::nullopt;
}

}  // namespace sluice::config
