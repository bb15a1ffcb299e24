#include "tests/bench/pool_effect.hpp"

#include <chrono>
#include <optional>
#include <stdexcept>

#include "daemon/kafka/range_reader.hpp"

namespace sluice::bench {

PoolRun read_batches(const std::string& bootstrap, const std::string& topic, int batches, int size, bool keeps) {
    using Clock = std::chrono::steady_clock;
    const auto ms_since = [](Clock::time_point start) {
        return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    };
    const auto need = [](const auto& result) {
        if (!result) throw std::runtime_error("pool: " + result.error().message);
    };
    kafka::ConsumerPool pool({});
    const kafka::ClientSettings settings{{{"bootstrap.servers", bootstrap}}, "bench"};
    const std::stop_token never;
    PoolRun run;
    for (int batch = 0; batch < batches; ++batch) {
        const plan::OffsetRange range{{topic, 0}, std::int64_t{batch} * size, (std::int64_t{batch} + 1) * size};
        const auto start = Clock::now();
        std::optional<double> first;
        {
            auto lease = pool.lease(settings, range.topic_partition, range.from, -1, {}, never);
            need(lease);
            if (batch > 0) run.lease_ms.push_back(ms_since(start));
            const auto counts = kafka::read_range(
                *lease, range, {},
                [&](std::span<const sluice_record>) -> Result<void> {
                    if (!first) first = ms_since(start);
                    return {};
                },
                never);
            need(counts);
        }
        if (!keeps) pool.forget(settings);
        if (batch == 0) continue;  // both begin with a client that is new
        run.records_per_second.push_back(size / ms_since(start) * 1000);
        run.first_record_ms.push_back(first.value_or(0));
    }
    pool.forget(settings);
    return run;
}

}  // namespace sluice::bench
