#include "tests/bench/scale.hpp"

#include <sys/resource.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <string>

#include "checkpoints/store.hpp"
#include "daemon/base/log.hpp"
#include "daemon/metrics_bridge.hpp"
#include "daemon/pipeline/pipeline.hpp"
#include "daemon/plan/planner.hpp"
#include "tests/unit/pipeline/fakes.hpp"

namespace sluice::bench {
namespace {

/// Bytes that this process has written so far, to whatever.
double written_bytes() {
    std::ifstream io("/proc/self/io");
    for (std::string word; io >> word;) {
        double value = 0;
        if (word == "wchar:" && io >> value) return value;
    }
    return 0;
}

void need(const auto& result) {
    if (!result) throw std::runtime_error("scale: " + result.error().message);
}

using Steady = std::chrono::steady_clock;
double in_ms(Steady::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

double cpu_ms() {
    struct rusage usage {};
    getrusage(RUSAGE_SELF, &usage);
    const auto ms = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) * 1000 + static_cast<double>(time.tv_usec) / 1000;
    };
    return ms(usage.ru_utime) + ms(usage.ru_stime);
}

std::unique_ptr<checkpoints::Store> fresh_store(const std::filesystem::path& folder) {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    auto store = checkpoints::open_store(folder);
    need(store);
    return *std::move(store);
}

}  // namespace

TriggerCost cost_of_trigger(const std::filesystem::path& folder, std::int32_t partitions, std::int32_t busy,
                            int triggers) {
    const auto store = fresh_store(folder);
    std::map<plan::TopicPartition, plan::Position> positions;
    std::vector<plan::PartitionFacts> facts;
    for (std::int32_t p = 0; p < partitions; ++p) {
        positions[{"orders", p}] = {0, 1, "id", -1};
        facts.push_back({{"orders", p}, 0, 0, "id", 1});
    }
    need(store->put_initial("orders", "{}", positions));
    TriggerCost cost;
    for (int trigger = 0; trigger < triggers; ++trigger) {
        for (std::int32_t p = 0; p < busy; ++p) facts[static_cast<std::size_t>(p)].latest += 100;
        const auto begun = Steady::now();
        auto planned = plan::plan_batch({positions, facts}, {});
        need(planned);
        cost.plan_ms += in_ms(Steady::now() - begun);

        const checkpoints::Plan plan{static_cast<std::uint64_t>(trigger), WallTime{}, std::move(planned->ranges)};
        checkpoints::Commit commit;
        commit.batch_id = plan.batch_id;
        std::map<plan::TopicPartition, plan::Position> after;
        for (const auto& range : plan.ranges) {
            checkpoints::RangeBooks books;
            books.polled = books.accepted = plan::size_of(range.range);
            commit.books.push_back(books);
            after[range.range.topic_partition] = {range.range.until, 1, "id", trigger};
        }
        const double before = written_bytes();
        const auto storing = Steady::now();
        need(store->put_plan("orders", plan, {}));
        need(store->put_commit("orders", commit, after, {}, {}));
        cost.store_ms += in_ms(Steady::now() - storing);
        cost.written_kib += (written_bytes() - before) / 1024;
        for (const auto& [tp, position] : after) positions[tp] = position;
    }
    cost.plan_ms /= triggers;
    cost.store_ms /= triggers;
    cost.written_kib /= triggers;
    return cost;
}

PipelineCost cost_of_pipeline(const std::filesystem::path& folder, std::int32_t partitions, std::int32_t busy,
                              int triggers) {
    using namespace pipeline::testing;
    log::set_level(log::Level::error);
    const auto store = fresh_store(folder);
    FakeKafka kafka;
    // Never caught up, which would wait a little before the next trigger.
    for (std::int32_t p = 0; p < partitions; ++p) kafka.set("orders", p, 0, p < busy ? 1'000'000 : 0);
    FakeTarget target;
    metrics::Metrics metrics({});
    MetricsBridge bridge(metrics);
    boost::asio::io_context io;
    boost::asio::thread_pool lookups(1), disk(1), workers(2);
    pipeline::Environment environment{.io = io.get_executor(),
                                      .lookups = lookups.get_executor(),
                                      .disk = disk.get_executor(),
                                      .workers = workers.get_executor(),
                                      .store = *store,
                                      .clock = system_clock(),
                                      .worker_count = 2};
    pipeline::Pipeline* measured = nullptr;
    environment.observer = [&](const pipeline::Summary& summary, const checkpoints::Commit* commit) {
        bridge.observe(summary, commit);
        if (summary.state == pipeline::State::failed) measured->shut_down();
    };
    config::Pipeline config;
    config.name = "orders";
    config.sink.plugin = "fake";
    config.trigger = {.kind = config::TriggerKind::processing_time, .interval = Milliseconds{0}};
    config.source.max_offsets_per_trigger = std::int64_t{busy};
    pipeline::Pipeline pipeline(environment, config, std::make_shared<FakePlugin>(target),
                                [&](const config::Pipeline&) { return std::make_unique<FakeSource>(kafka); });
    measured = &pipeline;

    // The look-up that begins a trigger is where the one before it has ended. The first commits what
    // only a first one has to.
    int looked_up = 0;
    Steady::time_point begun;
    double cpu_begun = 0;
    PipelineCost cost;
    kafka.before_facts = [&]() -> Result<void> {
        if (++looked_up == 3) {
            begun = Steady::now();
            cpu_begun = cpu_ms();
        } else if (looked_up == 3 + triggers) {
            cost = {in_ms(Steady::now() - begun) / triggers, (cpu_ms() - cpu_begun) / triggers, 0};
            pipeline.shut_down();
        }
        return {};
    };
    boost::asio::co_spawn(pipeline.strand(), pipeline.run(), boost::asio::detached);
    io.run();
    if (looked_up < 3 + triggers) throw std::runtime_error("scale: " + pipeline.summary().reason);
    bridge.sample({pipeline.status()}, {});  // makes the series; a scrape after it finds them
    const auto scraping = Steady::now();
    bridge.sample({pipeline.status()}, {});
    (void)metrics.exposition();
    cost.scrape_ms = in_ms(Steady::now() - scraping);
    return cost;
}

}  // namespace sluice::bench
