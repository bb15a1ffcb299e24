#pragma once
// The one table of commands: parsing, `sluice help` and `sluice COMMAND --help` come from it.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/result.hpp"

namespace sluice::cli {

class Session;

struct Option {
    std::string name;   ///< "--to-datetime"
    std::string value;  ///< "TIME"; empty for a flag
    std::string sentence;
};

struct Command {
    std::string words;      ///< "offsets reset"
    std::string arguments;  ///< "PIPELINE [TOPIC[/PARTITION]…]", for people
    std::size_t arguments_min = 0;
    std::size_t arguments_max = 0;
    std::vector<Option> options;  ///< besides the common ones
    std::string sentence;
    /// Does it and answers the exit code; errors are printed by the caller.
    Result<int> (*run)(Session& session) = nullptr;
};

/// All of them, in the order of `sluice help`.
std::span<const Command> commands();
/// --config, --data-dir, --socket, --json, --help.
std::span<const Option> common_options();

/// A command line, checked against the table.
struct Invocation {
    const Command* command = nullptr;  ///< nullptr: general help
    bool help = false;
    bool version = false;
    std::vector<std::string> arguments;
    std::map<std::string, std::string> options;  ///< name → value, "" for flags

    [[nodiscard]] bool has(const std::string& option) const { return options.contains(option); }
    [[nodiscard]] std::optional<std::string> value(const std::string& option) const;
};

/// What is wrong with the words of a command line, and which would be right.
inline Error usage(std::string message) { return Error{ErrorCode::invalid_argument, std::move(message)}; }

/// `arguments` without the program's name. "--" ends options; "--name=value" is accepted.
/// Errors: `invalid_argument` naming the word, and the nearest one that is known.
Result<Invocation> parse(std::span<const std::string> arguments);

std::string general_help();
std::string help_of(const Command& command);

}  // namespace sluice::cli
