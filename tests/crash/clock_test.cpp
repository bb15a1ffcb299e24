// A wall clock that is set back, and forward, under a daemon at work.
#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <csignal>
#include <ctime>
#include <fstream>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;
namespace json = boost::json;
using namespace std::chrono_literals;

namespace {

/// The daemon's wall clock, off by what was set last (shifted_clock.c).
class WallClock {
 public:
    explicit WallClock(std::filesystem::path file) : file_(std::move(file)) { set(0ms); }
    void set(std::chrono::milliseconds shift) const {
        const std::int64_t ms = shift.count();
        // In place: the daemon has the file mapped.
        std::fstream file(file_, std::ios::binary | std::ios::in | std::ios::out);
        if (!file.is_open()) file.open(file_, std::ios::binary | std::ios::out);
        file.write(reinterpret_cast<const char*>(&ms), sizeof ms);
    }
    [[nodiscard]] std::map<std::string, std::string> environment() const {
        return {{"LD_PRELOAD", SLUICE_TEST_BINARY_DIR "/tests/shifted_clock.so"},
                {"SLUICE_CLOCK_SHIFT", file_.string()}};
    }

 private:
    const std::filesystem::path file_;
};

/// How far "2026-11-01T08:00:00.123Z" is ahead.
std::chrono::seconds seconds_from_now(const std::string& iso8601) {
    std::tm fields{};
    if (strptime(iso8601.c_str(), "%Y-%m-%dT%H:%M:%S", &fields) == nullptr) throw std::runtime_error(iso8601);
    return std::chrono::seconds{timegm(&fields) - std::time(nullptr)};
}

}  // namespace

TEST_CASE("a clock that is set back an hour, and forward two days, stops nothing and costs no record") {
    Kafka& kafka = Kafka::real();
    const WorkFolder folder("clock");
    const std::string topic = Kafka::unique("clock");
    kafka.create_topic(topic, 1);
    PipelineYaml pipeline;
    pipeline.topics = {topic};
    // Long enough to be waiting for a trigger that the step moves away.
    pipeline.trigger = "{ processingTime: 1s }";
    pipeline.out = folder.path() / "out";
    DaemonProcess daemon(folder.path(), config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
    const WallClock clock(folder.path() / "shift");
    const auto sluice = [&](std::vector<std::string> words) {
        words.push_back("--config");
        words.push_back((folder.path() / "sluice.yaml").string());
        return run_command("sluice", words);
    };
    const auto status = [&](const char* field) {
        const auto answer = sluice({"status", "--json"});
        if (answer.out.empty()) return std::string();
        return std::string(json::parse(answer.out).at("pipelines").at(0).at(field).as_string());
    };
    daemon.start(clock.environment());
    std::uint64_t compared = 0;
    for (const auto shift : {0ms, -3'600'000ms, -3'601'000ms, 2 * 86'400'000ms, 0ms}) {
        CAPTURE(shift.count());
        clock.set(shift);
        kafka.produce_numbers(topic, 0, 500);
        const Ledger expected = visible_in_kafka(kafka.bootstrap(), {topic});
        const auto out = folder.path() / "out";
        REQUIRE_MESSAGE(wait_until([&] {
                            return std::filesystem::exists(out) && count(delivered_in(out)) >= count(expected);
                        }, 60s),
                        daemon.log());
        CHECK(difference(expected, delivered_in(out)) == "");
        CHECK(wait_until([&] { return status("state") == "CAUGHT_UP"; }));
        // The step was real: the commit carries the daemon's time of day.
        const auto off = seconds_from_now(status("last_commit_at")) - shift;
        CHECK(std::chrono::abs(off) < 10min);
        compared += count(expected);
    }
    const auto verified = sluice({"verify", "orders"});
    CHECK_MESSAGE(verified.code == 0, (verified.out + verified.err));
    daemon.signal(SIGTERM);
    CHECK(daemon.wait()->code == 0);
    MESSAGE(compared << " records compared");
}
