#pragma once
// What an error of the server means for the batch. Pure: five letters in, a decision out.

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sluice::plugins::postgres {

enum class ErrorKind {
    retry,  ///< may work later: connections, locks, space, a server that stops or stands by
    row,    ///< what a row holds was refused; others are fine
    fatal,  ///< a person has to look
};

/// By SQLSTATE (appendix A of PostgreSQL's manual); empty: no answer came at all, which is retry.
ErrorKind kind_of(std::string_view sqlstate);

/// Of a refused row: whether other rows had a say in it (a key that is there twice, or not yet; a
/// trigger), so that it may be taken once they are in.
bool depends_on_others(std::string_view sqlstate);

/// The number N in "COPY t, line N, column c: …", which counts rows from 1.
std::optional<std::uint64_t> line_of(std::string_view context);

/// "28P01" in "FATAL:  28P01: password authentication failed …", as libpq writes it when verbose:
/// it gives the code of a refused connection no other way. Empty when there is none.
std::string sqlstate_in(std::string_view message);

/// What to do about it, "" or a sentence that begins with ": ".
std::string_view remedy_of(std::string_view sqlstate);

class ServerError : public std::runtime_error {
 public:
    ServerError(ErrorKind kind, std::string sqlstate, const std::string& message,
                std::optional<std::uint64_t> line = {})
        : std::runtime_error(message), kind_(kind), sqlstate_(std::move(sqlstate)), line_(line) {}
    [[nodiscard]] ErrorKind kind() const { return kind_; }
    [[nodiscard]] const std::string& sqlstate() const { return sqlstate_; }
    /// Of a COPY, from 1.
    [[nodiscard]] std::optional<std::uint64_t> line() const { return line_; }

 private:
    ErrorKind kind_;
    std::string sqlstate_;
    std::optional<std::uint64_t> line_;
};

}  // namespace sluice::plugins::postgres
