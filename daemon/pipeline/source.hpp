#pragma once
// The Kafka side of one pipeline as the engine sees it; simulated in tests.

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"
#include "daemon/kafka/range_reader.hpp"
#include "daemon/plan/planner.hpp"

namespace sluice::pipeline {

/// Where a pipeline begins, counted at its first start and written down.
struct InitialOffsets {
    std::map<plan::TopicPartition, plan::Position> positions;
    std::string json;  ///< {"orders":{"0":1000}}
};

/// Every call blocks. cluster_id(), facts(), topic_ids() and initial_offsets() are called one at a time,
/// on the look-up pool; read() from several workers at once.
class Source {
 public:
    virtual ~Source() = default;

    virtual Result<std::string> cluster_id() = 0;

    /// Whether the subscription takes this partition. Positions of others are left alone: they are
    /// neither read nor missed. Does not block.
    [[nodiscard]] virtual bool covers(const plan::TopicPartition& topic_partition) const = 0;

    /// All partitions of the subscription with their offsets, sorted. `known` lets it ask again when a
    /// broker briefly reports an end below a position.
    virtual Result<std::vector<plan::PartitionFacts>> facts(
        const std::map<plan::TopicPartition, plan::Position>& known, const std::stop_token& stop) = 0;

    /// Of `positions` (plan::askable), those whose log was truncated below them since they were recorded,
    /// each with the offset from which it holds other records (kafka::find_truncations). Costs a client:
    /// asked where something speaks for it.
    virtual Result<std::map<plan::TopicPartition, std::int64_t>> truncations(
        const std::map<plan::TopicPartition, plan::Position>& /*positions*/, const std::stop_token& /*stop*/) {
        return std::map<plan::TopicPartition, std::int64_t>{};
    }

    /// Ids of those of `topics` that exist; "" where the cluster cannot tell. Asked of a batch before
    /// its sink commits.
    virtual Result<std::map<std::string, std::string>> topic_ids(
        const std::set<std::string>& topics) = 0;

    /// startingOffsets against the partitions there are now.
    virtual Result<InitialOffsets> initial_offsets(std::span<const plan::PartitionFacts> facts) = 0;

    /// How long until retention may begin to delete what lies unread at these positions, for partitions
    /// where that is known; those read to their end are left out. Called at most once a minute, on a
    /// Source of its own.
    virtual Result<std::map<plan::TopicPartition, Milliseconds>> headroom(
        const std::map<plan::TopicPartition, plan::Position>& /*positions*/, WallTime /*now*/) {
        return std::map<plan::TopicPartition, Milliseconds>{};
    }

    /// Reads `range`, which may start later than planned (see kafka::read_range for errors). Also
    /// `out_of_range` when the log turns out to have been truncated below the position that `range` follows.
    virtual Result<kafka::RangeCounts> read(const plan::PlannedRange& range, bool read_on,
                                            const kafka::RecordHandler& handler,
                                            const std::stop_token& stop) = 0;

    /// Sets the committed offsets of `group` for lag tools; never read back.
    virtual Result<void> export_positions(
        const std::string& group, const std::map<plan::TopicPartition, plan::Position>& positions) = 0;

    /// The pipeline stops: idle consumers of it may go.
    virtual void release() = 0;
};

/// A pipeline's own, made where it starts.
using SourceFactory = std::function<std::unique_ptr<Source>(const config::Pipeline&)>;

}  // namespace sluice::pipeline
