// The engine around real consumers, on librdkafka's mock cluster.

#include "daemon/pipeline/engine.hpp"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>

#include "daemon/base/log.hpp"
#include "daemon/kafka/embedded_broker.hpp"
#include "tests/unit/pipeline/fakes.hpp"

using namespace sluice;
using namespace sluice::pipeline;
using namespace sluice::pipeline::testing;

namespace {

bool run_until(boost::asio::io_context& io, const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
        io.restart();
        io.run_for(Milliseconds{5});
    }
    return condition();
}

}  // namespace

TEST_CASE("a reload starts no pipeline whose checkpoint is being changed, and does so afterwards") {
    log::set_level(log::Level::off);
    auto broker = kafka::EmbeddedBroker::start();
    REQUIRE(broker);
    FakeTarget target;
    const Plugins plugins{{"fake", std::make_shared<FakePlugin>(target)}};
    config::Config config;
    config.workers = 1;
    boost::asio::io_context io;
    const auto store = checkpoints::make_memory_store();
    Engine engine(io.get_executor(), config, *store);
    engine.start(config, plugins);

    auto hold = engine.hold("orders");
    REQUIRE(hold);
    CHECK_FALSE(engine.hold("orders"));
    CHECK(engine.hold("payments"));

    config::Pipeline orders;
    orders.name = "orders";
    orders.sink.plugin = "fake";
    orders.source.kafka = {{"bootstrap.servers", (*broker)->bootstrap_servers()}};
    orders.source.subscription = config::Topics{{"orders"}};
    config.pipelines = {orders};
    bool reloaded = false;
    boost::asio::co_spawn(io, engine.reload(config, plugins), [&](std::exception_ptr, const std::vector<std::string>&) { reloaded = true; });
    REQUIRE(run_until(io, [&] { return reloaded; }));
    CHECK_FALSE(engine.find("orders"));

    hold.reset();
    REQUIRE(run_until(io, [&] { return engine.find("orders") != nullptr; }));
    CHECK_FALSE(engine.hold("orders"));  // it runs

    bool stopped = false;
    boost::asio::co_spawn(io, engine.stop(Milliseconds{1000}), [&](std::exception_ptr) { stopped = true; });
    CHECK(run_until(io, [&] { return stopped; }));
    CHECK(engine.hold("orders"));  // it has ended
}
