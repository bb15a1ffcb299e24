#pragma once
// A pipeline with everything around it in memory.

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>

#include "checkpoints/store.hpp"
#include "daemon/base/log.hpp"
#include "daemon/pipeline/pipeline.hpp"
#include "tests/unit/pipeline/fakes.hpp"

namespace sluice::pipeline::testing {

/// Run from start to end.
struct World {
    World() {
        log::set_level(log::Level::off);
        config.name = "orders";
        config.sink.plugin = "fake";
        config.trigger.kind = config::TriggerKind::available_now;
        config.source.max_offsets_per_trigger = std::int64_t{10};
        config.errors.retry_delay_max = Milliseconds{1};
    }

    /// Runs it until it ends by itself; `watch` is asked every few milliseconds meanwhile.
    Status run(const std::function<void(Pipeline&)>& watch = {}) {
        boost::asio::io_context io;
        boost::asio::thread_pool blocking(1);
        boost::asio::thread_pool workers(2);
        Environment environment{.io = io.get_executor(),
                                .lookups = blocking.get_executor(),
                                .disk = blocking.get_executor(),
                                .workers = workers.get_executor(),
                                .store = *store,
                                .clock = *clock,
                                .worker_count = 2};
        environment.make_dead_letters = [this](const config::Pipeline& pipeline, std::uint64_t) {
            return pipeline.errors.tolerance == config::Errors::Tolerance::none
                       ? nullptr
                       : std::make_unique<FakeDeadLetters>(letters);
        };
        busy = &environment.busy;
        Pipeline pipeline(environment, config, std::make_shared<FakePlugin>(target),
                          [this](const config::Pipeline&) { return std::make_unique<FakeSource>(kafka); });
        boost::asio::co_spawn(pipeline.strand(), pipeline.run(), boost::asio::detached);
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
        while (!pipeline.has_ended()) {
            io.restart();
            io.run_for(Milliseconds{2});
            if (watch) watch(pipeline);
            REQUIRE(std::chrono::steady_clock::now() < deadline);
        }
        exit_code = pipeline.exit_code();
        return pipeline.status();
    }

    /// Every visible record of the fake Kafka, once.
    FakeTarget::Records everything() const {
        FakeTarget::Records records;
        for (const auto& [tp, fact] : kafka.partitions) {
            for (auto offset = fact.earliest; offset < fact.latest; ++offset) {
                if (!kafka.invisible.contains({tp, offset})) records.insert({tp, offset});
            }
        }
        return records;
    }

    FakeKafka kafka;
    FakeTarget target;
    FakeLetters letters;
    config::Pipeline config;
    std::unique_ptr<checkpoints::Store> store = checkpoints::make_memory_store();
    int exit_code = -1;
    const std::atomic<int>* busy = nullptr;  ///< of its environment; while it runs
    const Clock* clock = &system_clock();
};

}  // namespace sluice::pipeline::testing
