#pragma once
// How long until retention begins to delete what has not been read: for pipelines that are paused,
// failed or behind. Decided from values; who asks the cluster is in pipeline/kafka_source.cpp.

#include <cstdint>
#include <optional>
#include <string_view>

#include "daemon/base/clock.hpp"

namespace sluice::plan {

/// retention.ms of a topic that deletes by age; nullopt where it does not (cleanup.policy without
/// `delete`, or -1), or where the values make no sense.
std::optional<Milliseconds> time_retention(std::string_view cleanup_policy,
                                           std::string_view retention_ms);

/// When the record at a position was written, as far as it is known: in `[from, until)`. Kafka only
/// answers "the first offset with a timestamp from T on", so it is found by halving.
struct WrittenAt {
    std::int64_t from_ms = 0;
    std::int64_t until_ms = 0;

    bool operator==(const WrittenAt&) const = default;
};

/// Nothing is known yet. What is older than the retention is taken for just as old: it has no headroom.
WrittenAt unknown_age(WallTime now, Milliseconds retention);

/// The time to ask for next, ms since 1970; nullopt when it is known well enough: within a 256th of
/// the retention, or a second. At most 10 questions from unknown_age() on.
std::optional<std::int64_t> next_question(const WrittenAt& known, Milliseconds retention);

/// `answer`: the first offset with a timestamp of at least `asked_ms`; nullopt when there is none.
WrittenAt narrowed(const WrittenAt& known, std::int64_t asked_ms, std::optional<std::int64_t> answer,
                   std::int64_t position);

/// Time until the record may be deleted, at least; never negative. Kafka deletes whole segments, at
/// their youngest record's age, so it may well live longer, never shorter: but for retention.bytes,
/// which nobody can foresee without knowing what will be produced.
Milliseconds headroom(const WrittenAt& known, Milliseconds retention, WallTime now);

}  // namespace sluice::plan
