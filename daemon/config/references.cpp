#include "daemon/config/references.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <system_error>

#include "daemon/base/text.hpp"

namespace sluice::config {
namespace {

Error wrong(std::string_view reference, std::string_view why) {
    return Error{ErrorCode::configuration, std::string(reference) + ": " + std::string(why)};
}

Result<std::string> read_value_file(std::string_view reference, const std::filesystem::path& file) {
    std::error_code code;
    if (!std::filesystem::is_regular_file(file, code)) {
        return wrong(reference, code ? "cannot be read: " + code.message()
                                     : std::string("cannot be read: not a file"));
    }
    errno = 0;
    std::ifstream stream(file, std::ios::binary);
    if (!stream) return wrong(reference, std::string("cannot be read: ") + std::strerror(errno));
    std::string text(file_bytes_max + 1, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (stream.bad()) return wrong(reference, "cannot be read: input/output error");
    text.resize(static_cast<std::size_t>(stream.gcount()));
    if (text.size() > file_bytes_max) return wrong(reference, "the file is longer than 1 MiB");
    return text;
}

void drop_trailing_newline(std::string& text) {
    if (text.ends_with('\n')) text.pop_back();
    if (text.ends_with('\r')) text.pop_back();
}

Result<std::string> from_env(std::string_view reference, const std::string& name) {
    if (name.empty()) return wrong(reference, "the name of the environment variable is missing");
    const char* const value = std::getenv(name.c_str());
    if (value == nullptr) {
        return wrong(reference, "the environment variable " + name + " is not set");
    }
    return std::string(value);
}

Result<std::string> from_file(std::string_view reference, std::string_view target) {
    const std::size_t colon = target.rfind(':');
    const std::filesystem::path file = target.substr(0, colon);
    if (!file.is_absolute()) return wrong(reference, "the path must be absolute");
    SLUICE_TRY(std::string text, read_value_file(reference, file));
    if (colon == std::string_view::npos) {
        drop_trailing_newline(text);
        return text;
    }
    const std::string_view key = target.substr(colon + 1);
    auto value = find_property(text, key);
    if (!value) return wrong(reference, "the file has no key '" + std::string(key) + "'");
    return *std::move(value);
}

Result<std::string> from_credential(std::string_view reference, const std::string& name) {
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
        return wrong(reference, "not the name of a credential");
    }
    const char* const directory = std::getenv("CREDENTIALS_DIRECTORY");
    if (directory == nullptr || *directory == '\0') {
        return wrong(reference, "$CREDENTIALS_DIRECTORY is not set: credentials come from systemd, "
                                "by LoadCredential=" + name + ":/path in the unit");
    }
    SLUICE_TRY(std::string text,
               read_value_file(reference, std::filesystem::path(directory) / name));
    drop_trailing_newline(text);
    return text;
}

/// `reference` is "${kind:target}".
Result<std::string> resolve_one(std::string_view reference) {
    const std::string_view inner = reference.substr(2, reference.size() - 3);
    const std::size_t colon = inner.find(':');
    const std::string_view kind = inner.substr(0, colon);
    const std::string_view target =
        colon == std::string_view::npos ? std::string_view() : inner.substr(colon + 1);
    const auto read = [&]() -> Result<std::string> {
        if (kind == "env") return from_env(reference, std::string(target));
        if (kind == "file") return from_file(reference, target);
        if (kind == "credential") return from_credential(reference, std::string(target));
        return wrong(reference, "unknown kind of reference: write ${env:NAME}, ${file:/path} or "
                                "${credential:name}, and $${ for a literal ${");
    };
    SLUICE_TRY(std::string value, read());
    if (value.find('\0') != std::string::npos) return wrong(reference, "its value has a NUL byte");
    if (!is_valid_utf8(value)) return wrong(reference, "its value is not UTF-8");
    return value;
}

}  // namespace

Result<Resolved> resolve_references(std::string_view text) {
    Resolved resolved;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t dollar = text.find('$', at);
        resolved.text += text.substr(at, dollar - at);
        if (dollar == std::string_view::npos) break;
        const std::string_view rest = text.substr(dollar);
        if (rest.starts_with("$${")) {
            resolved.text += "${";
            at = dollar + 3;
        } else if (rest.starts_with("${")) {
            const std::size_t end = rest.find('}');
            if (end == std::string_view::npos) {
                return wrong(rest.substr(0, 40), "the '}' is missing; write $${ for a literal ${");
            }
            SLUICE_TRY(std::string value, resolve_one(rest.substr(0, end + 1)));
            resolved.text += value;
            resolved.parts.push_back(std::move(value));
            at = dollar + end + 1;
        } else {
            resolved.text += '$';
            at = dollar + 1;
        }
    }
    return resolved;
}

void resolve_references(Node& node, const std::string& path, Findings& findings) {
    if (node.is_scalar() && node.text.find("${") != std::string::npos) {
        auto resolved = resolve_references(node.text);
        if (!resolved) {
            node.is_broken = true;
            node.raw = node.text;
            findings.error(node.at, path, resolved.error().message);
            return;
        }
        if (!resolved->parts.empty()) node.raw = node.text;
        node.text = std::move(resolved->text);
        node.secret_parts = std::move(resolved->parts);
    }
    for (std::size_t i = 0; i < node.items.size(); ++i) {
        const std::string inner = node.is_map() ? join_path(path, node.keys[i].name)
                                                : path + "[" + std::to_string(i) + "]";
        resolve_references(node.items[i], inner, findings);
    }
}

namespace {

/// The next logical line: comments and blank lines skipped, lines that end in an odd number of
/// backslashes joined with the next one. nullopt at the end.
std::optional<std::string> next_property_line(std::string_view& text) {
    static constexpr std::string_view blanks = " \t\f\r";
    std::string line;
    bool joined = false;
    while (!text.empty()) {
        std::string_view row = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), row.size() + 1));
        if (row.ends_with('\r')) row.remove_suffix(1);
        row.remove_prefix(std::min(row.find_first_not_of(blanks), row.size()));
        if (!joined && (row.empty() || row.front() == '#' || row.front() == '!')) continue;
        const std::size_t last = row.find_last_not_of('\\');
        const std::size_t backslashes =
            row.size() - (last == std::string_view::npos ? 0 : last + 1);
        joined = backslashes % 2 == 1;
        if (joined) row.remove_suffix(1);
        line += row;
        if (!joined) return line;
    }
    if (joined) return line;
    return std::nullopt;
}

/// Takes one character off `line`, its escape undone.
char next_property_char(std::string_view& line) {
    char c = line.front();
    line.remove_prefix(1);
    if (c != '\\' || line.empty()) return c;
    c = line.front();
    line.remove_prefix(1);
    switch (c) {
        case 'n': return '\n';
        case 't': return '\t';
        case 'r': return '\r';
        case 'f': return '\f';
        default: return c;
    }
}

}  // namespace

std::optional<std::string> find_property(std::string_view properties, std::string_view key) {
    static constexpr std::string_view blanks = " \t\f";
    std::optional<std::string> found;
    while (const auto line = next_property_line(properties)) {
        std::string_view rest = *line;
        std::string name;
        while (!rest.empty() && std::string_view("=: \t\f").find(rest.front()) == std::string_view::npos) {
            name += next_property_char(rest);
        }
        rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
        if (!rest.empty() && (rest.front() == '=' || rest.front() == ':')) rest.remove_prefix(1);
        rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
        if (name != key) continue;
        std::string value;
        while (!rest.empty()) value += next_property_char(rest);
        found = std::move(value);
    }
    return found;
}

std::string redacted(std::string message, const Node& node, bool is_secret) {
    const auto replace_all = [&message](const std::string& from, const std::string& to) {
        if (from.empty()) return;
        for (std::size_t at = message.find(from); at != std::string::npos;
             at = message.find(from, at + to.size())) {
            message.replace(at, from.size(), to);
        }
    };
    for (const Node& inner : node.items) message = redacted(std::move(message), inner, is_secret);
    if (node.raw) replace_all(node.text, shown(node));
    if (is_secret && !node.raw) replace_all(node.text, "(secret)");
    // A part may occur without what is around it; the longest first, so that none hides in another.
    std::vector<std::string> parts = node.secret_parts;
    std::sort(parts.begin(), parts.end(), [](const std::string& a, const std::string& b) {
        return a.size() > b.size();
    });
    for (const std::string& part : parts) replace_all(part, "(secret)");
    return message;
}

}  // namespace sluice::config
