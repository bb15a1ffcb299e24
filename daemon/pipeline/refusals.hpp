#pragma once
// The records of one batch that its sink refuses.

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "checkpoints/store.hpp"
#include "daemon/base/result.hpp"
#include "daemon/plan/types.hpp"

namespace sluice::pipeline {

/// More in one batch is no bad record but a wrong sink or configuration: the pipeline stops.
inline constexpr std::size_t refused_records_max = 100'000;

/// Reason by offset.
using RefusedOffsets = std::map<std::int64_t, std::string>;

/// Safe for concurrent calls. What a crash loses is found again when the batch is run again; what was
/// stored (checkpoints::Store::put_refused) is left out of every later attempt.
class Refusals {
 public:
    /// For another batch: `known` were refused by an earlier attempt of it.
    void reset(const std::vector<checkpoints::RefusedRecord>& known);

    /// Those already known inside [from, until).
    [[nodiscard]] RefusedOffsets known_in(const plan::OffsetRange& range) const;

    /// Errors: `fatal` beyond refused_records_max. Known ones are kept as they are.
    Result<void> add(const plan::TopicPartition& partition, std::int64_t offset,
                     const std::string& reason);

    /// The attempt is lost because of them (SLUICE_REJECT_BATCH_LOST): it is to be run again without.
    void lose_batch();
    /// Whether that happened since the last call.
    [[nodiscard]] bool take_batch_lost();

    /// All of them when some were added since the last call to stored(); empty otherwise.
    [[nodiscard]] std::vector<checkpoints::RefusedRecord> unstored() const;
    void stored();

 private:
    mutable std::mutex mutex_;
    std::map<plan::TopicPartition, RefusedOffsets> records_;
    std::size_t count_ = 0;
    bool has_new_ = false;
    bool batch_lost_ = false;
};

}  // namespace sluice::pipeline
