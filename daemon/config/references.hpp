#pragma once
// ${env:NAME}, ${file:/path}, ${file:/path:key} and ${credential:name} in values.

#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/config/document.hpp"

namespace sluice::config {

struct Resolved {
    std::string text;
    std::vector<std::string> parts;  ///< what each reference stood for; empty when there was none
};

/// `text` with its references replaced; what they stand for is not looked at again. "$${" is a literal
/// "${". One trailing newline of a file is dropped; with `:key` the file is read as Java properties.
/// A credential is a file of $CREDENTIALS_DIRECTORY (systemd's LoadCredential=).
/// Errors: `configuration`, naming the reference and never a value. Blocks on files only.
Result<Resolved> resolve_references(std::string_view text);

/// Replaces the references in all scalars below `node` (values, not keys). Failures become findings.
void resolve_references(Node& node, const std::string& path, Findings& findings);

/// The value of `key` in the text of a properties file: '=' or ':' or blanks separate, '#' and '!'
/// begin comments, a backslash joins lines and escapes. The last one counts, as in Java.
std::optional<std::string> find_property(std::string_view properties, std::string_view key);

/// `message` (of librdkafka, of a plugin) with every value of `node`'s references replaced by the
/// reference as written, and, when the option itself is secret, its whole value by "(secret)".
std::string redacted(std::string message, const Node& node, bool is_secret);

}  // namespace sluice::config
