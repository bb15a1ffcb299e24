// What the loader answers to plugins, good and bad; files that are none are in files_test.cpp.

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/sink/plugin.hpp"
#include "daemon/sink/record.hpp"

using namespace sluice;
using namespace sluice::sink;
namespace fs = std::filesystem;

namespace {

fs::path plugin_file(std::string_view name) {
    return fs::path(SLUICE_TEST_PLUGIN_DIR) / (std::string(name) + ".so");
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

struct Refusal {
    const char* name;
    const char* what;
    const char* remedy;
};

sluice_bytes bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// One record with one header, as kafka/ will hand them over.
struct RecordWithHeader {
    RecordHandle handle{[](const RecordHandle*) noexcept -> sluice_headers {
        static const sluice_header header{SLUICE_STRING("trace"), {nullptr, 0}};
        return {&header, 1};
    }};
};

void run_wrapped(const char* name) {
    CAPTURE(name);
    const auto plugin = load_plugin(plugin_file(name));
    REQUIRE_MESSAGE(plugin.has_value(), plugin.error().message);
    CHECK((*plugin)->guarantee() == Guarantee::idempotent);
    CHECK_FALSE((*plugin)->ordered());
    CHECK((*plugin)->options()[0].secret);
    CHECK((*plugin)->options()[1].default_value == "5s");

    CHECK_FALSE((*plugin)->check("p", {{"timeout", "5000"}}));
    CHECK((*plugin)->check("p", {{"timeout", "5000"}}).error().message == "url is missing");
    CHECK((*plugin)->check("p", {{"timeout", "5000"}, {"url", ""}}));
    CHECK((*plugin)->target("p", {{"timeout", "5000"}}).value() == "service/5000");
    CHECK((*plugin)->target("p", {}).value().empty());  // it threw

    const std::atomic<bool> stopping{false};
    const OpenReply no_time = (*plugin)->open({"p", "c", 0, {}}, {{"timeout", "0"}}, stopping);
    CHECK(no_time.reply.status == Status::retry);
    CHECK(no_time.reply.message == "no time");
    const OpenReply opened = (*plugin)->open({"p", "c", 3, "old"}, {{"timeout", "1"}}, stopping);
    REQUIRE(opened.reply.status == Status::ok);
    CHECK(opened.reply.receipt == "first, after old");

    const Range range{"orders", 0, 0, 0, 9, "p/3/0"};
    const Reply again = opened.sink->begin({3, true, {range}});
    CHECK(again.status == Status::already_committed);
    CHECK(again.receipt == "old");
    REQUIRE(opened.sink->begin({3, false, {range}}).status == Status::ok);
    WriterReply writer = opened.sink->open_writer(range);
    REQUIRE(writer.reply.status == Status::ok);

    const RecordWithHeader owner;
    sluice_record good{};
    good.value = bytes("x");
    good.handle = &owner.handle;
    sluice_record null_value{};
    sluice_record retry{};
    retry.value = bytes("retry");
    sluice_record fatal{};
    fatal.value = bytes("fatal");

    CHECK(writer.writer->write(std::array{good, good}).status == Status::ok);
    const WriteReply rejected = writer.writer->write(std::array{good, null_value});
    CHECK(rejected.status == Status::reject);
    REQUIRE(rejected.rejects.size() == 1);
    CHECK(rejected.rejects[0].index == 1);
    CHECK(rejected.rejects[0].reason == "null value");
    CHECK(writer.writer->write(std::array{retry}).message == "the record says retry");
    CHECK(writer.writer->write(std::array{fatal}).status == Status::fatal);
    CHECK(writer.writer->close(true).status == Status::ok);
    const Reply committed = opened.sink->commit(3);
    CHECK(committed.status == Status::ok);
    CHECK(committed.receipt == "18");  // three records, and "trace" three times
}

}  // namespace

TEST_CASE("a plugin that keeps to sink.h loads, with its options copied") {
    const auto plugin = load_plugin(plugin_file("good"));
    REQUIRE_MESSAGE(plugin.has_value(), plugin.error().message);
    CHECK((*plugin)->name() == "good");
    CHECK((*plugin)->version() == "1.0");
    CHECK((*plugin)->file() == fs::canonical(plugin_file("good")));
    CHECK((*plugin)->guarantee() == Guarantee::at_least_once);
    REQUIRE((*plugin)->options().size() == 2);
    CHECK((*plugin)->options()[0].choices == std::vector<std::string>{"red", "green"});
    CHECK((*plugin)->check("p", {}));  // it has no check() of its own
}

TEST_CASE("the same file is the same plugin") {
    const auto first = load_plugin(plugin_file("good"));
    const auto second =
        load_plugin(fs::path(SLUICE_TEST_PLUGIN_DIR) / ".." / "plugins" / "good.so");
    REQUIRE(first);
    REQUIRE(second);
    CHECK(first->get() == second->get());
}

TEST_CASE("tables that are longer than ours load; their tails and unknown flags are ignored") {
    const auto plugin = load_plugin(plugin_file("longer_tables"));
    REQUIRE_MESSAGE(plugin.has_value(), plugin.error().message);
    CHECK((*plugin)->ordered());
    REQUIRE((*plugin)->options().size() == 2);
    CHECK((*plugin)->options()[0].name == "color");
    CHECK_FALSE((*plugin)->options()[0].required);
    CHECK((*plugin)->options()[1].name == "speed");  // found by the plugin's own stride
    CHECK((*plugin)->options()[1].maximum == 9);
    const std::atomic<bool> stopping{false};
    CHECK((*plugin)->open({"p", "c", 0, {}}, {}, stopping).reply.status == Status::ok);
}

TEST_CASE("a plugin that breaks sink.h is refused with what is wrong and what to do") {
    const Refusal refusals[] = {
        {"no_symbol", "exports no sluice_sink_plugin_v1()", "SLUICE_EXPORT"},
        {"variable", "is not a function", "declare it as sink.h does"},
        {"only_v2", "needs sink ABI 2", "install a newer sluice"},
        {"unresolved", "undefined symbol: nobody_has_this",
         "link the plugin with the library that has it"},
        {"null_table", "returned NULL", "returns the plugin's constant table"},
        {"small_table", "struct_size is 80", "sizeof(sluice_sink_plugin)"},
        {"older_abi", "was built for sink ABI 0", "get a newer release of the plugin"},
        {"newer_abi", "needs sink ABI 2", "install a newer sluice"},
        {"null_api", "api is NULL", "point it to"},
        {"small_api", "struct_size of its api is 72", "sizeof(sluice_sink_api)"},
        {"null_commit", "has no commit()", "only check(), guarantee() and target() may be NULL"},
        {"other_name", "calls itself 'somebody_else', and its file says 'other_name'",
         "rename the file to somebody_else.so"},
        {"null_name", "its name is at NULL but has 5 bytes", "SLUICE_STRING"},
        {"bad_text", "its name is not valid UTF-8", ""},
        {"bad_guarantee", "guarantee 3 is unknown", "SLUICE_AT_LEAST_ONCE"},
        {"null_options", "counts 2 options and has no table of them", "option_count to 0"},
        {"small_option", "option_size of 80 is below the 88", "sizeof(sluice_option)"},
        {"bad_type", "option 'color' has the unknown type 8", "SLUICE_OPTION_"},
        {"bad_default", "option 'color' has a default that does not fit its type: 'blue'",
         "choices"},
        {"bad_option_name", "option 'two-words' is not camelCase", "letters and digits"},
        {"option_twice", "option 'shade' is there twice", "remove one"}};
    for (const Refusal& refusal : refusals) {
        CAPTURE(refusal.name);
        const auto plugin = load_plugin(plugin_file(refusal.name));
        REQUIRE_FALSE(plugin);
        const Error& error = plugin.error();
        CAPTURE(error.message);
        CHECK(error.code == ErrorCode::configuration);
        CHECK(contains(error.message, plugin_file(refusal.name).string()));
        CHECK(contains(error.message, refusal.what));
        CHECK(contains(error.message, refusal.remedy));
        CHECK(std::count(error.message.begin(), error.message.end(), '\n') == 0);
        // A second try answers the same, although the dynamic loader now has it in memory.
        CHECK(load_plugin(plugin_file(refusal.name)).error().message == error.message);
    }
}

TEST_CASE("load_plugins lists the broken ones beside the others") {
    const auto found = load_plugins(SLUICE_TEST_PLUGIN_DIR);
    REQUIRE(found);
    CHECK(found->plugins.contains("good"));
    CHECK(found->plugins.contains("longer_tables"));
    CHECK(found->plugins.contains("wrapped_cpp17"));
    CHECK(found->plugins.contains("wrapped_cpp20"));
    CHECK(found->plugins.size() == 4);
    CHECK(found->broken.size() == 21);
    CHECK(contains(found->broken.at("null_api.so").message, "api is NULL"));
}

TEST_CASE("the plugins of this tree load, and promise what their README says") {
    const auto found = load_plugins(fs::path(SLUICE_TEST_BINARY_DIR) / "lib" / "sluice");
    REQUIRE_MESSAGE(found.has_value(), found.error().message);
    for (const auto& [file, error] : found->broken)
        FAIL_CHECK(file << ": " << error.message);
    REQUIRE(found->plugins.contains("stdout"));
    REQUIRE(found->plugins.contains("discard"));
    CHECK(found->plugins.at("stdout")->ordered());
    CHECK(found->plugins.at("stdout")->guarantee() == Guarantee::at_least_once);
    CHECK(found->plugins.at("discard")->guarantee() == Guarantee::at_least_once);
    CHECK(found->plugins.at("discard")->options().empty());
}

TEST_CASE("a sink over sink.hpp works, built as C++17 and as C++20") {
    run_wrapped("wrapped_cpp17");
    run_wrapped("wrapped_cpp20");
}

TEST_CASE("plugins of earlier releases still load") {
    const fs::path frozen = fs::path(SLUICE_TEST_SOURCE_DIR) / "tests" / "abi" / "frozen";
    REQUIRE(fs::exists(frozen / "README.md"));
    for (const auto& entry : fs::recursive_directory_iterator(frozen)) {
        if (entry.path().extension() != ".so") continue;
        const auto plugin = load_plugin(entry.path());
        if (!plugin && contains(plugin.error().message, "it is built for ")) continue;
        CHECK_MESSAGE(plugin.has_value(), plugin.error().message);
    }
}
