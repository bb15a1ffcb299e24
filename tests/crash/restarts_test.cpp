// Many short lives in a row.
#include <doctest/doctest.h>

#include <csignal>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

std::size_t batches_in(const std::string& log) {
    std::size_t count = 0;
    for (auto at = log.find("batch committed"); at != std::string::npos; at = log.find("batch committed", at + 1)) {
        ++count;
    }
    return count;
}

}  // namespace

TEST_CASE("200 restarts in a row, killed and told to stop by turns, leave every record exactly once") {
    constexpr int restarts = 200;
    Kafka& kafka = Kafka::real();
    const WorkFolder folder("restarts");
    const std::string topic = Kafka::unique("restarts");
    kafka.create_topic(topic, 1);
    produce_mixed(kafka, topic, 1, 200'000);
    PipelineYaml pipeline;
    pipeline.topics = {topic};
    pipeline.source_extra = "maxOffsetsPerTrigger: 400\n";
    pipeline.sink = "plugin: file\nformat: json\nmode: append\n";
    pipeline.out = folder.path() / "out";
    pipeline.trigger = "{ processingTime: 0s }";
    DaemonProcess daemon(folder.path(), config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
    for (int i = 0; i < restarts; ++i) {
        CAPTURE(i);
        // At work: a batch was committed, and the next one follows at once.
        const std::size_t before = batches_in(daemon.log());
        daemon.start();
        REQUIRE_MESSAGE(wait_until([&] { return batches_in(daemon.log()) > before; }, std::chrono::seconds{60}),
                        daemon.log());
        if (i % 2 == 0) {
            daemon.kill();
        } else {
            daemon.signal(SIGTERM);
            const auto ended = daemon.wait();
            REQUIRE(ended);
            REQUIRE(ended->code == 0);
        }
    }
    pipeline.trigger = "availableNow";
    pipeline.source_extra.clear();
    daemon.set_yaml(config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
    daemon.start();
    const auto ended = daemon.wait(std::chrono::seconds{240});
    REQUIRE_MESSAGE(ended, daemon.log());
    REQUIRE_MESSAGE(ended->code == 0, daemon.log());
    const Ledger expected = visible_in_kafka(kafka.bootstrap(), {topic});
    CHECK(difference(expected, delivered_in(folder.path() / "out")) == "");
    MESSAGE(restarts << " restarts, " << batches_in(daemon.log()) << " batches, " << count(expected)
                     << " records compared");
}
