#pragma once
// What can go wrong at run time, as a value. A code exists only where some caller reacts to it in
// its own way; everything else is in the message.

#include <string>
#include <string_view>

namespace sluice {

enum class ErrorCode {
    failed,            ///< anything without a code of its own
    invalid_argument,  ///< the caller's words are wrong (usage)
    not_found,         ///< the named pipeline, batch, range or file does not exist
    exists,            ///< an entry that must be created is already there
    unavailable,       ///< broker, daemon or sink cannot be reached just now
    denied,            ///< credentials or permissions are refused: passes when an operator puts it right
    locked,            ///< another daemon holds the data directory
    storage,           ///< the data directory is unwritable, full or corrupt
    configuration,     ///< configuration, newer format, bad plugin
    data_loss,         ///< offsets that were promised cannot be read any more
    out_of_range,      ///< a read started outside what the broker has: ask for the facts again
    stopping,          ///< given up because the daemon or the pipeline is being stopped
    fatal,             ///< the sink said FATAL: a person has to look
};

struct Error {
    ErrorCode code = ErrorCode::failed;
    /// For a person: names pipeline, topic, partition, offset where they are known, and the remedy.
    std::string message;
    /// The same call may succeed later. Set where the error is made, never guessed by callers.
    bool retriable = false;
};

/// The same error with "context: " in front of its message.
Error with_context(std::string_view context, Error error);

/// The exit code of a process that ends with this error: 1, 64, 69, 70, 74, 75 or 78 (sysexits).
int exit_code(ErrorCode code) noexcept;

/// "configuration", "locked" …: for logs and JSON.
std::string_view name_of(ErrorCode code) noexcept;

}  // namespace sluice
