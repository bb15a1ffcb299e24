#pragma once
// Counting recorded ranges once more: what `sluice verify` sees of a cluster.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>

#include "daemon/base/result.hpp"
#include "daemon/kafka/range_reader.hpp"

namespace sluice::kafka {

/// What the cluster has of some topics now.
struct TopicsNow {
    std::string cluster_id;
    struct Partition {
        std::int64_t earliest = 0;
        std::int64_t latest = 0;
        std::string topic_id;  ///< empty = unknown
    };
    std::map<plan::TopicPartition, Partition> partitions;  ///< those that exist
    std::map<std::string, std::string> cleanup_policy;     ///< by topic, where it may be read
};

/// Clients of its own, apart from those of any pipeline: nothing that is read here disturbs one, and
/// nothing is committed anywhere. `unavailable` errors are retriable. Confined to one thread; every
/// call blocks.
class Rereader {
 public:
    /// `settings` are the pipeline's. Does not wait for a broker. Errors: `configuration`.
    static Result<std::unique_ptr<Rereader>> open(const ClientSettings& settings);
    ~Rereader();
    Rereader(const Rereader&) = delete;
    Rereader& operator=(const Rereader&) = delete;

    Result<TopicsNow> look(const std::set<std::string>& topics);

    /// Reads `range` to its end and counts; `isolation_level` is read_committed or read_uncommitted.
    /// `moved` hears of records as they come. Errors: those of read_range.
    Result<RangeCounts> count(const plan::OffsetRange& range, const std::string& isolation_level,
                              const std::function<void(std::uint64_t records)>& moved,
                              const std::stop_token& stop);

 private:
    class Impl;
    explicit Rereader(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::kafka
