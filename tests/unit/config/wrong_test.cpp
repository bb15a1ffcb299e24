// Every file of wrong/ holds a wrong configuration, and in "# expect:" lines at its end all that must
// be said about it, word for word: "line:column: key path: message".

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "tests/unit/config/fake_plugins.hpp"

namespace sluice::config {
namespace {

const std::filesystem::path wrong_dir =
    std::filesystem::path(SLUICE_TEST_SOURCE_DIR) / "tests/unit/config/wrong";
constexpr char password[] = "hunter2-very-secret";
constexpr char user[] = "jane-doe";

std::vector<std::filesystem::path> wrong_files() {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(wrong_dir)) {
        files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

std::vector<std::string> expected_in(const std::filesystem::path& file) {
    static constexpr std::string_view mark = "# expect: ";
    std::vector<std::string> lines;
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
        if (line.starts_with(mark)) lines.push_back(line.substr(mark.size()));
    }
    return lines;
}

/// A finding without the path of this tree: "3:7: pipelines[0].name: …".
std::string relative(const Finding& finding) {
    std::string text = to_string(finding);
    const std::string prefix = wrong_dir.string() + "/";
    for (std::size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix)) {
        text.erase(at, prefix.size());
    }
    const std::string name = std::filesystem::path(finding.file).filename().string();
    if (text.starts_with(name + ": ")) return text.substr(name.size() + 2);
    if (text.starts_with(name + ":")) return text.substr(name.size() + 1);
    return text;
}

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
}

void set_environment() {
    setenv("SLUICE_TEST_PASSWORD", password, 1);
    setenv("SLUICE_TEST_USER", user, 1);
    unsetenv("SLUICE_TEST_NOT_SET");
    unsetenv("CREDENTIALS_DIRECTORY");
    unsetenv("STATE_DIRECTORY");
    unsetenv("RUNTIME_DIRECTORY");
}

}  // namespace

TEST_CASE("a wrong configuration is refused with exactly the messages its file expects") {
    set_environment();
    const auto files = wrong_files();
    REQUIRE(files.size() >= 45);
    for (const std::filesystem::path& file : files) {
        CAPTURE(file.filename().string());
        const std::vector<std::string> expected = expected_in(file);
        CHECK_FALSE(expected.empty());
        const Loaded loaded = load_with_plugins(file, test::options(), test::load_fakes);
        CHECK_FALSE(loaded.config.has_value());
        std::vector<std::string> said;
        for (const Finding& finding : loaded.findings) said.push_back(relative(finding));
        CHECK(joined(said) == joined(expected));
    }
}

TEST_CASE("no message about a wrong configuration holds the value of a reference or a secret") {
    set_environment();
    for (const std::filesystem::path& file : wrong_files()) {
        CAPTURE(file.filename().string());
        const Loaded loaded = load_with_plugins(file, test::options(), test::load_fakes);
        for (const Finding& finding : loaded.findings) {
            const std::string text = to_string(finding);
            CHECK(text.find(password) == std::string::npos);
            CHECK(text.find(user) == std::string::npos);
            CHECK(text.find("my-bad-secret") == std::string::npos);
        }
    }
}

TEST_CASE("to_error joins all errors into one message with the code of a configuration error") {
    const Loaded loaded =
        load_text("a: 1\nb: 2\npipelines: []\n", "x.yaml", test::options(), test::load_fakes);
    const Error error = to_error(loaded);
    CHECK(error.code == ErrorCode::configuration);
    CHECK(std::count(error.message.begin(), error.message.end(), '\n') == 2);
    CHECK(error.message.starts_with("x.yaml:1:1: a: unknown key"));
    CHECK(error.message.ends_with("x.yaml:3:12: pipelines: the list is empty"));
}

}  // namespace sluice::config
