#include "daemon/config/document.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <sstream>
#include <stdexcept>

#include "daemon/base/text.hpp"

namespace sluice::config {
namespace {

/// Ends the parsing of one document; what() is the finding.
struct Refused : std::runtime_error {
    Refused(Position where, const std::string& message) : std::runtime_error(message), at(where) {}
    Position at;
};

struct Extent {
    std::size_t cost = 0;
    std::size_t depth = 0;
};

Extent extent_of(const Node& node) {
    Extent extent{node.text.size() + 64, node.is_map() || node.is_list() ? 1U : 0U};
    for (const Node::Key& key : node.keys) extent.cost += key.name.size() + 64;
    std::size_t deepest = 0;
    for (const Node& item : node.items) {
        const Extent inner = extent_of(item);
        extent.cost += inner.cost;
        deepest = std::max(deepest, inner.depth);
    }
    extent.depth += deepest;
    return extent;
}

/// Builds the tree from yaml-cpp's events. (Its own Node keeps both of two equal keys in silence, and
/// shares the targets of aliases, which hides how much they stand for.)
class Builder : public YAML::EventHandler {
 public:
    Builder(std::string_view text, std::size_t file, Findings& findings)
        : text_(text), file_(file), findings_(findings) {}

    Node take() { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        Node node;
        node.at = position(mark);
        add(std::move(node), anchor);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        Node node;
        node.kind = Node::Kind::scalar;
        node.at = position(mark);
        check_tag(tag, node.at);
        node.text = value;
        node.quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
        check_closed(mark, node.at);
        add(std::move(node), anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto target = anchors_.find(anchor);
        if (target == anchors_.end()) {
            throw Refused(position(mark), "the alias stands inside what it refers to");
        }
        const Extent extent = extent_of(target->second);
        spend(extent.cost, position(mark));
        if (stack_.size() + extent.depth > depth_max) refuse_depth(position(mark));
        place(Node(target->second));
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(Node::Kind::list, mark, tag, anchor);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(Node::Kind::map, mark, tag, anchor);
    }
    void OnMapEnd() override { close(); }

 private:
    struct Frame {
        Node node;
        YAML::anchor_t anchor = 0;
        std::optional<Node::Key> key;  ///< of a map: the key whose value comes next
        bool drop_value = false;       ///< the key was refused, its value goes with it
        std::map<std::string, Position, std::less<>> seen;
    };

    [[nodiscard]] Position position(const YAML::Mark& mark) const {
        return {file_, mark.line + 1, mark.column + 1};
    }

    static void check_tag(const std::string& tag, const Position& at) {
        static constexpr std::string_view core = "tag:yaml.org,2002:";
        if (tag.empty() || tag == "?" || tag == "!") return;
        if (tag.starts_with(core)) {
            const std::string_view name = std::string_view(tag).substr(core.size());
            for (const std::string_view known : {"str", "int", "bool", "float", "null", "map", "seq"}) {
                if (name == known) return;
            }
        }
        throw Refused(at, "the tag '" + tag + "' means nothing here: leave it out");
    }

    /// yaml-cpp takes a quote that is never closed for one that ends with the file.
    void check_closed(const YAML::Mark& mark, const Position& at) const {
        if (mark.pos < 0 || static_cast<std::size_t>(mark.pos) >= text_.size()) return;
        std::string_view rest = text_.substr(static_cast<std::size_t>(mark.pos));
        const char quote = rest.front();
        if (quote != '"' && quote != '\'') return;
        for (std::size_t i = 1; i < rest.size(); ++i) {
            const bool is_doubled = quote == '\'' && rest.substr(i, 2) == "''";
            if (is_doubled || (quote == '"' && rest[i] == '\\')) {
                ++i;
            } else if (rest[i] == quote) {
                return;
            }
        }
        throw Refused(at, "a quote that is not closed");
    }

    [[noreturn]] static void refuse_depth(const Position& at) {
        throw Refused(at, "more than " + std::to_string(depth_max) + " levels inside each other");
    }

    void spend(std::size_t cost, const Position& at) {
        cost_ += cost;
        if (cost_ > document_cost_max) {
            throw Refused(at, "the file stands for too much: with its aliases replaced it has more "
                              "than a configuration ever needs");
        }
    }

    void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
        Frame frame;
        frame.node.kind = kind;
        frame.node.at = position(mark);
        frame.anchor = anchor;
        check_tag(tag, frame.node.at);
        spend(64, frame.node.at);
        if (stack_.size() == depth_max) refuse_depth(frame.node.at);
        stack_.push_back(std::move(frame));
    }

    void close() {
        Frame frame = std::move(stack_.back());
        stack_.pop_back();
        if (frame.anchor != 0) keep_anchor(frame.anchor, frame.node);
        place(std::move(frame.node));
    }

    void add(Node node, YAML::anchor_t anchor) {
        spend(node.text.size() + 64, node.at);
        if (anchor != 0) keep_anchor(anchor, node);
        place(std::move(node));
    }

    void keep_anchor(YAML::anchor_t anchor, const Node& node) {
        spend(extent_of(node).cost, node.at);  // the copy counts too
        anchors_.insert_or_assign(anchor, node);
    }

    void place(Node node) {
        if (stack_.empty()) {
            root_ = std::move(node);
            return;
        }
        Frame& frame = stack_.back();
        if (frame.node.is_list()) {
            frame.node.items.push_back(std::move(node));
        } else if (frame.key) {
            // yaml-cpp places a missing value at whatever comes next.
            if (node.kind == Node::Kind::null) node.at = frame.key->at;
            frame.node.keys.push_back(std::move(*frame.key));
            frame.node.items.push_back(std::move(node));
            frame.key.reset();
        } else if (frame.drop_value) {
            frame.drop_value = false;
        } else {
            take_key(frame, node);
        }
    }

    void take_key(Frame& frame, Node& node) {
        if (!node.is_scalar()) {
            findings_.error(node.at, path(), "a key must be plain text, not " +
                                                 std::string(kind_phrase(node)));
            frame.drop_value = true;
            return;
        }
        const auto [first, is_new] = frame.seen.try_emplace(node.text, node.at);
        if (!is_new) {
            findings_.error(node.at, join_path(path(), node.text),
                            "duplicate key; it was given before in line " +
                                std::to_string(first->second.line));
            frame.drop_value = true;
            return;
        }
        frame.key = Node::Key{std::move(node.text), node.at};
    }

    /// Where the innermost open map or list stands: "pipelines[0].source".
    [[nodiscard]] std::string path() const {
        std::string text;
        for (std::size_t i = 0; i + 1 < stack_.size(); ++i) {
            const Frame& frame = stack_[i];
            if (frame.node.is_list()) {
                text += "[" + std::to_string(frame.node.items.size()) + "]";
            } else if (frame.key) {
                text = join_path(text, frame.key->name);
            }
        }
        return text;
    }

    std::string_view text_;
    std::size_t file_;
    Findings& findings_;
    Node root_;
    std::vector<Frame> stack_;
    std::map<YAML::anchor_t, Node> anchors_;
    std::size_t cost_ = 0;
};

/// Line and column of the byte at `offset`.
Position position_of(std::string_view text, std::size_t offset, std::size_t file) {
    const std::string_view before = text.substr(0, offset);
    const std::size_t newline = before.rfind('\n');
    const std::size_t start = newline == std::string_view::npos ? 0 : newline + 1;
    return {file, static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
            static_cast<int>(offset - start) + 1};
}

/// The first byte that begins no valid UTF-8 sequence. `text` is known to be invalid.
std::size_t first_invalid(std::string_view text) {
    std::size_t low = 0;
    while (low < text.size()) {
        std::size_t length = 1;
        while (length <= 4 && !is_valid_utf8(text.substr(low, length))) ++length;
        if (length > 4) break;
        low += length;
    }
    return low;
}

/// Refuses what is not text before yaml-cpp sees it: it would guess encodings and pass NULs on.
bool check_text(std::string_view text, std::size_t file, Findings& findings) {
    if (text.size() > file_bytes_max) {
        findings.error({file, 0, 0}, {}, "is longer than 1 MiB: no configuration file may be");
        return false;
    }
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
        findings.error({file, 1, 1}, {}, "is UTF-16: save it as UTF-8");
        return false;
    }
    const auto is_control = [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t') ||
               c == '\x7F';
    };
    const auto control = std::find_if(text.begin(), text.end(), is_control);
    if (control != text.end()) {
        const auto offset = static_cast<std::size_t>(control - text.begin());
        findings.error(position_of(text, offset, file), {},
                       std::string(*control == '\0' ? "a NUL byte" : "a control character") +
                           ": this is not a text file");
        return false;
    }
    if (!is_valid_utf8(text)) {
        findings.error(position_of(text, first_invalid(text), file), {}, "a byte that is not UTF-8");
        return false;
    }
    return true;
}

/// The first line up to `line_max` that is indented with a tab: the usual reason for an odd message.
std::optional<Position> tab_indentation(std::string_view text, int line_max, std::size_t file) {
    int line = 1;
    while (!text.empty() && line <= line_max) {
        const std::string_view row = text.substr(0, text.find('\n'));
        const std::size_t indent = row.find_first_not_of(" \t\r");
        if (indent != std::string_view::npos && row[indent] != '#') {
            const std::size_t tab = row.substr(0, indent).find('\t');
            if (tab != std::string_view::npos) return Position{file, line, static_cast<int>(tab) + 1};
        }
        text.remove_prefix(std::min(text.size(), row.size() + 1));
        ++line;
    }
    return std::nullopt;
}

bool is_json_number(std::string_view text) {
    std::size_t at = 0;
    const auto digits = [&] {
        const std::size_t start = at;
        while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
        return at - start;
    };
    if (at < text.size() && text[at] == '-') ++at;
    const std::size_t first = at;
    const std::size_t whole = digits();
    if (whole == 0 || (whole > 1 && text[first] == '0')) return false;
    if (at < text.size() && text[at] == '.') {
        ++at;
        if (digits() == 0) return false;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
        if (digits() == 0) return false;
    }
    return at == text.size();
}

}  // namespace

const Node* Node::find(std::string_view key) const {
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (keys[i].name == key) return &items[i];
    }
    return nullptr;
}

std::string shown(const Node& scalar) {
    static constexpr std::size_t shown_max = 100;
    const std::string& text = scalar.raw ? *scalar.raw : scalar.text;
    std::string out;
    for (const char c : text) {
        // Cut before a character, not inside its bytes.
        if (out.size() >= shown_max && (static_cast<unsigned char>(c) & 0xC0) != 0x80) {
            return out + "…";
        }
        if (c == '\n') {
            out += "\\n";
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += '?';
        } else {
            out += c;
        }
    }
    return out;
}

std::string quoted(const Node& scalar) { return "'" + shown(scalar) + "'"; }

std::string_view kind_phrase(const Node& node) {
    switch (node.kind) {
        case Node::Kind::null: return "nothing";
        case Node::Kind::scalar: return "a single value";
        case Node::Kind::list: return "a list";
        case Node::Kind::map: return "a map";
    }
    return "nothing";
}

std::optional<Node> parse_document(std::string_view text, std::size_t file, Findings& findings) {
    if (!check_text(text, file, findings)) return std::nullopt;
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);

    const std::size_t errors_before = findings.error_count();
    Builder builder(text, file, findings);
    try {
        std::istringstream stream{std::string(text)};
        YAML::Parser parser(stream);
        if (!parser.HandleNextDocument(builder)) return Node{};  // blanks and comments only
        Node root = builder.take();
        Builder rest(text, file, findings);
        if (parser.HandleNextDocument(rest)) {
            const Node second = rest.take();
            if (second.kind != Node::Kind::null) {
                findings.error(second.at, {}, "a second document: a file has one, without '---' inside");
                return std::nullopt;
            }
        }
        if (findings.error_count() > errors_before && !root.is_map()) return std::nullopt;
        return root;
    } catch (const Refused& refused) {
        findings.error(refused.at, {}, refused.what());
    } catch (const YAML::Exception& error) {
        const bool has_mark = !error.mark.is_null();
        const int line = has_mark ? error.mark.line + 1 : 0;
        if (const auto tab = tab_indentation(text, has_mark ? line : INT32_MAX, file)) {
            findings.error(*tab, {}, "a tab in the indentation: YAML takes spaces only");
        } else {
            // yaml-cpp 0.8 adds the name; line and column say it already, and messages are one whatever
            // release they were built with.
            const std::string_view no_anchor = "the referenced anchor is not defined";
            const bool is_anchor = error.msg.starts_with(no_anchor);
            findings.error({file, line, has_mark ? error.mark.column + 1 : 0}, {},
                           "not valid YAML: " + (is_anchor ? std::string(no_anchor) : error.msg));
        }
    } catch (const std::exception& error) {
        findings.error({file, 0, 0}, {}, std::string("cannot be read as YAML: ") + error.what());
    }
    return std::nullopt;
}

Node parse_default(std::string_view text, const Position& at) {
    // Most defaults are one plain word; there are a dozen of them for each pipeline.
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:";
    if (text == "{}" || (!text.empty() && text != "null" &&
                         text.find_first_not_of(plain) == std::string_view::npos)) {
        Node node;
        node.kind = text == "{}" ? Node::Kind::map : Node::Kind::scalar;
        node.at = at;
        if (node.is_scalar()) node.text = text;
        return node;
    }
    Findings ignored;
    ignored.add_file("default", {});
    Node node = parse_document(text, 0, ignored).value_or(Node{});
    // Findings about a default point at the map that lacks the key.
    const auto move_to = [&at](const auto& self, Node& moved) -> void {
        moved.at = at;
        for (Node::Key& key : moved.keys) key.at = at;
        for (Node& item : moved.items) self(self, item);
    };
    move_to(move_to, node);
    return node;
}

std::string to_json(const Node& node) {
    switch (node.kind) {
        case Node::Kind::null: return "null";
        case Node::Kind::scalar: {
            const bool is_word = node.text == "true" || node.text == "false";
            const bool is_plain = !node.quoted && (is_word || is_json_number(node.text));
            return is_plain ? node.text : json_quoted(node.text);
        }
        case Node::Kind::list: {
            std::string out = "[";
            for (const Node& item : node.items) {
                if (out.size() > 1) out += ',';
                out += to_json(item);
            }
            return out + "]";
        }
        case Node::Kind::map: {
            std::string out = "{";
            for (std::size_t i = 0; i < node.keys.size(); ++i) {
                if (i > 0) out += ',';
                out += json_quoted(node.keys[i].name) + ":" + to_json(node.items[i]);
            }
            return out + "}";
        }
    }
    return "null";
}

}  // namespace sluice::config
