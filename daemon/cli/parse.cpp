#include <algorithm>
#include <set>

#include "daemon/base/text.hpp"
#include "daemon/cli/commands.hpp"

namespace sluice::cli {
namespace {

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
    const auto meant = nearest(word, known);
    return meant ? "; did you mean '" + *meant + "'?" : "";
}

std::vector<std::string> split_words(const std::string& words) {
    const auto space = words.find(' ');
    if (space == std::string::npos) return {words};
    return {words.substr(0, space), words.substr(space + 1)};
}

/// Takes one or two words off the front of `positional`.
Result<const Command*> find_command(std::vector<std::string>& positional) {
    std::set<std::string> firsts;
    std::set<std::string> seconds;
    for (const Command& command : commands()) {
        const auto words = split_words(command.words);
        firsts.insert(words[0]);
        if (words[0] != positional[0]) continue;
        if (words.size() == 1) {
            positional.erase(positional.begin());
            return &command;
        }
        seconds.insert(words[1]);
        if (positional.size() > 1 && positional[1] == words[1]) {
            positional.erase(positional.begin(), positional.begin() + 2);
            return &command;
        }
    }
    const std::vector<std::string> known(firsts.begin(), firsts.end());
    if (seconds.empty()) {
        return usage("unknown command '" + positional[0] + "'" + did_you_mean(positional[0], known) +
                     (nearest(positional[0], known) ? "" : "; `sluice help` lists them"));
    }
    const std::vector<std::string> verbs(seconds.begin(), seconds.end());
    std::string list;
    for (const auto& verb : verbs) list += (list.empty() ? "" : ", ") + verb;
    if (positional.size() < 2) return usage("sluice " + positional[0] + " needs one of: " + list);
    return usage("unknown command '" + positional[0] + " " + positional[1] + "'" +
                 did_you_mean(positional[1], verbs) + " (" + list + ")");
}

const Option* find_option(std::span<const Option> options, std::string_view name) {
    const auto found = std::find_if(options.begin(), options.end(),
                                    [&](const Option& option) { return option.name == name; });
    return found == options.end() ? nullptr : &*found;
}

/// Options that take a value anywhere, so that words can be told from values before the command is known.
bool takes_value(std::string_view name) {
    const auto takes = [&](std::span<const Option> options) {
        const Option* option = find_option(options, name);
        return option != nullptr && !option->value.empty();
    };
    return takes(common_options()) ||
           std::any_of(commands().begin(), commands().end(),
                       [&](const Command& command) { return takes(command.options); });
}

struct Given {
    std::string name;
    std::optional<std::string> value;
};

Result<void> check_option(const Command& command, const Given& given, Invocation& invocation) {
    const Option* option = find_option(command.options, given.name);
    if (option == nullptr) option = find_option(common_options(), given.name);
    if (option == nullptr) {
        std::vector<std::string> known;
        for (const auto& each : command.options) known.push_back(each.name);
        for (const auto& each : common_options()) known.push_back(each.name);
        return usage("sluice " + command.words + " has no option '" + given.name + "'" +
                     did_you_mean(given.name, known));
    }
    if (option->value.empty() && given.value) return usage(given.name + " takes no value");
    if (!option->value.empty() && !given.value) {
        return usage(given.name + " needs a value: " + given.name + " " + option->value);
    }
    if (!invocation.options.emplace(given.name, given.value.value_or("")).second) {
        return usage(given.name + " is given twice");
    }
    return {};
}

}  // namespace

std::optional<std::string> Invocation::value(const std::string& option) const {
    const auto found = options.find(option);
    if (found == options.end()) return std::nullopt;
    return found->second;
}

Result<Invocation> parse(std::span<const std::string> arguments) {
    Invocation invocation;
    std::vector<std::string> positional;
    std::vector<Given> given;
    bool options_over = false;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        if (options_over || word.size() < 2 || word[0] != '-') {
            positional.push_back(word);
        } else if (word == "--") {
            options_over = true;
        } else if (word == "--help" || word == "-h") {
            invocation.help = true;
        } else if (word == "--version") {
            invocation.version = true;
        } else if (const auto equals = word.find('='); equals != std::string::npos) {
            given.push_back({word.substr(0, equals), word.substr(equals + 1)});
        } else if (takes_value(word) && i + 1 < arguments.size()) {
            given.push_back({word, arguments[++i]});
        } else {
            given.push_back({word, std::nullopt});
        }
    }
    if (!positional.empty() && positional[0] == "help") {
        invocation.help = true;
        positional.erase(positional.begin());
    }
    if (positional.empty()) {
        if (invocation.help || invocation.version) return invocation;
        return usage("which command? `sluice help` lists them");
    }
    SLUICE_TRY(invocation.command, find_command(positional));
    if (invocation.help) return invocation;
    for (const Given& each : given) SLUICE_CHECK(check_option(*invocation.command, each, invocation));
    const Command& command = *invocation.command;
    if (positional.size() < command.arguments_min) {
        return usage("sluice " + command.words + " needs " + command.arguments);
    }
    if (positional.size() > command.arguments_max) {
        return usage("sluice " + command.words +
                     (command.arguments.empty() ? " takes no arguments"
                                                : " takes " + command.arguments) +
                     ", not '" + positional[command.arguments_max] + "'");
    }
    invocation.arguments = std::move(positional);
    return invocation;
}

}  // namespace sluice::cli
