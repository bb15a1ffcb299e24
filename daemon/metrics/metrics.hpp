#pragma once
// What /metrics shows. Every method is safe for concurrent calls and never blocks for longer than a
// scrape copies one pipeline's series; none is meant for each record: add a batch's sums.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/metrics/families.hpp"
#include "daemon/plan/data_loss.hpp"
#include "daemon/plan/types.hpp"

namespace sluice::metrics {

enum class State { starting, running, caught_up, retrying, paused, stopped, stalled, failed, done };
enum class Outcome { committed, recovered, aborted, abandoned };
enum class Phase { initial_offsets, latest_offsets, plan, split, lease, fetch, write, read, sink_commit, checkpoint, total };
/// What was tried again.
enum class Stage { open, look_up, read, sink_begin, sink_write, sink_commit, checkpoint };
enum class PoolHit { positioned, unassigned, moved };

std::string_view name_of(State state) noexcept;
std::string_view name_of(Outcome outcome) noexcept;
std::string_view name_of(Phase phase) noexcept;
std::string_view name_of(Stage stage) noexcept;
std::string_view name_of(PoolHit kind) noexcept;

struct Shared;
class Collector;

/// The sums of one committed batch; how they balance is told in sluice_planned_offsets_total's help.
struct BatchSums {
    std::uint64_t records = 0;  ///< kept by the sink
    std::uint64_t bytes = 0;
    std::uint64_t planned_offsets = 0;
    std::uint64_t polled_records = 0;
    std::uint64_t gap_offsets = 0;
    std::uint64_t filtered_records = 0;
    std::uint64_t dead_letter_records = 0;
};

/// The series of one pipeline. Counters start at 0 with the pipeline, so that the first increase is
/// seen; a partition's gauges appear with their first value.
class PipelineMetrics {
 public:
    PipelineMetrics(std::string name, std::shared_ptr<Shared> shared);
    ~PipelineMetrics();

    void set_state(State state);
    void add_batch(const BatchSums& sums);
    void add_batches(Outcome outcome, std::uint64_t batches);
    /// The newest commit, for "no progress" alerts.
    void set_last_commit(WallTime at);
    void observe(Phase phase, std::chrono::duration<double> seconds);
    void add_lost(plan::LossKind kind, std::uint64_t offsets);
    /// Unknown (nullopt) takes the series away.
    void set_unaccepted_losses(std::optional<std::uint64_t> entries);
    void add_retries(Stage stage, std::uint64_t retries);
    void count_restart();

    /// Unknown (nullopt) or negative takes the series away: no dashboard ever sees a -1.
    void set_backlog(const plan::TopicPartition& partition, std::optional<std::int64_t> offsets);
    void set_position(const plan::TopicPartition& partition, std::optional<std::int64_t> offset);
    void set_last_record(const plan::TopicPartition& partition, std::optional<WallTime> timestamp);
    void set_headroom(const plan::TopicPartition& partition, std::optional<Milliseconds> left);
    /// All series of a partition that is gone, or is another daemon's now.
    void drop_partition(const plan::TopicPartition& partition);

    void collect(Collector& collector) const;

 private:
    struct Series;
    struct PartitionSeries;
    PartitionSeries* partition_series(const plan::TopicPartition& partition, bool has_value);
    void release_if_empty(const plan::TopicPartition& partition);

    std::unique_ptr<Series> series_;
    std::shared_ptr<Shared> shared_;  ///< with Metrics, which may end before a handle does
};

/// Who holds what memoryMax bounds, as far as it is counted, in bytes.
struct MemorySample {
    std::uint64_t max = 0;
    std::uint64_t queued = 0;     ///< by consumers: fetched, not read yet
    std::uint64_t in_flight = 0;  ///< in chunks that sinks are writing, or that are done with and not freed yet
    std::uint64_t sinks = 0;      ///< in buffers of their own
};

class PoolMetrics {
 public:
    PoolMetrics();
    ~PoolMetrics();
    void count_hit(PoolHit kind);
    void count_miss();
    void count_eviction();
    void set_size(std::size_t consumers);
    void count_unassigned_for_memory(std::uint64_t consumers);
    void count_waits_for_memory(std::uint64_t leases);
    void count_closed(std::uint64_t consumers, std::chrono::duration<double> lifetime);
    void collect(Collector& collector) const;

 private:
    struct Series;
    std::unique_ptr<Series> series_;
};

struct Options {
    std::string version;
    std::string commit;
    /// Partitions with series, of all pipelines together. Further ones are counted in
    /// sluice_metrics_refused_updates_total, and a warning is logged once.
    std::size_t partitions_max = 10'000;
};

class Metrics {
 public:
    explicit Metrics(Options options);
    ~Metrics();
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    /// The series of a pipeline, made at its first use; the same for the same name until it is
    /// dropped. Shared by the registry and the pipeline: using it after drop_pipeline() is harmless,
    /// and shows nowhere.
    std::shared_ptr<PipelineMetrics> pipeline(const std::string& name);
    /// For a pipeline that left the configuration; a failed or stopped one keeps its series.
    void drop_pipeline(const std::string& name);
    PoolMetrics& pool() noexcept;
    void set_memory(const MemorySample& sample);

    /// All series in Prometheus' text format 0.0.4; reads /proc/self for those of the process.
    [[nodiscard]] std::string exposition() const;
    static constexpr std::string_view content_type = "text/plain; version=0.0.4; charset=utf-8";

 private:
    struct Registry;
    std::unique_ptr<Registry> registry_;
};

}  // namespace sluice::metrics
