#include "daemon/metrics_bridge.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

namespace sluice {
namespace {

metrics::State as_metric(pipeline::State state) {
    switch (state) {
        case pipeline::State::starting: return metrics::State::starting;
        case pipeline::State::running: return metrics::State::running;
        case pipeline::State::caught_up: return metrics::State::caught_up;
        case pipeline::State::retrying: return metrics::State::retrying;
        case pipeline::State::stalled: return metrics::State::stalled;
        case pipeline::State::paused: return metrics::State::paused;
        case pipeline::State::stopped: return metrics::State::stopped;
        case pipeline::State::failed: return metrics::State::failed;
        case pipeline::State::done: return metrics::State::done;
    }
    return metrics::State::starting;
}

metrics::Stage as_metric(pipeline::Stage stage) {
    switch (stage) {
        case pipeline::Stage::open: return metrics::Stage::open;
        case pipeline::Stage::look_up: return metrics::Stage::look_up;
        case pipeline::Stage::read: return metrics::Stage::read;
        case pipeline::Stage::sink_begin: return metrics::Stage::sink_begin;
        case pipeline::Stage::sink_write: return metrics::Stage::sink_write;
        case pipeline::Stage::sink_commit: return metrics::Stage::sink_commit;
        case pipeline::Stage::checkpoint: return metrics::Stage::checkpoint;
    }
    return metrics::Stage::read;
}

/// By how much a count has grown since `before`, which becomes `now`. A pipeline that a reload changed
/// counts from 0 again.
std::uint64_t grown(std::uint64_t& before, std::uint64_t now) {
    const std::uint64_t since = std::exchange(before, now);
    return now >= since ? now - since : now;
}

/// What did not happen is no observation of 0.
void observe_phases(metrics::PipelineMetrics& series, const pipeline::PhaseTimes& times) {
    using metrics::Phase;
    for (const auto& [phase, time] : {std::pair{Phase::initial_offsets, times.initial_offsets},
                                      {Phase::latest_offsets, times.latest_offsets},
                                      {Phase::plan, times.plan},
                                      {Phase::split, times.split},
                                      {Phase::lease, times.lease},
                                      {Phase::fetch, times.fetch},
                                      {Phase::write, times.write},
                                      {Phase::read, times.read},
                                      {Phase::sink_commit, times.sink_commit},
                                      {Phase::checkpoint, times.checkpoint},
                                      {Phase::total, times.total}}) {
        if (time > pipeline::PhaseTimes::Time::zero()) series.observe(phase, time);
    }
}

void add_commit(metrics::PipelineMetrics& series, const checkpoints::Commit& commit) {
    metrics::BatchSums sums;
    for (const checkpoints::RangeBooks& books : commit.books) {
        sums.records += books.accepted;
        sums.bytes += books.bytes;
        sums.planned_offsets += books.polled + books.gaps + books.lost;
        sums.polled_records += books.polled;
        sums.gap_offsets += books.gaps;
        sums.filtered_records += books.filtered;
        sums.dead_letter_records += books.dead_lettered;
    }
    series.add_batch(sums);
    series.add_batches(commit.state == checkpoints::BatchState::recovered ? metrics::Outcome::recovered
                                                                           : metrics::Outcome::committed,
                       1);
    series.set_last_commit(commit.committed_at);
}

}  // namespace

void MetricsBridge::observe(const pipeline::Summary& summary, const checkpoints::Commit* commit) {
    const auto series = metrics_.pipeline(summary.name);
    series->set_state(as_metric(summary.state));
    if (commit != nullptr) {
        add_commit(*series, *commit);
        observe_phases(*series, summary.phases);
    }
    const std::lock_guard lock(mutex_);
    Known& before = pipelines_[summary.name];
    for (const auto& [kind, records] : summary.records_lost) {
        series->add_lost(kind, grown(before.lost[kind], records));
    }
    series->set_unaccepted_losses(summary.unaccepted_losses);
    for (const auto& [stage, retries] : summary.retries) {
        series->add_retries(as_metric(stage), grown(before.retries[stage], retries));
    }
    series->add_batches(metrics::Outcome::aborted, grown(before.aborted, summary.batches_aborted));
    series->add_batches(metrics::Outcome::abandoned, grown(before.abandoned, summary.batches_abandoned));
    for (auto more = grown(before.restarts, summary.restarts); more > 0; --more) series->count_restart();
}

void MetricsBridge::show_partitions(metrics::PipelineMetrics& series, const pipeline::Status& status,
                                    std::set<plan::TopicPartition>& known) {
    for (const auto& [tp, at] : status.partitions) {
        series.set_position(tp, at.position);
        series.set_backlog(tp, at.latest ? std::optional(std::max<std::int64_t>(*at.latest - at.position, 0))
                                         : std::nullopt);
        series.set_last_record(tp, at.last_record_ms
                                       ? std::optional(WallTime{Milliseconds{*at.last_record_ms}})
                                       : std::nullopt);
        known.insert(tp);
    }
    // A pipeline that was paused when the daemon started has headroom and no partitions yet.
    for (const auto& [tp, left] : status.headroom) known.insert(tp);
    for (auto it = known.begin(); it != known.end();) {
        if (status.partitions.contains(*it) || status.headroom.contains(*it)) {
            const auto left = status.headroom.find(*it);
            series.set_headroom(*it, left == status.headroom.end() ? std::nullopt
                                                                   : std::optional(left->second));
            ++it;
        } else {
            series.drop_partition(*it);
            it = known.erase(it);
        }
    }
}

void MetricsBridge::sample(const std::vector<pipeline::Status>& statuses, const kafka::PoolStats& pool,
                           const pipeline::MemoryUse& memory) {
    const std::lock_guard lock(mutex_);
    std::set<std::string> there;
    for (const auto& status : statuses) {
        const auto series = metrics_.pipeline(status.name);
        series->set_state(as_metric(status.state));
        series->set_unaccepted_losses(status.unaccepted_losses);
        show_partitions(*series, status, pipelines_[status.name].partitions);
        there.insert(status.name);
    }
    // A pipeline that left the configuration leaves no series behind.
    std::erase_if(pipelines_, [&](const auto& known) {
        if (there.contains(known.first)) return false;
        metrics_.drop_pipeline(known.first);
        return true;
    });
    const auto add = [](std::uint64_t now, std::uint64_t before, auto count) {
        for (std::uint64_t i = before; i < now; ++i) count();
    };
    metrics::PoolMetrics& series = metrics_.pool();
    add(pool.hits_position, last_pool_.hits_position, [&] { series.count_hit(metrics::PoolHit::positioned); });
    add(pool.hits_unassigned, last_pool_.hits_unassigned, [&] { series.count_hit(metrics::PoolHit::unassigned); });
    add(pool.hits_reassigned, last_pool_.hits_reassigned, [&] { series.count_hit(metrics::PoolHit::moved); });
    add(pool.misses, last_pool_.misses, [&] { series.count_miss(); });
    add(pool.evictions, last_pool_.evictions, [&] { series.count_eviction(); });
    series.set_size(pool.clients);
    series.count_unassigned_for_memory(pool.unassigned_for_memory - last_pool_.unassigned_for_memory);
    series.count_waits_for_memory(pool.waits_for_memory - last_pool_.waits_for_memory);
    series.count_closed(pool.closed - last_pool_.closed, pool.lifetime - last_pool_.lifetime);
    metrics_.set_memory({memory.max, memory.consumers, memory.in_flight, memory.sinks});
    last_pool_ = pool;
}

}  // namespace sluice
