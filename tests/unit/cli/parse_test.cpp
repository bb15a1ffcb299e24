#include <doctest/doctest.h>

#include <set>

#include "daemon/cli/commands.hpp"

namespace sluice::cli {
namespace {

Result<Invocation> parsed(std::vector<std::string> arguments) { return parse(arguments); }

std::string error_of(std::vector<std::string> arguments) {
    const auto result = parse(arguments);
    REQUIRE_FALSE(result);
    CHECK(exit_code(result.error().code) == 64);
    return result.error().message;
}

}  // namespace

TEST_CASE("commands of one and of two words are found, with arguments and options in any order") {
    const auto reset = parsed({"offsets", "--to-datetime", "2026-11-01T08:00:00Z", "reset", "orders", "--json",
                               "orders/0", "--config=/x.yaml"});
    REQUIRE(reset);
    CHECK(reset->command->words == "offsets reset");
    CHECK(reset->arguments == std::vector<std::string>{"orders", "orders/0"});
    CHECK(reset->value("--to-datetime") == "2026-11-01T08:00:00Z");
    CHECK(reset->value("--config") == "/x.yaml");
    CHECK(reset->has("--json"));
    CHECK_FALSE(reset->has("--execute"));
    const auto status = parsed({"status"});
    REQUIRE(status);
    CHECK(status->command->words == "status");
}

TEST_CASE("values may look like options, and -- ends options") {
    const auto shift = parsed({"offsets", "reset", "orders", "--shift-by", "-1000"});
    REQUIRE(shift);
    CHECK(shift->value("--shift-by") == "-1000");
    const auto what_if = parsed({"plan", "--what-if", "-"});
    REQUIRE(what_if);
    CHECK(what_if->value("--what-if") == "-");
    const auto odd = parsed({"pause", "--", "--orders"});
    REQUIRE(odd);
    CHECK(odd->arguments == std::vector<std::string>{"--orders"});
}

TEST_CASE("what is unknown is answered with the nearest name") {
    CHECK(error_of({"statsu"}) == "unknown command 'statsu'; did you mean 'status'?");
    CHECK(error_of({"offsets", "rest"}).find("did you mean 'reset'?") != std::string::npos);
    CHECK(error_of({"offsets"}) == "sluice offsets needs one of: get, reset, set, skip");
    CHECK(error_of({"status", "--jsn"}) == "sluice status has no option '--jsn'; did you mean '--json'?");
    CHECK(error_of({"xyzzyxyzzy"}).find("sluice help") != std::string::npos);
}

TEST_CASE("missing and superfluous words are usage errors") {
    CHECK(error_of({}).find("sluice help") != std::string::npos);
    CHECK(error_of({"batches", "list"}) == "sluice batches list needs PIPELINE");
    CHECK(error_of({"reload", "now"}) == "sluice reload takes no arguments, not 'now'");
    CHECK(error_of({"offsets", "reset", "orders", "--to-datetime"}) == "--to-datetime needs a value: --to-datetime TIME");
    CHECK(error_of({"status", "--json=yes"}) == "--json takes no value");
    CHECK(error_of({"status", "--json", "--json"}) == "--json is given twice");
}

TEST_CASE("help is asked for in three ways") {
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"help", "offsets", "reset"}, {"offsets", "reset", "--help"}, {"-h", "offsets", "reset"}}) {
        const auto invocation = parsed(words);
        REQUIRE(invocation);
        CHECK(invocation->help);
        CHECK(invocation->command->words == "offsets reset");
    }
    const auto general = parsed({"help"});
    REQUIRE(general);
    CHECK(general->command == nullptr);
}

TEST_CASE("the table of commands is whole: each has a sentence, a handler and its own words") {
    std::set<std::string> words;
    for (const Command& command : commands()) {
        CAPTURE(command.words);
        CHECK(words.insert(command.words).second);
        CHECK((command.run != nullptr));
        CHECK_FALSE(command.sentence.empty());
        CHECK(command.arguments_min <= command.arguments_max);
        CHECK(general_help().find(command.words) != std::string::npos);
        for (const Option& option : command.options) {
            CHECK(option.name.starts_with("--"));
            CHECK(help_of(command).find(option.name) != std::string::npos);
        }
    }
}

}  // namespace sluice::cli
