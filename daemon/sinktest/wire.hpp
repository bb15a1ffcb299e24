#pragma once
// What is said between the kit and the process with the sink in it. Internal to the module.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/sink/plugin.hpp"
#include "daemon/sinktest/records.hpp"

namespace sluice::sinktest {

enum class Op : std::uint8_t {
    open,
    close,
    begin,
    open_writer,
    write,
    close_writer,
    commit,
    abort,
    write_all,  ///< open, write and close for every range, each in a thread of its own
    stop,       ///< the pipeline is being stopped: host->stopping() says so from now on
    count,      ///< what the process holds: descriptors and threads
};
/// "commit()", for messages.
std::string_view name_of(Op op) noexcept;

struct Request {
    Op op = Op::open;
    sink::SinkContext context;          ///< open
    sink::Batch batch;                  ///< begin; commit and abort: its id
    Flavor flavor = Flavor::plain;      ///< begin
    std::vector<sink::Refused> known;   ///< begin: refused before, left out from now on
    std::uint32_t range = 0;            ///< open_writer, write, close_writer
    std::int64_t from = 0;              ///< write: the records of [from, until) in one call
    std::int64_t until = 0;
    bool keep = true;                   ///< close_writer
    std::uint32_t chunk = 1;            ///< write_all: records a call
    std::uint32_t pause_ms = 0;         ///< write_all: between calls, at most
};

struct Answer {
    sink::Status status = sink::Status::ok;  ///< reject: the batch is lost
    std::string message;
    std::string receipt;
    std::vector<sink::Refused> refused;  ///< as far as the call went
    std::uint32_t forms = 0;             ///< of refusing, 1 << sluice_rejected::kind
    std::uint32_t retries = 0;           ///< answered by writes that were asked again at once
    std::string retry;                   ///< why, the last time
    std::uint64_t descriptors = 0;
    std::uint64_t threads = 0;
};
/// How close() and commit() refuse, and write() what came before: with host->refuse().
inline constexpr std::uint32_t form_refuse = 1U << 8;

std::string encoded(const Request& request);
std::string encoded(const Answer& answer);
/// Both ends are the same program: a text that cannot be read is a bug (asserted).
Request decoded_request(std::string_view text);
Answer decoded_answer(std::string_view text);

}  // namespace sluice::sinktest
