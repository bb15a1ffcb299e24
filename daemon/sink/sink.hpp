#pragma once
// A sink as the engine sees it: the plugin ABI's calls as C++ values. The loader (plugin.hpp) makes
// them from a shared object; tests make them from memory.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/sink.h"

namespace sluice::sink {

enum class Status { ok, already_committed, retry, reject, fatal };
std::string_view name_of(Status status) noexcept;

enum class Guarantee { at_least_once, idempotent, exactly_once };  // from the weakest on
std::string_view name_of(Guarantee guarantee) noexcept;  // "at-least-once" …

/// A record that was taken by an earlier call and refused later.
struct Refused {
    std::uint32_t range_index = 0;
    std::int64_t offset = 0;
    std::string reason;
};

struct Reply {
    Status status = Status::ok;
    std::string message;  ///< what the plugin gave to set_error(); never empty unless ok
    std::string receipt;  ///< of begin (already_committed), commit and open
    std::vector<Refused> refused{};  ///< of close and commit that answer reject; inside the batch
};

struct Reject {
    std::size_t index = 0;  ///< into the records of the call; checked against its count
    std::string reason;
};

struct WriteReply {
    Status status = Status::ok;
    std::string message;
    std::int32_t reject_kind = SLUICE_REJECT_WHICH;
    std::vector<Reject> rejects;  ///< ascending, no index twice
    std::vector<Refused> refused{};  ///< of earlier calls, when reject_kind is BATCH_LOST
};

struct Range {
    std::string topic;
    std::int32_t partition = 0;
    std::uint32_t index = 0;
    std::int64_t from = 0;
    std::int64_t until = 0;
    std::string token;  ///< "pipeline/batch/range"
};

struct Batch {
    std::uint64_t id = 0;
    bool is_rerun = false;
    std::vector<Range> ranges;
};

/// Confined to one thread at a time; destroying it without close() aborts what it wrote (keep = 0).
class Writer {
 public:
    virtual ~Writer() = default;
    virtual WriteReply write(std::span<const sluice_record> records) = 0;
    /// At most once, and the last call. reject: the batch is lost because of Reply::refused.
    virtual Reply close(bool keep) = 0;
};

struct WriterReply {
    Reply reply;
    std::unique_ptr<Writer> writer;  ///< set when reply.status is ok
};

/// Calls of one sink never overlap, nor overlap its open writers; writers of different ranges may.
class Sink {
 public:
    virtual ~Sink() = default;
    virtual Reply begin(const Batch& batch) = 0;
    virtual WriterReply open_writer(const Range& range) = 0;
    /// reject: nothing was kept because of Reply::refused; abort and begin follow, as after retry.
    virtual Reply commit(std::uint64_t batch_id) = 0;
    virtual Reply abort(std::uint64_t batch_id) = 0;
};

}  // namespace sluice::sink
