#include "plugins/postgres/json_fields.hpp"

#include <algorithm>
#include <cstdint>

#include "plugins/common/json_scanner.hpp"

namespace sluice::plugins::postgres {
namespace {

// All of this runs behind is_json(): the text is valid, so that no end has to be looked for.

const char* skip_space(const char* at) {
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')
        ++at;
    return at;
}

/// From the opening quote to behind the closing one.
const char* skip_string(const char* at) {
    for (++at; *at != '"'; ++at)
        if (*at == '\\') ++at;
    return at + 1;
}

const char* skip_value(const char* at) {
    if (*at == '"') return skip_string(at);
    if (*at != '{' && *at != '[') {
        while (*at != ',' && *at != '}' && *at != ']' && *at != ' ' && *at != '\n' && *at != '\r' &&
               *at != '\t')
            ++at;
        return at;
    }
    std::size_t depth = 0;
    while (true) {
        if (*at == '"') {
            at = skip_string(at);
            continue;
        }
        if (*at == '{' || *at == '[') ++depth;
        if (*at == '}' || *at == ']') --depth;
        ++at;
        if (depth == 0) return at;
    }
}

unsigned hex4(const char* at) {
    unsigned unit = 0;
    for (int i = 0; i < 4; ++i) {
        const char c = at[i];
        const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
        unit = unit * 16 + static_cast<unsigned>(digit);
    }
    return unit;
}

void append_utf8(std::string& out, std::uint32_t point) {
    const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (point < 0x80) {
        put(point);
    } else if (point < 0x800) {
        put(0xC0 | (point >> 6));
        put(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        put(0xE0 | (point >> 12));
        put(0x80 | ((point >> 6) & 0x3F));
        put(0x80 | (point & 0x3F));
    } else {
        put(0xF0 | (point >> 18));
        put(0x80 | ((point >> 12) & 0x3F));
        put(0x80 | ((point >> 6) & 0x3F));
        put(0x80 | (point & 0x3F));
    }
}

}  // namespace

void append_unescaped(std::string& out, std::string_view json_string) {
    const char* at = json_string.data() + 1;
    const char* const end = json_string.data() + json_string.size() - 1;
    while (at != end) {
        const char* const run = at;
        while (at != end && *at != '\\')
            ++at;
        out.append(run, at);
        if (at == end) return;
        const char c = at[1];
        at += 2;
        switch (c) {
            case 'b':
                out += '\b';
                break;
            case 'f':
                out += '\f';
                break;
            case 'n':
                out += '\n';
                break;
            case 'r':
                out += '\r';
                break;
            case 't':
                out += '\t';
                break;
            case 'u': {
                std::uint32_t point = hex4(at);
                at += 4;
                if (point >= 0xD800 && point <= 0xDBFF) {  // a pair, as is_json() has seen to
                    point = 0x10000 + ((point - 0xD800) << 10) + (hex4(at + 2) - 0xDC00);
                    at += 6;
                }
                append_utf8(out, point);
                break;
            }
            default:
                out += c;
        }
    }
}

void FieldTree::add(const std::vector<std::string>& path, std::size_t index) {
    Node* node = &root_;
    for (const std::string& name : path) {
        auto child = std::find_if(node->children.begin(), node->children.end(),
                                  [&](const Node& each) { return each.name == name; });
        if (child == node->children.end()) {
            node->children.push_back({name, {}, {}});
            child = node->children.end() - 1;
        }
        node = &*child;
    }
    node->indexes.push_back(index);
}

bool FieldTree::find(std::string_view text, std::vector<std::string_view>& found,
                     std::string& scratch) const {
    if (!is_json({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()})) return false;
    const char* const at = skip_space(text.data());
    if (*at != '{') return false;
    walk(root_, at, found, scratch);
    return true;
}

void FieldTree::forget(const Node& node, std::vector<std::string_view>& found) {
    for (const std::size_t index : node.indexes)
        found[index] = {};
    for (const Node& child : node.children)
        forget(child, found);
}

const char* FieldTree::walk(const Node& node, const char* at, std::vector<std::string_view>& found,
                            std::string& scratch) {
    at = skip_space(at + 1);
    if (*at == '}') return at + 1;
    while (true) {
        const char* const behind = skip_string(at);
        std::string_view name(at + 1, static_cast<std::size_t>(behind - at) - 2);
        if (name.find('\\') != std::string_view::npos) {
            scratch.clear();
            append_unescaped(scratch, {at, static_cast<std::size_t>(behind - at)});
            name = scratch;
        }
        const Node* wanted = nullptr;
        for (const Node& child : node.children)
            if (child.name == name) wanted = &child;
        at = skip_space(skip_space(behind) + 1);
        const char* const value = at;
        if (wanted != nullptr) forget(*wanted, found);
        at = wanted != nullptr && !wanted->children.empty() && *at == '{'
                 ? walk(*wanted, at, found, scratch)
                 : skip_value(at);
        if (wanted != nullptr) {
            for (const std::size_t index : wanted->indexes)
                found[index] = {value, static_cast<std::size_t>(at - value)};
        }
        at = skip_space(at);
        if (*at == '}') return at + 1;
        at = skip_space(at + 1);
    }
}

}  // namespace sluice::plugins::postgres
