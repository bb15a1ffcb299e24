// Option tables in detail; whole plugins that are wrong are in tests/abi.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/sink/adapter.hpp"
#include "tests/unit/sink/scripted_plugin.hpp"

using namespace sluice;
using namespace sluice::sink;
using namespace sluice::sink::testing;

namespace {

sluice_string str(std::string_view text) {
    return {text.data(), text.size()};
}
constexpr sluice_string none{nullptr, 0};

sluice_option option(std::int32_t type, sluice_string default_value = none,
                     sluice_string choices = none) {
    return {str("size"), type, 0, default_value, choices, str("A sentence."), 0, 0};
}

Result<Descriptor> read(const std::vector<sluice_option>& options) {
    sluice_sink_plugin table = scripted_table();
    table.options = options.data();
    table.option_count = static_cast<std::uint32_t>(options.size());
    return read_table(&table, "scripted");
}

std::string refusal(const sluice_option& wrong) {
    const auto descriptor = read({wrong});
    REQUIRE_FALSE(descriptor);
    CHECK(descriptor.error().code == ErrorCode::configuration);
    return descriptor.error().message;
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_CASE("read_table copies an option with all that is known of it") {
    sluice_option raw = option(SLUICE_OPTION_DURATION, str("5s"));
    raw.flags = SLUICE_OPTION_SECRET;
    raw.minimum = 1;
    raw.maximum = 60'000;
    const auto descriptor = read({raw});
    REQUIRE(descriptor);
    CHECK(descriptor->name == "scripted");
    CHECK(descriptor->ordered);
    CHECK(descriptor->guarantee == Guarantee::idempotent);
    REQUIRE(descriptor->options.size() == 1);
    const Option& copied = descriptor->options[0];
    CHECK(copied.name == "size");
    CHECK(copied.type == SLUICE_OPTION_DURATION);
    CHECK(copied.secret);
    CHECK_FALSE(copied.required);
    CHECK(copied.default_value == "5s");
    CHECK(copied.sentence == "A sentence.");
    CHECK(copied.minimum == 1);
    CHECK(copied.maximum == 60'000);
}

TEST_CASE("a default that a person could set is taken") {
    for (const auto& [type, value] :
         std::vector<std::pair<std::int32_t, std::string_view>>{{SLUICE_OPTION_STRING, ""},
                                                                {SLUICE_OPTION_INT, "-7"},
                                                                {SLUICE_OPTION_BOOL, "false"},
                                                                {SLUICE_OPTION_DURATION, "250ms"},
                                                                {SLUICE_OPTION_SIZE, "64MiB"},
                                                                {SLUICE_OPTION_PATH, "out"},
                                                                {SLUICE_OPTION_JSON, "{a: 1}"}}) {
        CAPTURE(type);
        CHECK(read({option(type, str(value))}));
        CHECK(read({option(type)}));
    }
    CHECK(read({option(SLUICE_OPTION_CHOICE, str("b"), str("a|b"))}));
}

TEST_CASE("a default that nobody could set is refused") {
    for (const auto& [type, value] :
         std::vector<std::pair<std::int32_t, std::string_view>>{{SLUICE_OPTION_INT, "7s"},
                                                                {SLUICE_OPTION_INT, ""},
                                                                {SLUICE_OPTION_BOOL, "yes"},
                                                                {SLUICE_OPTION_DURATION, "5000"},
                                                                {SLUICE_OPTION_SIZE, "-1"},
                                                                {SLUICE_OPTION_PATH, ""},
                                                                {SLUICE_OPTION_JSON, ""}}) {
        CAPTURE(type);
        CHECK(contains(refusal(option(type, str(value))),
                       "option 'size' has a default that does not fit"));
    }
}

TEST_CASE("a default keeps to the option's own bounds") {
    for (const std::string_view value : {"9", "21"}) {
        sluice_option raw = option(SLUICE_OPTION_INT, str(value));
        raw.minimum = 10;
        raw.maximum = 20;
        CHECK(contains(refusal(raw), "outside its own bounds (10 to 20)"));
    }
    sluice_option upside_down = option(SLUICE_OPTION_SIZE);
    upside_down.minimum = 1;
    CHECK(contains(refusal(upside_down), "minimum above its maximum"));
}

TEST_CASE("required and default exclude each other") {
    sluice_option raw = option(SLUICE_OPTION_STRING, str("x"));
    raw.flags = SLUICE_OPTION_REQUIRED;
    CHECK(contains(refusal(raw), "is required and has a default"));
    raw.default_value = none;
    CHECK(read({raw})->options[0].required);
}

TEST_CASE("choices are there, and each one once") {
    CHECK(contains(refusal(option(SLUICE_OPTION_CHOICE)), "empty choice"));
    CHECK(contains(refusal(option(SLUICE_OPTION_CHOICE, none, str("a||b"))), "empty choice"));
    CHECK(contains(refusal(option(SLUICE_OPTION_CHOICE, none, str("a|b|"))), "empty choice"));
    CHECK(contains(refusal(option(SLUICE_OPTION_CHOICE, none, str("a|b|a"))),
                   "the choice 'a' twice"));
}

TEST_CASE("option names are camelCase, and `plugin` is taken") {
    for (const std::string_view name :
         {"Size", "1size", "max-size", "max_size", "max.size", "größe"}) {
        CAPTURE(name);
        sluice_option raw = option(SLUICE_OPTION_STRING);
        raw.name = str(name);
        CHECK(contains(refusal(raw), "is not camelCase"));
    }
    sluice_option raw = option(SLUICE_OPTION_STRING);
    raw.name = str("plugin");
    CHECK(contains(refusal(raw), "takes the key that names the plugin"));
    raw.name = str("");
    CHECK(contains(refusal(raw), "the name of option 1 is empty"));
    raw.name = str("maxSize2");
    CHECK(read({raw}));
}

TEST_CASE("texts are bounded, and fit to be printed") {
    sluice_option raw = option(SLUICE_OPTION_STRING);
    const std::string long_text(1025, 'x');
    raw.sentence = str(long_text);
    CHECK(contains(refusal(raw), "the sentence of option 'size' has 1025 bytes"));
    raw.sentence = str("two\nlines");
    CHECK(contains(refusal(raw), "control character"));
    raw.sentence = {nullptr, 3};
    CHECK(contains(refusal(raw), "is at NULL but has 3 bytes"));
}

TEST_CASE("an option table has a bound, so that a wrong count reads nothing") {
    sluice_sink_plugin table = scripted_table();
    const sluice_option one = option(SLUICE_OPTION_STRING);
    table.options = &one;
    table.option_count = 0xFFFFFFFF;
    CHECK(contains(read_table(&table, "scripted").error().message, "256 are allowed"));
}

TEST_CASE("every function but check(), guarantee() and target() is required") {
    sluice_sink_api api = scripted_api();
    sluice_sink_plugin table = scripted_table();
    table.api = &api;
    const auto refused_without = [&](auto member, const std::string& name) {
        api = scripted_api();
        api.*member = nullptr;
        CHECK(contains(read_table(&table, "scripted").error().message, "has no " + name + "()"));
    };
    refused_without(&sluice_sink_api::open, "open");
    refused_without(&sluice_sink_api::close, "close");
    refused_without(&sluice_sink_api::begin, "begin");
    refused_without(&sluice_sink_api::abort, "abort");
    refused_without(&sluice_sink_api::writer_open, "writer_open");
    refused_without(&sluice_sink_api::writer_write, "writer_write");
    refused_without(&sluice_sink_api::writer_close, "writer_close");
    refused_without(&sluice_sink_api::commit, "commit");
    api = scripted_api();
    api.check = nullptr;
    api.guarantee = nullptr;
    api.target = nullptr;
    CHECK(read_table(&table, "scripted"));
}

TEST_CASE("a function that an older plugin's table does not cover is not called") {
    sluice_sink_api api = scripted_api();
    api.struct_size = offsetof(sluice_sink_api, guarantee);
    sluice_sink_plugin table = scripted_table();
    table.api = &api;
    const auto descriptor = read_table(&table, "scripted");
    REQUIRE(descriptor);
    CHECK_FALSE(bool(descriptor->api.guarantee));
    CHECK(guarantee_with(*descriptor, {}) == Guarantee::idempotent);
    CHECK_FALSE(bool(descriptor->api.target));
    const auto target = target_with(*descriptor, "p", {});
    REQUIRE(target);
    CHECK(target->empty());
}
