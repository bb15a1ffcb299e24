#include "daemon/metrics/metrics.hpp"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <sstream>

#include "daemon/base/assert.hpp"
#include "daemon/metrics/collector.hpp"

namespace sluice::metrics {
namespace {

prometheus::MetricType type_of(Type type) {
    switch (type) {
        case Type::counter: return prometheus::MetricType::Counter;
        case Type::gauge: return prometheus::MetricType::Gauge;
        case Type::histogram: return prometheus::MetricType::Histogram;
    }
    return prometheus::MetricType::Untyped;
}

double to_seconds(WallTime time) { return static_cast<double>(to_epoch_ms(time)) / 1000.0; }

}  // namespace

Collector::Collector() {
    for (const FamilyInfo& family : families()) {
        prometheus::MetricFamily& made = families_.emplace_back();
        made.name = family.name;
        made.help = family.help;
        made.type = type_of(family.type);
    }
}

void Collector::add(Family family, std::initializer_list<std::string_view> labels,
                    prometheus::ClientMetric metric) {
    std::string_view names = info(family).labels;
    for (const std::string_view value : labels) {
        SLUICE_ASSERT(!names.empty());
        const std::size_t end = std::min(names.find(' '), names.size());
        metric.label.push_back({std::string(names.substr(0, end)), std::string(value)});
        names.remove_prefix(std::min(end + 1, names.size()));
    }
    SLUICE_ASSERT(names.empty());
    families_[static_cast<std::size_t>(family)].metric.push_back(std::move(metric));
}

void Collector::add_counter(Family family, std::initializer_list<std::string_view> labels,
                            double value) {
    SLUICE_ASSERT(info(family).type == Type::counter);
    prometheus::ClientMetric metric;
    metric.counter.value = value;
    add(family, labels, std::move(metric));
}

void Collector::add_gauge(Family family, std::initializer_list<std::string_view> labels,
                          double value) {
    SLUICE_ASSERT(info(family).type == Type::gauge);
    prometheus::ClientMetric metric;
    metric.gauge.value = value;
    add(family, labels, std::move(metric));
}

std::string Collector::text() && {
    std::erase_if(families_, [](const auto& family) { return family.metric.empty(); });
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families_);
    return std::move(out).str();
}

struct PoolMetrics::Series {
    std::atomic<std::uint64_t> hits[3]{};
    std::atomic<std::uint64_t> misses{0};
    std::atomic<std::uint64_t> evictions{0};
    std::atomic<std::size_t> size{0};
    std::atomic<std::uint64_t> unassigned_for_memory{0};
    std::atomic<std::uint64_t> waits_for_memory{0};
    std::atomic<std::uint64_t> closed{0};
    std::atomic<double> lifetime_s{0};
};

PoolMetrics::PoolMetrics() : series_(std::make_unique<Series>()) {}
PoolMetrics::~PoolMetrics() = default;
void PoolMetrics::count_hit(PoolHit kind) { ++series_->hits[static_cast<std::size_t>(kind)]; }
void PoolMetrics::count_miss() { ++series_->misses; }
void PoolMetrics::count_eviction() { ++series_->evictions; }
void PoolMetrics::set_size(std::size_t consumers) { series_->size = consumers; }
void PoolMetrics::count_unassigned_for_memory(std::uint64_t consumers) { series_->unassigned_for_memory += consumers; }
void PoolMetrics::count_waits_for_memory(std::uint64_t leases) { series_->waits_for_memory += leases; }
void PoolMetrics::count_closed(std::uint64_t consumers, std::chrono::duration<double> lifetime) {
    series_->closed += consumers;
    series_->lifetime_s += lifetime.count();
}

void PoolMetrics::collect(Collector& collector) const {
    for (const PoolHit kind : {PoolHit::positioned, PoolHit::unassigned, PoolHit::moved}) {
        collector.add_counter(Family::pool_hits, {name_of(kind)},
                              static_cast<double>(series_->hits[static_cast<std::size_t>(kind)]));
    }
    collector.add_counter(Family::pool_misses, {}, static_cast<double>(series_->misses));
    collector.add_counter(Family::pool_evictions, {}, static_cast<double>(series_->evictions));
    collector.add_gauge(Family::pool_size, {}, static_cast<double>(series_->size));
    collector.add_counter(Family::pool_unassigned, {}, static_cast<double>(series_->unassigned_for_memory));
    collector.add_counter(Family::pool_memory_waits, {}, static_cast<double>(series_->waits_for_memory));
    collector.add_counter(Family::pool_closed, {}, static_cast<double>(series_->closed));
    collector.add_counter(Family::pool_lifetime, {}, series_->lifetime_s);
}

struct Metrics::Registry {
    Options options;
    /// /proc/stat, which knows when the machine started, is hidden from a sandboxed service.
    WallTime started = system_clock().wall();
    std::shared_ptr<Shared> shared = std::make_shared<Shared>();
    PoolMetrics pool;
    std::atomic<std::uint64_t> memory_max{0}, queued{0}, in_flight{0}, sinks{0};
    mutable std::mutex mutex;  ///< of `pipelines`
    std::map<std::string, std::shared_ptr<PipelineMetrics>> pipelines;
};

Metrics::Metrics(Options options) : registry_(std::make_unique<Registry>()) {
    registry_->shared->partitions_max = options.partitions_max;
    registry_->options = std::move(options);
}

Metrics::~Metrics() = default;

std::shared_ptr<PipelineMetrics> Metrics::pipeline(const std::string& name) {
    const std::lock_guard lock(registry_->mutex);
    std::shared_ptr<PipelineMetrics>& found = registry_->pipelines[name];
    if (!found) found = std::make_shared<PipelineMetrics>(name, registry_->shared);
    return found;
}

void Metrics::drop_pipeline(const std::string& name) {
    const std::lock_guard lock(registry_->mutex);
    registry_->pipelines.erase(name);
}

PoolMetrics& Metrics::pool() noexcept { return registry_->pool; }

void Metrics::set_memory(const MemorySample& sample) {
    registry_->memory_max = sample.max;
    registry_->queued = sample.queued;
    registry_->in_flight = sample.in_flight;
    registry_->sinks = sample.sinks;
}

std::string Metrics::exposition() const {
    std::vector<std::shared_ptr<PipelineMetrics>> pipelines;
    {
        const std::lock_guard lock(registry_->mutex);
        for (const auto& [name, pipeline] : registry_->pipelines) pipelines.push_back(pipeline);
    }
    Collector collector;
    collector.add_gauge(Family::build_info, {registry_->options.version, registry_->options.commit},
                        1);
    for (const auto& pipeline : pipelines) pipeline->collect(collector);
    registry_->pool.collect(collector);
    if (registry_->memory_max > 0) {
        collector.add_gauge(Family::memory_max, {}, static_cast<double>(registry_->memory_max));
        collector.add_gauge(Family::memory_held, {"consumers"}, static_cast<double>(registry_->queued));
        collector.add_gauge(Family::memory_held, {"in_flight"}, static_cast<double>(registry_->in_flight));
        collector.add_gauge(Family::memory_held, {"sinks"}, static_cast<double>(registry_->sinks));
    }
    collector.add_counter(Family::refused_updates, {},
                          static_cast<double>(registry_->shared->refused));
    collector.add_gauge(Family::process_start, {}, to_seconds(registry_->started));
    collect_process(collector);
    return std::move(collector).text();
}

std::string_view name_of(State state) noexcept {
    switch (state) {
        case State::starting: return "starting";
        case State::running: return "running";
        case State::caught_up: return "caught_up";
        case State::retrying: return "retrying";
        case State::paused: return "paused";
        case State::stopped: return "stopped";
        case State::stalled: return "stalled";
        case State::failed: return "failed";
        case State::done: return "done";
    }
    return "failed";
}

std::string_view name_of(Outcome outcome) noexcept {
    switch (outcome) {
        case Outcome::committed: return "committed";
        case Outcome::recovered: return "recovered";
        case Outcome::aborted: return "aborted";
        case Outcome::abandoned: return "abandoned";
    }
    return "aborted";
}

std::string_view name_of(Phase phase) noexcept {
    switch (phase) {
        case Phase::initial_offsets: return "initial_offsets";
        case Phase::latest_offsets: return "latest_offsets";
        case Phase::plan: return "plan";
        case Phase::split: return "split";
        case Phase::lease: return "lease";
        case Phase::fetch: return "fetch";
        case Phase::write: return "write";
        case Phase::read: return "read";
        case Phase::sink_commit: return "sink_commit";
        case Phase::checkpoint: return "checkpoint";
        case Phase::total: return "total";
    }
    return "total";
}

std::string_view name_of(Stage stage) noexcept {
    switch (stage) {
        case Stage::open: return "open";
        case Stage::look_up: return "look_up";
        case Stage::read: return "read";
        case Stage::sink_begin: return "sink_begin";
        case Stage::sink_write: return "sink_write";
        case Stage::sink_commit: return "sink_commit";
        case Stage::checkpoint: return "checkpoint";
    }
    return "read";
}

std::string_view name_of(PoolHit kind) noexcept {
    switch (kind) {
        case PoolHit::positioned: return "positioned";
        case PoolHit::unassigned: return "unassigned";
        case PoolHit::moved: return "moved";
    }
    return "moved";
}

}  // namespace sluice::metrics
