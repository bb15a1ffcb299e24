// What no editor writes: every input ends in findings, none in a crash, an exception or a long wait.

#include <doctest/doctest.h>

#include <random>

#include "daemon/config/document.hpp"
#include "tests/unit/config/fake_plugins.hpp"
#include "tests/unit/config/scratch.hpp"

namespace sluice::config {
namespace {

using namespace std::string_literals;

std::string said_about(const std::string& text) {
    const Loaded loaded = load_text(text, "x.yaml", test::options(), test::load_fakes);
    CHECK_FALSE(loaded.config);
    std::string all;
    for (const Finding& finding : loaded.findings) all += to_string(finding) + "\n";
    return all;
}

constexpr char right[] =
    "pipelines:\n  - name: a\n    source: {kafka.bootstrap.servers: b, subscribe: [x]}\n"
    "    sink: {plugin: discard}\n";

}  // namespace

TEST_CASE("an empty file is refused by its name") {
    CHECK(said_about("") == "x.yaml: is empty: a configuration has at least 'pipelines'\n");
    CHECK(said_about("\n\n") == "x.yaml: is empty: a configuration has at least 'pipelines'\n");
}

TEST_CASE("bytes that are no text are refused with their place") {
    CHECK(said_about("a: 1\nb: \0"s) == "x.yaml:2:4: a NUL byte: this is not a text file\n");
    CHECK(said_about("a: \x1B[0m") == "x.yaml:1:4: a control character: this is not a text file\n");
    CHECK(said_about("a: ä\nb: \xC3(") == "x.yaml:2:4: a byte that is not UTF-8\n");
    CHECK(said_about("\xFF\xFEp\0i\0"s) == "x.yaml:1:1: is UTF-16: save it as UTF-8\n");
    CHECK(said_about("\x7F" "ELF\2\1\1\0"s) ==
          "x.yaml:1:1: a control character: this is not a text file\n");
}

TEST_CASE("a key can neither command the terminal nor fill the log") {
    CHECK(said_about("\"a\\e[31m\\n\\u009b\": 1\n"s + right).starts_with(
        "x.yaml:1:1: a?[31m\\n?: unknown key"));
    const std::string said = said_about(std::string(900, 'k') + ": {}\n" + right);
    CHECK(said.size() < 500);
}

TEST_CASE("a byte order mark of UTF-8 and line ends of DOS change nothing") {
    std::string dos = "\xEF\xBB\xBF";
    for (const char c : std::string(right)) dos += c == '\n' ? "\r\n" : std::string(1, c);
    CHECK(load_text(dos, "x.yaml", test::options(), test::load_fakes).config);
}

TEST_CASE("a file of more than 1 MiB is refused") {
    const std::string text = right + std::string(file_bytes_max, '#');
    CHECK(said_about(text) == "x.yaml: is longer than 1 MiB: no configuration file may be\n");
    const test::Scratch scratch;
    const auto file = scratch.write("large.yaml", text);
    const Loaded loaded = load_with_plugins(file, test::options(), test::load_fakes);
    REQUIRE(loaded.findings.size() == 1);
    CHECK(loaded.findings[0].message == "is longer than 1 MiB: no configuration file may be");
}

TEST_CASE("a quote that is not closed is refused, also where it only swallows the end") {
    CHECK(said_about(right + "dataDir: \"/tmp\n"s) == "x.yaml:5:10: a quote that is not closed\n");
    CHECK(said_about(right + "dataDir: '/tmp''\n"s) == "x.yaml:5:10: a quote that is not closed\n");
}

TEST_CASE("deep nesting is refused, however it comes about") {
    CHECK(said_about("a: " + std::string(1000, '[') + std::string(1000, ']')) ==
          "x.yaml:1:67: more than 64 levels inside each other\n");
    CHECK(said_about("a: " + std::string(100'000, '[')).find("64 levels") != std::string::npos);
    CHECK(said_about("a: " + std::string(300'000, '{')).find("64 levels") != std::string::npos);
    std::string dashes;
    for (int i = 0; i < 50'000; ++i) dashes += "- ";
    CHECK(said_about(dashes).find("64 levels") != std::string::npos);
    const std::string forty(40, '[');
    const std::string closed(40, ']');
    CHECK(said_about("a: &a " + forty + closed + "\nb: " + forty + "*a" + closed)
              .find("64 levels") != std::string::npos);
}

TEST_CASE("aliases that stand for billions of values are refused at once") {
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 20; ++i) {
        const std::string last = "*a" + std::to_string(i - 1);
        bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
        for (int n = 1; n < 10; ++n) bomb += ", " + last;
        bomb += "]\n";
    }
    CHECK(said_about(bomb).find("with its aliases replaced it has more than a configuration ever "
                                "needs") != std::string::npos);
    std::string wide = "a: &a " + std::string(900'000, 'x') + "\nb: [*a";
    for (int i = 0; i < 10'000; ++i) wide += ",*a";
    CHECK(said_about(wide + "]\n").find("with its aliases replaced") != std::string::npos);
}

TEST_CASE("many findings are counted, not all shown") {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "key" + std::to_string(i) + ": 1\n";
    const Loaded loaded = load_text(text, "x.yaml", test::options(), test::load_fakes);
    REQUIRE(loaded.findings.size() == 201);
    CHECK(loaded.findings.back().message == "and 801 more findings, not shown");
}

TEST_CASE("a file that cannot be read and a directory without files are findings") {
    const test::Scratch scratch;
    const auto missing = (scratch.path() / "missing.yaml").string();
    Loaded loaded = load_with_plugins(missing, test::options(), test::load_fakes);
    REQUIRE(loaded.findings.size() == 1);
    CHECK(to_string(loaded.findings[0]) == missing + ": cannot be read: No such file or directory");
    scratch.write(".hidden.yaml", right);
    scratch.write("notes.txt", right);
    loaded = load_with_plugins(scratch.path(), test::options(), test::load_fakes);
    REQUIRE(loaded.findings.size() == 1);
    CHECK(to_string(loaded.findings[0]) ==
          scratch.path().string() + ": the directory has no *.yaml or *.yml file");
}

TEST_CASE("text that was damaged at random ends in findings or in a configuration") {
    const std::string whole =
        "dataDir: &d /tmp/x\nhttp: {listen: \"127.0.0.1:1\", write: off}\npipelines:\n"
        "  - name: 'a'\n    source:\n      kafka.bootstrap.servers: b\n"
        "      assign: {x: [0, 1], ? y : [2]}\n      startingOffsets: {x: {0: 5}}\n"
        "      kafka.ssl.ca.pem: |\n        one\n        two\n    trigger: !!str once\n"
        "    sink: {plugin: database, url: ${env:HOME}, columns: [*d, ~, 1.5e3]}\n"
        "    errors: >-\n      folded\n# end\n";
    static constexpr std::string_view pieces[] = {
        ":", "-", "? ", "[", "]", "{", "}", ",", "&a ", "*a ", "!t ", "!!str ", "|\n", ">\n", "'", "\"",
        "%YAML 1.2\n", "---\n", "...\n", "\n", "  ", "\t", "#", "\\", "${", "${env:A}", "<<", "~", "@",
        "`", "\r", "\xC3\xA9", "\xE2\x80\xA8", "\xC2\x85", "%TAG ! tag:x:\n", "!<x> ", "\"\\x\"", "\"\\u12"};
    std::mt19937 random(20'261'101);
    const auto below = [&random](std::size_t bound) {
        return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
    };
    for (int round = 0; round < 4000; ++round) {
        std::string text = whole;
        for (std::size_t edits = below(6) + 1; edits > 0; --edits) {
            const std::size_t at = below(text.size());
            switch (below(4)) {
                case 0: text.erase(at, below(12) + 1); break;
                case 1: text.insert(at, pieces[below(std::size(pieces))]); break;
                case 2: text.resize(at + 1); break;
                default: text.insert(at, text.substr(below(text.size()), below(20))); break;
            }
            if (text.empty()) text = "x";
        }
        CAPTURE(round);
        CAPTURE(text);
        const Loaded loaded = load_text(text, "x.yaml", test::options(), test::load_fakes);
        bool has_error = false;
        for (const Finding& finding : loaded.findings) has_error = has_error || finding.is_error;
        CHECK(loaded.config.has_value() == !has_error);
    }
}

}  // namespace sluice::config
