// What lies in conf/, and directories as configurations.

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "daemon/config/reference.hpp"
#include "tests/unit/config/fake_plugins.hpp"
#include "tests/unit/config/scratch.hpp"

namespace sluice::config {
namespace {

const std::filesystem::path conf_dir = std::filesystem::path(SLUICE_TEST_SOURCE_DIR) / "conf";

std::string pipeline(const std::string& name) {
    return "pipelines:\n  - name: " + name +
           "\n    source: {kafka.bootstrap.servers: b, subscribe: [x]}\n    sink: {plugin: discard}\n";
}

std::string said_about(const Loaded& loaded) {
    std::string all;
    for (const Finding& finding : loaded.findings) all += to_string(finding) + "\n";
    return all;
}

}  // namespace

TEST_CASE("every example in conf/ is right, without a warning") {
    setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092", 1);
    int examples = 0;
    for (const auto& entry : std::filesystem::directory_iterator(conf_dir)) {
        if (!entry.is_directory() && entry.path().extension() != ".yaml") continue;
        ++examples;
        CAPTURE(entry.path().string());
        const Loaded loaded = load_with_plugins(entry.path(), test::options(), test::load_fakes);
        CHECK(said_about(loaded) == "");
        CHECK(loaded.config.has_value());
    }
    CHECK(examples >= 5);
}

TEST_CASE("conf/REFERENCE.md is what the tables say") {
    std::ifstream stream(conf_dir / "REFERENCE.md", std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    const bool is_current = text.str() == reference_markdown();
    CHECK_MESSAGE(is_current,
                  "conf/REFERENCE.md is stale: cmake --build --preset dev --target conf_reference_page");
}

TEST_CASE("the reference page has a row for each key, with default and bounds") {
    const std::string page = reference_markdown();
    for (const char* const row :
         {"| `workers` | a whole number, 1 to 1024, `auto` | `auto` | ",
          "| `kafka.bootstrap.servers` | text | required | ",
          "| `noMatch` | `fail`, `latest` | `fail` | ", "| `delayMax` | a duration (`5s`), 100ms to 1d "}) {
        CAPTURE(row);
        CHECK(page.find(row) != std::string::npos);
    }
}

TEST_CASE("a plugin's README has a row for each option, with choices, default and bounds") {
    sink::Option table;
    table.name = "table";
    table.required = table.secret = true;
    table.sentence = "Its a|b.";
    sink::Option mode;
    mode.name = "mode";
    mode.type = SLUICE_OPTION_CHOICE;
    mode.choices = {"append", "upsert"};
    mode.default_value = "append";
    sink::Option wait;
    wait.name = "wait";
    wait.type = SLUICE_OPTION_DURATION;
    wait.minimum = 1000;
    wait.maximum = 60'000;
    CHECK(with_option_table("# x\n<!-- options -->\nold\n<!-- end of options -->\nrest\n", {table, mode, wait}) ==
          "# x\n<!-- options -->\n| key | value | default | meaning |\n|---|---|---|---|\n"
          "| `table` | text | required, secret | Its a\\|b. |\n"
          "| `mode` | `append`, `upsert` | `append` |  |\n"
          "| `wait` | a duration (`5s`), 1s to 1m |  |  |\n"
          "<!-- end of options -->\nrest\n");
    CHECK_FALSE(with_option_table("# x\nno place for it\n", {table}));
}

TEST_CASE("the files of a directory are one configuration") {
    const test::Scratch scratch;
    scratch.write("10-a.yaml", "workers: 2\n" + pipeline("a"));
    scratch.write("20-b.yml", pipeline("b"));
    scratch.write("30-off.yaml", "# all of it commented out\n");
    scratch.write(".20-b.yml.swp", "not yaml: [");
    const Loaded loaded = load_with_plugins(scratch.path(), test::options(), test::load_fakes);
    CHECK(said_about(loaded) == (scratch.path() / "30-off.yaml").string() + ": warning: is empty\n");
    REQUIRE(loaded.config);
    CHECK(loaded.config->workers == 2);
    REQUIRE(loaded.config->pipelines.size() == 2);
    CHECK(loaded.config->pipelines[0].name == "a");
    CHECK(loaded.config->pipelines[1].name == "b");
}

TEST_CASE("findings in a directory name their own file, keys that stand twice name both") {
    const test::Scratch scratch;
    const std::string a = scratch.write("a.yaml", "workers: 2\n" + pipeline("same")).string();
    const std::string b = scratch.write("b.yaml", "workers: 3\n" + pipeline("same")).string();
    const std::string c = scratch.write("c.yaml", "workres: 4\n").string();
    const Loaded loaded = load_with_plugins(scratch.path(), test::options(), test::load_fakes);
    CHECK_FALSE(loaded.config);
    CHECK(said_about(loaded) ==
          b + ":1:1: workers: already given in " + a + ":1; only pipelines add up\n" +
          b + ":3:11: pipelines[0].name: the name 'same' is taken by the pipeline in " + a + ":3\n" +
          c + ":1:1: workres: unknown key; did you mean 'workers'?\n");
}

TEST_CASE("a relative path is relative to the file it stands in") {
    const test::Scratch scratch;
    const auto file = scratch.write("deep/s.yaml", "dataDir: ../state\n" + pipeline("a"));
    const Loaded loaded = load_with_plugins(file, test::options(), test::load_fakes);
    REQUIRE(loaded.config);
    CHECK(loaded.config->data_dir == scratch.path() / "state");
}

TEST_CASE("a sink inside dataDir is found behind a symbolic link") {
    const test::Scratch scratch;
    std::filesystem::create_directories(scratch.path() / "state");
    std::filesystem::create_directory_symlink(scratch.path() / "state", scratch.path() / "innocent");
    const auto file = scratch.write(
        "s.yaml", "dataDir: state\npipelines:\n  - name: a\n"
                  "    source: {kafka.bootstrap.servers: b, subscribe: [x]}\n"
                  "    sink: {plugin: file, path: innocent/out}\n");
    const Loaded loaded = load_with_plugins(file, test::options(), test::load_fakes);
    CHECK(said_about(loaded) == file.string() +
                                    ":5:32: pipelines[0].sink.path: 'innocent/out' is inside dataDir: "
                                    "no sink may write among the checkpoints\n");
}

}  // namespace sluice::config
