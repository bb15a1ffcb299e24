#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "daemon/config/references.hpp"
#include "tests/unit/config/fake_plugins.hpp"
#include "tests/unit/config/scratch.hpp"

namespace sluice::config {
namespace {

std::string resolved(std::string_view text) {
    const auto result = resolve_references(text);
    REQUIRE(result);
    return result->text;
}

bool holds(const std::vector<std::string>& list, const std::string& text) {
    return std::find(list.begin(), list.end(), text) != list.end();
}

}  // namespace

TEST_CASE("references are replaced anywhere in a value, once") {
    setenv("SLUICE_TEST_A", "alpha", 1);
    setenv("SLUICE_TEST_B", "${env:SLUICE_TEST_A}", 1);
    setenv("SLUICE_TEST_EMPTY", "", 1);
    CHECK(resolved("x${env:SLUICE_TEST_A}y${env:SLUICE_TEST_A}") == "xalphayalpha");
    CHECK(resolved("${env:SLUICE_TEST_B}") == "${env:SLUICE_TEST_A}");
    CHECK(resolved("${env:SLUICE_TEST_EMPTY}") == "");
    CHECK(resolved("$${env:SLUICE_TEST_A} costs $5 $") == "${env:SLUICE_TEST_A} costs $5 $");
    CHECK(resolved("^orders-[0-9]+$") == "^orders-[0-9]+$");
}

TEST_CASE("a file gives its content without one newline at its end") {
    const test::Scratch scratch;
    const auto file = scratch.write("secret", "two\nlines\n\n").string();
    CHECK(resolved("${file:" + file + "}") == "two\nlines\n");
    scratch.write("secret", "no newline");
    CHECK(resolved("${file:" + file + "}") == "no newline");
    scratch.write("secret", "dos\r\n");
    CHECK(resolved("${file:" + file + "}") == "dos");
}

TEST_CASE("a file and a key give a property of a properties file") {
    const test::Scratch scratch;
    const auto file = scratch.write("a.properties", "user = jane\npassword=p\n").string();
    CHECK(resolved("${file:" + file + ":password}") == "p");
    constexpr std::string_view text =
        "# comment\n! comment\n\nplain=a b \nspaced   =  c\ncolon: d\nblank e f\nempty=\nalone\n"
        "long = one \\\n   two\\\n three\nesc\\=aped\\ key = x\\ty\\\\z\\n\nlast=1\nlast=2\r\n";
    CHECK(find_property(text, "plain") == "a b ");
    CHECK(find_property(text, "spaced") == "c");
    CHECK(find_property(text, "colon") == "d");
    CHECK(find_property(text, "blank") == "e f");
    CHECK(find_property(text, "empty") == "");
    CHECK(find_property(text, "alone") == "");
    CHECK(find_property(text, "long") == "one twothree");
    CHECK(find_property(text, "esc=aped key") == "x\ty\\z\n");
    CHECK(find_property(text, "last") == "2");
    CHECK_FALSE(find_property(text, "comment"));
    CHECK_FALSE(find_property("a\\", "b"));
}

TEST_CASE("a credential is a file of systemd's directory") {
    const test::Scratch scratch;
    scratch.write("kafka", "geheim\n");
    setenv("CREDENTIALS_DIRECTORY", scratch.path().c_str(), 1);
    CHECK(resolved("${credential:kafka}") == "geheim");
    CHECK_FALSE(resolve_references("${credential:other}"));
    unsetenv("CREDENTIALS_DIRECTORY");
}

TEST_CASE("a value that is no text is refused without being shown") {
    const test::Scratch scratch;
    const auto nul = scratch.write("nul", std::string_view("ab\0cd", 5)).string();
    const auto binary = scratch.write("binary", "\xFF\xFE\x80").string();
    const auto large = scratch.write("large", std::string((1U << 20) + 1, 'x')).string();
    const auto refusal = [](const std::string& file) {
        const auto result = resolve_references("${file:" + file + "}");
        REQUIRE_FALSE(result);
        return result.error().message;
    };
    CHECK(refusal(nul) == "${file:" + nul + "}: its value has a NUL byte");
    CHECK(refusal(binary) == "${file:" + binary + "}: its value is not UTF-8");
    CHECK(refusal(large) == "${file:" + large + "}: the file is longer than 1 MiB");
    CHECK(refusal(scratch.path().string()) ==
          "${file:" + scratch.path().string() + "}: cannot be read: not a file");
}

TEST_CASE("values of references reach the configuration and its list of secrets") {
    const test::Scratch scratch;
    const auto file = scratch.write("password", "geheim-1\n").string();
    setenv("SLUICE_TEST_USER", "jane", 1);
    setenv("SLUICE_TEST_WORKERS", "3", 1);
    const Loaded loaded = load_text(
        "workers: ${env:SLUICE_TEST_WORKERS}\npipelines:\n  - name: a\n    source:\n"
        "      kafka.bootstrap.servers: b\n      subscribe: [x]\n"
        "      kafka.sasl.username: ${env:SLUICE_TEST_USER}-x\n"
        "      kafka.sasl.password: ${file:" + file + "}\n"
        "      kafka.ssl.key.password: written-out\n"
        "    sink: {plugin: database, url: 'db://${env:SLUICE_TEST_USER}', password: clear-2, "
        "columns: ['${env:SLUICE_TEST_USER}']}\n",
        "/etc/sluice/sluice.yaml", test::options(), test::load_fakes);
    for (const Finding& finding : loaded.findings) MESSAGE(to_string(finding));
    REQUIRE(loaded.config);
    CHECK(loaded.config->workers == 3);
    const Source& source = loaded.config->pipelines[0].source;
    CHECK(source.kafka.at("sasl.username") == "jane-x");
    CHECK(source.kafka.at("sasl.password") == "geheim-1");
    CHECK(source.kafka_references ==
          std::map<std::string, std::string>{{"sasl.password", "${file:" + file + "}"},
                                             {"sasl.username", "${env:SLUICE_TEST_USER}-x"}});
    const Sink& sink = loaded.config->pipelines[0].sink;
    CHECK(sink.settings.at("url") == "db://jane");
    CHECK(sink.settings.at("columns") == R"(["jane"])");
    const std::vector<std::string>& secrets = loaded.config->secrets;
    for (const char* const secret : {"jane", "geheim-1", "written-out", "clear-2"}) {
        CAPTURE(secret);
        CHECK(holds(secrets, secret));
    }
    CHECK_FALSE(holds(secrets, "3"));  // a number would be blotted out of every message

    SUBCASE("and are read again at reconnect") {
        scratch.write("password", "geheim-2\n");
        const auto again = resolve_again(source);
        REQUIRE(again);
        CHECK(again->properties.at("sasl.password") == "geheim-2");
        CHECK(again->properties.at("sasl.username") == "jane-x");
        CHECK(again->properties.at("bootstrap.servers") == "b");
        CHECK(holds(again->secrets, "geheim-2"));
    }
    SUBCASE("and a file that is gone then is an error that may pass") {
        std::filesystem::remove(file);
        const auto again = resolve_again(source);
        REQUIRE_FALSE(again);
        CHECK(again.error().retriable);
        CHECK(again.error().message ==
              "kafka.sasl.password: ${file:" + file + "}: cannot be read: No such file or directory");
    }
}

TEST_CASE("what others say about a value is freed of it") {
    Node node;
    node.kind = Node::Kind::scalar;
    node.text = "user:pass";
    node.raw = "${env:U}:${env:P}";
    node.secret_parts = {"user", "pass"};
    CHECK(redacted("'user:pass' is bad, pass more so", node, false) ==
          "'${env:U}:${env:P}' is bad, (secret) more so");
    Node literal;
    literal.kind = Node::Kind::scalar;
    literal.text = "abc";
    CHECK(redacted("abc is short", literal, true) == "(secret) is short");
    CHECK(redacted("abc is short", literal, false) == "abc is short");
}

}  // namespace sluice::config
