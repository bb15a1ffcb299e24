#pragma once
// What must not be shown: values of secrets, kept so that texts of others (librdkafka, plugins) can be
// cleaned where they enter. Our own texts never have one in them. Safe for concurrent calls.

#include <span>
#include <string>

namespace sluice::secrets {

/// Shorter ones are not looked for: they would be found everywhere, and keep nobody out.
inline constexpr std::size_t bytes_min = 4;
/// Beyond, the oldest are forgotten: passwords are changed while the process runs.
inline constexpr std::size_t kept_max = 4096;

/// Remembers `values` for as long as the process runs, old ones too: an error may still quote them.
void keep(std::span<const std::string> values);

/// `text` with every secret in it replaced by "(secret)", the longest first.
std::string redacted(std::string text);

}  // namespace sluice::secrets
