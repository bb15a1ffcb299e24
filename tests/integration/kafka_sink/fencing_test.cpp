#include <csignal>

#include "tests/integration/kafka_sink/mirror.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

Mirror tailing(const std::string& name) {
    Mirror mirror(name, 1'000, "unlimited");
    mirror.pipeline.trigger = "{ processingTime: 100ms }";
    return mirror;
}

/// Waits until a daemon has opened its sink for the n-th time.
bool has_opened(DaemonProcess& daemon, int times) {
    return wait_until([&] {
        const std::string log = daemon.log();
        int found = 0;
        for (std::size_t at = 0; (at = log.find(", transactional id ", at)) != std::string::npos;
             ++at)
            ++found;
        return found >= times;
    });
}

std::string with_data_in(const Mirror& mirror, const std::filesystem::path& folder) {
    return config_yaml(folder, pipeline_yaml(mirror.source.bootstrap(), mirror.pipeline));
}

}  // namespace

TEST_CASE(
    "a second daemon from a copy of the checkpoint fences the first, and nothing comes twice") {
    const Mirror mirror = tailing("fenced");
    const WorkFolder other("kafka-sink-fenced-2");
    DaemonProcess first(mirror.folder.path(), mirror.yaml());
    first.start();
    REQUIRE_MESSAGE(first.says("batch committed"), first.log());
    first.signal(SIGTERM);
    REQUIRE(first.wait());
    std::filesystem::copy(mirror.folder.path() / "data", other.path() / "data",
                          std::filesystem::copy_options::recursive);
    first.start();
    REQUIRE_MESSAGE(has_opened(first, 2), first.log());
    DaemonProcess second(other.path(), with_data_in(mirror, other.path()));
    second.start();
    REQUIRE_MESSAGE(has_opened(second, 1), second.log());
    for (std::int64_t i = 1; i <= 3; ++i)
        mirror.source.produce_numbers(mirror.topic, 1, 100 * i);
    CHECK_MESSAGE(first.says("another producer has taken transactional id sluice-" + mirror.topic),
                  first.log());
    const auto expected = count(visible_in_kafka(mirror.source.bootstrap(), {mirror.topic}));
    CHECK_MESSAGE(wait_until([&] { return mirror.delivered().size() >= expected; }), second.log());
    first.signal(SIGTERM);
    second.signal(SIGTERM);
    REQUIRE(first.wait());
    REQUIRE(second.wait());
    CHECK(mirror.wrong() == "");
}

TEST_CASE("a second daemon without the checkpoint is refused, and does not disturb the first") {
    const Mirror mirror = tailing("stranger");
    const WorkFolder other("kafka-sink-stranger-2");
    DaemonProcess first(mirror.folder.path(), mirror.yaml());
    first.start();
    REQUIRE_MESSAGE(first.says("batch committed"), first.log());
    DaemonProcess second(other.path(), with_data_in(mirror, other.path()));
    second.start();
    CHECK_MESSAGE(second.says("and there is no checkpoint"), second.log());
    second.kill();
    mirror.source.produce_numbers(mirror.topic, 1, 100);
    const auto expected = count(visible_in_kafka(mirror.source.bootstrap(), {mirror.topic}));
    CHECK_MESSAGE(wait_until([&] { return mirror.delivered().size() == expected; }), first.log());
    first.signal(SIGTERM);
    REQUIRE(first.wait());
    CHECK(mirror.wrong() == "");
}
