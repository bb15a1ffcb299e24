#include "daemon/pipeline/plan_options.hpp"

#include <algorithm>
#include <variant>

#include "daemon/pipeline/auto_limits.hpp"

namespace sluice::pipeline {
namespace {

void observe(std::optional<double>& mean, double value) {
    mean = mean ? 0.7 * *mean + 0.3 * value : value;
}

}  // namespace

void Observed::learn(const checkpoints::Commit& commit) {
    std::uint64_t polled = 0;
    std::uint64_t bytes = 0;
    for (const auto& books : commit.books) {
        polled += books.polled;
        bytes += books.bytes;
    }
    const double seconds = std::max(static_cast<double>(commit.phases.total.count()), 1.0) / 1000;
    // A small batch says little about how fast a large one would be.
    if (polled >= 1000) observe(records_per_second, static_cast<double>(polled) / seconds);
    if (polled > 0) observe(mean_bytes, static_cast<double>(bytes) / static_cast<double>(polled));
}

std::uint64_t known_backlog(const std::map<plan::TopicPartition, plan::Position>& positions,
                            std::span<const plan::PartitionFacts> facts) {
    std::uint64_t backlog = 0;
    plan::visit_recorded(positions, facts, [&](const plan::PartitionFacts& fact, const plan::Position* position) {
        const std::int64_t from = position == nullptr ? fact.earliest : position->offset;
        backlog += plan::size_of(plan::OffsetRange{{}, from, fact.latest});
    });
    return backlog;
}

plan::PlanOptions plan_options(const config::Pipeline& config, std::uint64_t backlog, const Capacity& capacity,
                               const Observed& observed) {
    const config::Source& source = config.source;
    plan::PlanOptions options;
    if (config.trigger.kind != config::TriggerKind::once) {  // `once` takes all there is, as in Spark
        if (std::holds_alternative<config::Auto>(source.max_offsets_per_trigger)) {
            options.max_offsets = auto_max_offsets(observed.records_per_second);
        } else if (const auto* n = std::get_if<std::int64_t>(&source.max_offsets_per_trigger)) {
            options.max_offsets = *n;
        }
        if (source.max_bytes_per_trigger) {
            const auto by_bytes =
                offsets_for_bytes(*source.max_bytes_per_trigger, observed.mean_bytes);
            options.max_offsets = std::min(options.max_offsets.value_or(by_bytes), by_bytes);
        }
        if (config.trigger.kind == config::TriggerKind::processing_time) {
            options.min_offsets = source.min_offsets_per_trigger;
        }
    }
    options.max_trigger_delay = source.max_trigger_delay;
    options.split.lanes = static_cast<std::size_t>(std::max(capacity.workers, 0));
    if (source.max_records_per_partition) {
        const auto* n = std::get_if<std::int64_t>(&*source.max_records_per_partition);
        options.split.max_records_per_partition =
            n != nullptr ? *n
                         : auto_max_records(capacity.memory_max, capacity.workers, observed.mean_bytes);
    }
    if (source.min_partitions) {
        const auto* n = std::get_if<std::int64_t>(&*source.min_partitions);
        if (n != nullptr) {
            options.split.min_partitions = *n;
        } else {
            const std::uint64_t planned =
                options.max_offsets
                    ? std::min(backlog, static_cast<std::uint64_t>(*options.max_offsets))
                    : backlog;
            options.split.min_partitions = auto_min_partitions(planned, capacity.workers);
            options.split.longest = auto_longest_range(planned, options.split.min_partitions);
        }
    }
    return options;
}

}  // namespace sluice::pipeline
