#include <algorithm>

#include "daemon/base/text.hpp"
#include "daemon/config/document.hpp"
#include "tests/fuzz/targets.hpp"
#include "tests/unit/config/fake_plugins.hpp"

namespace sluice::fuzz {
namespace {

/// A finding is one line that a terminal, a journal and a JSON answer can take.
void check_finding(const config::Finding& finding, int lines) {
    const std::string shown = to_string(finding);
    require(!finding.message.empty(), "a finding says something");
    require(is_valid_utf8(shown), "a finding is UTF-8");
    require(std::none_of(shown.begin(), shown.end(),
                         [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }),
            "a finding has no control characters");
    require(shown.size() < 4096, "a finding is short");
    require(finding.line >= 0 && finding.line <= lines, "a finding stands in the file");
    require((finding.line > 0) == (finding.column > 0), "a line comes with its column");
}

}  // namespace

void fuzz_config(Bytes bytes) {
    const std::string_view text = text_of(bytes);
    static const config::LoadOptions options = config::test::options();
    const config::Loaded loaded =
        config::load_text(text, "x.yaml", options, config::test::load_fakes);

    // An unfinished last line counts, and so does the one after it, where an end is missed.
    const int lines = static_cast<int>(std::count(text.begin(), text.end(), '\n') +
                                       std::count(text.begin(), text.end(), '\r')) +
                      2;
    std::size_t errors = 0;
    for (const config::Finding& finding : loaded.findings) {
        check_finding(finding, lines);
        errors += finding.is_error ? 1U : 0U;
    }
    require(loaded.config.has_value() == (errors == 0), "a configuration, or an error");
    if (loaded.config) require(!loaded.config->pipelines.empty(), "a configuration does something");

    config::Findings syntax;
    const std::size_t file = syntax.add_file("x.yaml", "");
    if (config::parse_document(text, file, syntax)) return;
    require(syntax.error_count() > 0, "what cannot be read has an error");
    if (text.size() > config::file_bytes_max) return;  // concerns no line
    // The one that counts those left out has none, when there are very many.
    const auto found = syntax.sorted();
    require(std::any_of(found.begin(), found.end(),
                        [](const config::Finding& finding) { return finding.line > 0; }),
            "a syntax error has its line");
}

}  // namespace sluice::fuzz
