#pragma once
// What pipelines report, as metrics.

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "checkpoints/store.hpp"
#include "daemon/kafka/consumer_pool.hpp"
#include "daemon/metrics/metrics.hpp"
#include "daemon/pipeline/status.hpp"

namespace sluice {

/// Safe for concurrent calls.
class MetricsBridge {
 public:
    explicit MetricsBridge(metrics::Metrics& metrics) : metrics_(metrics) {}

    /// After every change of a pipeline; `commit` when a batch was committed.
    void observe(const pipeline::Summary& summary, const checkpoints::Commit* commit);
    /// Before a scrape: what nobody reports, being a sum, or a pipeline that has not moved for a while, and
    /// what is told of each partition.
    void sample(const std::vector<pipeline::Status>& statuses, const kafka::PoolStats& pool,
                const pipeline::MemoryUse& memory = {});

 private:
    metrics::Metrics& metrics_;
    /// What is known of a pipeline: what it had counted when it reported last, and its series of partitions.
    struct Known {
        std::uint64_t restarts = 0;
        std::uint64_t aborted = 0;
        std::uint64_t abandoned = 0;
        std::map<plan::LossKind, std::uint64_t> lost;
        std::map<pipeline::Stage, std::uint64_t> retries;
        std::set<plan::TopicPartition> partitions;
    };
    static void show_partitions(metrics::PipelineMetrics& series, const pipeline::Status& status,
                                std::set<plan::TopicPartition>& known);

    std::mutex mutex_;
    std::map<std::string, Known> pipelines_;
    kafka::PoolStats last_pool_;
};

}  // namespace sluice
