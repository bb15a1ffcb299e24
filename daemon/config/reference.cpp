#include "daemon/config/reference.hpp"

#include <algorithm>

#include "daemon/config/keys.hpp"
#include "daemon/config/sections.hpp"

namespace sluice::config {
namespace {

/// A cell of a Markdown table: its '|' escaped.
std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '|') out += '\\';
        out += c;
    }
    return out;
}

std::string code(std::string_view text) { return "`" + std::string(text) + "`"; }

/// "a whole number, 1 to 1024, `auto`".
std::string value_text(const KeyInfo& key) {
    std::string text;
    switch (key.type) {
        case Type::text: text = "text"; break;
        case Type::boolean: text = "`true`, `false`"; break;
        case Type::integer: text = "a whole number"; break;
        case Type::duration: text = "a duration (`5s`)"; break;
        case Type::size: text = "a size (`64MiB`)"; break;
        case Type::choice: break;
        case Type::path: text = "a path"; break;
        case Type::json:
        case Type::nested: text = std::string(key.form); break;
    }
    if (const std::string bounds = bounds_text(key); !bounds.empty()) text += ", " + bounds;
    for (const std::string& word : split_words(key.words)) {
        if (!text.empty()) text += ", ";
        text += code(word);
    }
    return text;
}

std::string default_text(const KeyInfo& key) {
    if (key.required) return key.secret ? "required, secret" : "required";
    if (key.secret) return "secret";
    if (key.default_value && *key.default_value != "{}") return code(*key.default_value);
    return std::string(key.default_note);
}

constexpr std::string_view table_head =
    "| key | value | default | meaning |\n|---|---|---|---|\n";

std::string row(const KeyInfo& key) {
    return "| " + code(key.name) + " | " + cell(value_text(key)) + " | " + cell(default_text(key)) +
           " | " + cell(key.sentence) + " |\n";
}

}  // namespace

std::optional<std::string> with_option_table(std::string_view readme,
                                             const std::vector<sink::Option>& options) {
    static constexpr std::string_view begin = "<!-- options -->\n";
    static constexpr std::string_view end = "<!-- end of options -->\n";
    const std::size_t from = readme.find(begin);
    const std::size_t until = readme.find(end);
    if (from == std::string_view::npos || until == std::string_view::npos || until < from) {
        return std::nullopt;
    }
    std::string page(readme.substr(0, from + begin.size()));
    page += table_head;
    for (const sink::Option& option : options) {
        std::string words;
        KeyInfo key = key_of(option, words);
        if (option.default_value) key.default_value = *option.default_value;
        page += row(key);
    }
    return page.append(readme.substr(until));
}

std::string reference_markdown() {
    std::string page =
        "# Configuration reference\n\n"
        "Made from the tables that the parser uses (`daemon/config/`); do not edit. How to write it "
        "anew: `README.md` beside it.\n\n"
        "Durations and sizes carry their unit: `250ms`, `5s`, `10m`, `2h`, `31d`; `64KiB`, `512MiB`, "
        "`1GiB`, and `kB`, `MB`, `GB` in powers of ten. Relative paths are relative to the file they "
        "stand in.\n\n"
        "In values, `${env:NAME}`, `${file:/path}` (one newline at its end dropped), "
        "`${file:/path:key}` (a properties file) and `${credential:name}` (systemd) are replaced; "
        "`$${` is a literal `${`.\n";
    for (const Section& section : sections()) {
        page += "\n## " + (section.path.empty() ? std::string("Top level") : code(section.path)) + "\n\n";
        if (!section.path.empty()) page += std::string(section.sentence) + "\n\n";
        page += table_head;
        for (const KeyInfo* const key : section.keys) page += row(*key);
    }
    return page;
}

}  // namespace sluice::config
