#include "daemon/pipeline/sizing.hpp"

#include <algorithm>
#include <cmath>

#include "daemon/base/text.hpp"
#include "daemon/pipeline/auto_limits.hpp"

namespace sluice::pipeline {
namespace {

std::string counted(double number) { return format_count(static_cast<std::int64_t>(std::llround(number))); }

Advice max_offsets(const Observed& observed) {
    const std::int64_t value = auto_max_offsets(observed.records_per_second);
    if (!observed.records_per_second) {
        return {"maxOffsetsPerTrigger", value,
                "no batch of 1,000 records or more was seen yet, and a first one should be over soon."};
    }
    return {"maxOffsetsPerTrigger", value,
            "about 30 s of work at the " + counted(*observed.records_per_second) +
                " records/s that batches showed: what a restart repeats, and what waits to be seen."};
}

Advice max_records(const Observed& observed, const Capacity& capacity) {
    const std::int64_t value = auto_max_records(capacity.memory_max, capacity.workers, observed.mean_bytes);
    const std::string size =
        observed.mean_bytes ? "records of " + counted(*observed.mean_bytes) + " bytes, as seen"
                            : std::string("records of 1,024 bytes, for want of any that were seen");
    const std::string part = "a worker's part of memoryMax (" + format_size(capacity.memory_max) + " / " +
                             std::to_string(std::max(capacity.workers, 1)) + ") holds about ";
    const std::string twice = ", each twice: as fetched, and as the sink writes it";
    const std::int64_t held = records_held(capacity.memory_max, capacity.workers, observed.mean_bytes);
    if (held < value) {
        return {"maxRecordsPerPartition", value,
                part + format_count(held) + " " + size + twice +
                    "; but shorter ranges than this cost more to go to than to read."};
    }
    return {"maxRecordsPerPartition", value, part + "so many " + size + twice + "."};
}

Advice min_partitions(std::uint64_t planned, const Capacity& capacity) {
    const auto value = auto_min_partitions(planned, capacity.workers);
    const std::string batch = "a batch of " + format_count(static_cast<std::int64_t>(planned)) + " offsets";
    if (value) {
        return {"minPartitions", value,
                batch + " gives each of " + std::to_string(*value) +
                    " workers a million records or more, which pays for moving consumers; more ranges than "
                    "workers would only wait for one."};
    }
    if (capacity.workers < 2) {
        return {"minPartitions", std::nullopt,
                "one worker reads one range after the other: to cut them would gain nothing."};
    }
    return {"minPartitions", std::nullopt,
            batch + " for " + std::to_string(capacity.workers) +
                " workers is less than a million for each of two: to move consumers would cost more than it saves."};
}

}  // namespace

std::vector<Advice> advise(const SizingInput& input) {
    Advice offsets = max_offsets(input.observed);
    const auto planned = std::min(input.backlog, static_cast<std::uint64_t>(*offsets.value));
    return {std::move(offsets), max_records(input.observed, input.capacity),
            min_partitions(planned, input.capacity)};
}

}  // namespace sluice::pipeline
