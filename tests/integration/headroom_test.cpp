#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <csignal>

#include "daemon/base/clock.hpp"
#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;
namespace json = boost::json;

TEST_CASE("a paused pipeline tells how long its unread records last, and only where that is known") {
    Kafka& kafka = Kafka::real();
    const WorkFolder folder("headroom");
    const std::string timed = Kafka::unique("headroom-timed");
    const std::string compacted = Kafka::unique("headroom-compacted");
    const std::string kept = Kafka::unique("headroom-kept");
    kafka.create_topic(timed, 2, {{"retention.ms", "7200000"}});
    kafka.create_topic(compacted, 1, {{"cleanup.policy", "compact"}});
    kafka.create_topic(kept, 1, {{"retention.ms", "-1"}});
    PipelineYaml pipeline;
    pipeline.topics = {timed, compacted, kept};
    pipeline.trigger = "{ processingTime: 100ms }";
    pipeline.out = folder.path() / "out";
    DaemonProcess daemon(folder.path(), config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
    const auto sluice = [&](std::vector<std::string> words) {
        words.push_back("--config");
        words.push_back((folder.path() / "sluice.yaml").string());
        return run_command("sluice", words);
    };
    const auto status = [&]() -> json::object {
        const auto answer = sluice({"status", "--json"});
        if (answer.out.empty()) return {};
        return json::parse(answer.out).at("pipelines").at(0).as_object();
    };
    const auto comes_to = [&](const char* state) {
        return wait_until([&] {
            const auto now = status();
            return now.contains("state") && now.at("state").as_string() == state;
        });
    };
    daemon.start();
    REQUIRE_MESSAGE(comes_to("CAUGHT_UP"), daemon.log());
    REQUIRE(sluice({"pause", "orders"}).code == 0);
    REQUIRE(comes_to("PAUSED"));
    // Half an hour old, and a minute old behind it; nothing on the other partition.
    const std::int64_t half_an_hour = 30 * 60 * 1000;
    const std::int64_t written = to_epoch_ms(system_clock().wall()) - half_an_hour;
    for (const std::string& topic : {timed, compacted, kept}) {
        kafka.produce(topic, 10, [&](std::int64_t i) {
            return Record{0, "k" + std::to_string(i), "v", {}, i == 0 ? written : written + half_an_hour - 60'000};
        });
    }
    daemon.signal(SIGTERM);
    REQUIRE(daemon.wait()->code == 0);
    daemon.start();  // looks a few seconds after its start, then once a minute
    json::array headroom;
    REQUIRE_MESSAGE(wait_until([&] {
        const auto now = status();
        if (now.contains("retention_headroom")) headroom = now.at("retention_headroom").as_array();
        return !headroom.empty();
    }, std::chrono::seconds{90}), daemon.log());
    INFO(json::serialize(headroom));
    REQUIRE(headroom.size() == 1);
    CHECK(headroom[0].at("topic").as_string() == timed);
    CHECK(headroom[0].at("partition").as_int64() == 0);
    const std::int64_t left = headroom[0].at("seconds").as_int64();
    const std::int64_t now_left = (written + 7'200'000 - to_epoch_ms(system_clock().wall())) / 1000;
    CHECK(left <= now_left + 90);  // it may have been looked up a moment ago, and never says more
    CHECK(left >= now_left - 30);
    const auto text = sluice({"status"});
    CHECK_MESSAGE(text.out.find("data loss by retention begins in 1h") != std::string::npos, text.out);
    CHECK(sluice({"resume", "orders"}).code == 0);
    CHECK(wait_until([&] { return status().at("retention_headroom").as_array().empty(); },
                     std::chrono::seconds{90}));
    daemon.signal(SIGTERM);
    CHECK(daemon.wait()->code == 0);
}
