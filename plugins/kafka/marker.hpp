#pragma once
// The marker of a batch, the receipt in the checkpoint, and what the two say together. Pure.
//
// The marker is a committed offset of the group `<transactionalId>-marker` in the target cluster,
// set by the transaction of the batch: offset batch + 1, the rest in its metadata. It is what a
// re-run looks for. Kafka forgets offsets of a group without members (offsets.retention.minutes, 7
// days), so a marker that is not there says nothing once it may have been forgotten.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sluice/sink.hpp"

namespace sluice::plugins::kafka {

/// No batch yet.
inline constexpr std::int64_t no_batch = -1;

struct Marker {
    std::int64_t batch = no_batch;
    std::string plan;  ///< which ranges: two batches of one number differ by it
    std::string source_cluster;
    std::int64_t at_ms = 0;  ///< when it was written, since 1970

    [[nodiscard]] std::string metadata() const;
    /// nullopt: an offset that this plugin did not write.
    static std::optional<Marker> read(std::int64_t offset, std::string_view metadata);
};

struct Receipt {
    std::int64_t batch = no_batch;
    std::string target_cluster;
    std::int64_t at_ms = 0;
    std::string transactional_id{};  ///< in whose group the marker is; empty: written without, or long ago

    [[nodiscard]] std::string text() const;
    /// Throws std::invalid_argument for what this plugin did not write.
    static Receipt read(std::string_view text);
};

/// Short enough for a marker, whatever the batch.
std::string plan_of(const Batch& batch);

/// What begin() knows.
struct Situation {
    std::int64_t batch = 0;
    std::string plan;
    std::string source_cluster;
    std::string transactional_id;
    bool may_be_there = false;        ///< a commit of this batch may have been tried
    Receipt receipt;                  ///< of the last batch in the checkpoint
    std::optional<Marker> newest;     ///< in the target cluster
    bool is_new_target = false;       ///< the receipt is of another cluster, and that is meant
    bool run_without_marker = false;  ///< the option
    std::int64_t now_ms = 0;
};

struct Verdict {
    enum Kind {
        write,            ///< the batch is not there
        renew_and_write,  ///< the same, after the marker of the last batch was written again
        already_committed,
        stop,  ///< `why` says what does not fit, and what to do
    };
    Kind kind = write;
    std::string why;  ///< with `write` and `renew_and_write`: a warning, or empty
};
/// `group` is for messages.
Verdict judge(const Situation& situation, std::string_view group);

/// What is known before the transactional id is taken from whoever has it.
struct Claim {
    std::string pipeline;
    bool has_checkpoint = false;
    std::int64_t last_batch = 0;     ///< that the checkpoint comes to, committed or not
    std::int64_t untried = no_batch; ///< begun first by this process, which never came to its commit
    std::optional<Marker> newest;    ///< in the target cluster
};
/// Why the id may not be taken, with the remedy; empty: it may. A daemon that was frozen or cut off, and
/// replaced meanwhile, must not stop the one that goes on.
std::string objection_to(const Claim& claim, std::string_view group);

/// A marker that is older is written again before the next batch: the shortest time for which a
/// daemon may be down in the middle of a batch is the retention less this.
inline constexpr std::chrono::milliseconds renew_after = std::chrono::hours(1);
/// The shortest retention that is reckoned with.
inline constexpr std::chrono::milliseconds retention_min = std::chrono::hours(24);

}  // namespace sluice::plugins::kafka
