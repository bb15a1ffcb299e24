#include <prometheus/histogram.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

#include "daemon/base/log.hpp"
#include "daemon/metrics/collector.hpp"
#include "daemon/metrics/metrics.hpp"

namespace sluice::metrics {
namespace {

constexpr std::array all_states{State::starting, State::running, State::caught_up,
                                State::retrying, State::paused,  State::stopped,
                                State::stalled,  State::failed,  State::done};
constexpr std::array all_outcomes{Outcome::committed, Outcome::recovered, Outcome::aborted,
                                  Outcome::abandoned};
constexpr std::array all_phases{Phase::initial_offsets, Phase::latest_offsets, Phase::plan,
                                Phase::split,           Phase::lease,          Phase::fetch,
                                Phase::write,           Phase::read,           Phase::sink_commit,
                                Phase::checkpoint,      Phase::total};
constexpr std::array all_stages{Stage::open,       Stage::look_up,    Stage::read,
                                Stage::sink_begin, Stage::sink_write, Stage::sink_commit,
                                Stage::checkpoint};
constexpr std::array all_losses{plan::LossKind::expired,        plan::LossKind::went_back,
                                plan::LossKind::truncated,      plan::LossKind::partition_gone,
                                plan::LossKind::topic_gone,     plan::LossKind::topic_recreated,
                                plan::LossKind::new_starts_late};

template <class Enum>
constexpr std::size_t index(Enum value) {
    return static_cast<std::size_t>(value);
}

/// From an fsync to the half hour that a batch of a whole topic takes.
const prometheus::Histogram::BucketBoundaries& duration_buckets() {
    static const prometheus::Histogram::BucketBoundaries buckets{
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800};
    return buckets;
}

using Count = std::atomic<std::uint64_t>;

constexpr std::int64_t absent = -1;

}  // namespace

struct PipelineMetrics::PartitionSeries {
    std::int64_t backlog = absent;
    std::int64_t position = absent;
    std::int64_t last_record_ms = absent;
    std::int64_t headroom_ms = absent;

    [[nodiscard]] bool empty() const {
        return backlog == absent && position == absent && last_record_ms == absent &&
               headroom_ms == absent;
    }
};

struct PipelineMetrics::Series {
    explicit Series(std::string the_name) : name(std::move(the_name)) {}

    const std::string name;
    std::atomic<State> state{State::starting};
    Count restarts{0};
    Count records{0}, bytes{0}, planned{0}, polled{0}, gaps{0}, filtered{0}, dead_letters{0};
    std::array<Count, all_outcomes.size()> batches{};
    std::array<Count, all_stages.size()> retries{};
    std::array<Count, all_losses.size()> lost{};
    /// One for each phase, in the order of the enumeration; a histogram can't be moved.
    std::array<std::unique_ptr<prometheus::Histogram>, all_phases.size()> durations = [] {
        std::array<std::unique_ptr<prometheus::Histogram>, all_phases.size()> made;
        for (auto& one : made) one = std::make_unique<prometheus::Histogram>(duration_buckets());
        return made;
    }();
    std::atomic<std::int64_t> unaccepted_losses{absent};
    std::atomic<std::int64_t> last_commit_ms{absent};

    mutable std::mutex mutex;  ///< of `partitions`
    std::map<plan::TopicPartition, PartitionSeries> partitions;
};

PipelineMetrics::PipelineMetrics(std::string name, std::shared_ptr<Shared> shared)
    : series_(std::make_unique<Series>(std::move(name))), shared_(std::move(shared)) {}

PipelineMetrics::~PipelineMetrics() { shared_->partitions -= series_->partitions.size(); }

void PipelineMetrics::set_state(State state) { series_->state = state; }

void PipelineMetrics::add_batch(const BatchSums& sums) {
    series_->records += sums.records;
    series_->bytes += sums.bytes;
    series_->planned += sums.planned_offsets;
    series_->polled += sums.polled_records;
    series_->gaps += sums.gap_offsets;
    series_->filtered += sums.filtered_records;
    series_->dead_letters += sums.dead_letter_records;
}

void PipelineMetrics::add_batches(Outcome outcome, std::uint64_t batches) {
    series_->batches[index(outcome)] += batches;
}
void PipelineMetrics::set_last_commit(WallTime at) { series_->last_commit_ms = to_epoch_ms(at); }

void PipelineMetrics::observe(Phase phase, std::chrono::duration<double> seconds) {
    series_->durations[index(phase)]->Observe(seconds.count());
}

void PipelineMetrics::add_lost(plan::LossKind kind, std::uint64_t offsets) {
    series_->lost[index(kind)] += offsets;
}

void PipelineMetrics::set_unaccepted_losses(std::optional<std::uint64_t> entries) {
    series_->unaccepted_losses = entries ? static_cast<std::int64_t>(*entries) : absent;
}

void PipelineMetrics::add_retries(Stage stage, std::uint64_t retries) {
    series_->retries[index(stage)] += retries;
}
void PipelineMetrics::count_restart() { ++series_->restarts; }

PipelineMetrics::PartitionSeries* PipelineMetrics::partition_series(
    const plan::TopicPartition& partition, bool has_value) {
    const auto found = series_->partitions.find(partition);
    if (found != series_->partitions.end()) return &found->second;
    if (!has_value) return nullptr;
    // Counted first and taken back when it was one too many: pipelines share this number.
    if (shared_->partitions.fetch_add(1) >= shared_->partitions_max) {
        --shared_->partitions;
        if (shared_->refused++ == 0) {
            log::warning("partitions without metrics: the limit of series is reached",
                         {{"pipeline", series_->name},
                          {"topic", partition.topic},
                          {"partition", partition.partition},
                          {"partitions_max", shared_->partitions_max}});
        }
        return nullptr;
    }
    return &series_->partitions[partition];
}

void PipelineMetrics::release_if_empty(const plan::TopicPartition& partition) {
    const auto found = series_->partitions.find(partition);
    if (found == series_->partitions.end() || !found->second.empty()) return;
    series_->partitions.erase(found);
    --shared_->partitions;
}

void PipelineMetrics::set_backlog(const plan::TopicPartition& partition,
                                  std::optional<std::int64_t> offsets) {
    const std::lock_guard lock(series_->mutex);
    const std::int64_t value = std::max(offsets.value_or(absent), absent);
    if (auto* series = partition_series(partition, value != absent)) series->backlog = value;
    release_if_empty(partition);
}

void PipelineMetrics::set_headroom(const plan::TopicPartition& partition,
                                   std::optional<Milliseconds> left) {
    const std::lock_guard lock(series_->mutex);
    const std::int64_t value = left ? std::max<std::int64_t>(left->count(), absent) : absent;
    if (auto* series = partition_series(partition, value != absent)) series->headroom_ms = value;
    release_if_empty(partition);
}

void PipelineMetrics::set_position(const plan::TopicPartition& partition,
                                   std::optional<std::int64_t> offset) {
    const std::lock_guard lock(series_->mutex);
    const std::int64_t value = std::max(offset.value_or(absent), absent);
    if (auto* series = partition_series(partition, value != absent)) series->position = value;
    release_if_empty(partition);
}

void PipelineMetrics::set_last_record(const plan::TopicPartition& partition,
                                      std::optional<WallTime> timestamp) {
    const std::lock_guard lock(series_->mutex);
    // Kafka's own "no timestamp" is -1, too.
    const std::int64_t value = timestamp ? std::max(to_epoch_ms(*timestamp), absent) : absent;
    if (auto* series = partition_series(partition, value != absent)) series->last_record_ms = value;
    release_if_empty(partition);
}

void PipelineMetrics::drop_partition(const plan::TopicPartition& partition) {
    const std::lock_guard lock(series_->mutex);
    if (series_->partitions.erase(partition) > 0) --shared_->partitions;
}

void PipelineMetrics::collect(Collector& collector) const {
    const std::string& name = series_->name;
    const auto count = [&](Family family, const Count& value) {
        collector.add_counter(family, {name}, static_cast<double>(value));
    };
    const auto count_by = [&](Family family, std::string_view label, const Count& value) {
        collector.add_counter(family, {name, label}, static_cast<double>(value));
    };
    const State state = series_->state;
    for (const State one : all_states) {
        collector.add_gauge(Family::pipeline_state, {name, name_of(one)}, one == state ? 1 : 0);
    }
    count(Family::records, series_->records);
    count(Family::bytes, series_->bytes);
    count(Family::planned_offsets, series_->planned);
    count(Family::polled_records, series_->polled);
    count(Family::gap_offsets, series_->gaps);
    count(Family::filtered_records, series_->filtered);
    count(Family::dead_letter_records, series_->dead_letters);
    for (const Outcome one : all_outcomes) {
        count_by(Family::batches, name_of(one), series_->batches[index(one)]);
    }
    for (const Stage one : all_stages) {
        count_by(Family::retries, name_of(one), series_->retries[index(one)]);
    }
    count(Family::restarts, series_->restarts);
    for (const plan::LossKind one : all_losses) {
        count_by(Family::lost_records, plan::name_of(one), series_->lost[index(one)]);
    }
    const std::int64_t unaccepted_losses = series_->unaccepted_losses;
    if (unaccepted_losses != absent) {
        collector.add_gauge(Family::unaccepted_losses, {name}, static_cast<double>(unaccepted_losses));
    }
    for (const Phase one : all_phases) {
        prometheus::ClientMetric metric = series_->durations[index(one)]->Collect();
        // 17 lines for each phase that a quiet pipeline never reached would be most of a scrape.
        if (metric.histogram.sample_count == 0) continue;
        collector.add(Family::batch_duration, {name, name_of(one)}, std::move(metric));
    }
    const std::int64_t last_commit_ms = series_->last_commit_ms;
    if (last_commit_ms != absent) {
        collector.add_gauge(Family::last_commit, {name},
                            static_cast<double>(last_commit_ms) / 1000.0);
    }

    const std::lock_guard lock(series_->mutex);
    for (const auto& [key, values] : series_->partitions) {
        const std::string number = std::to_string(key.partition);
        const auto gauge = [&](Family family, std::int64_t value, double scale) {
            if (value == absent) return;
            collector.add_gauge(family, {name, key.topic, number},
                                static_cast<double>(value) / scale);
        };
        gauge(Family::backlog, values.backlog, 1);
        gauge(Family::position, values.position, 1);
        gauge(Family::last_record, values.last_record_ms, 1000);
        gauge(Family::retention_headroom, values.headroom_ms, 1000);
    }
}

}  // namespace sluice::metrics
