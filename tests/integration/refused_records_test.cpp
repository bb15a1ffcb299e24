#include <doctest/doctest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <limits>
#include <set>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr int partitions = 2;

bool is_bad(std::int64_t id) { return id % 400 == 7 || id % 400 == 8; }

using Offsets = std::set<std::pair<std::int64_t, std::int64_t>>;  ///< partition, offset

struct Setup {
    explicit Setup(const std::string& name, const std::string& refuse, std::int64_t count = 3000,
                   const Properties& configs = {})
        : records(count), folder(name), topic(Kafka::unique(name)), dead_topic(topic + ".dead") {
        kafka.create_topic(topic, partitions, configs);
        kafka.produce(topic, records, [](std::int64_t id) {
            Record record;
            record.partition = static_cast<std::int32_t>(id % partitions);
            record.key = "k" + std::to_string(id);
            record.value = (is_bad(id) ? "bad " : "good ") + std::to_string(id);
            record.headers = {{"trace", "t" + std::to_string(id)}, {"none", std::nullopt}};
            return record;
        });
        pipeline.topics = {topic};
        pipeline.source_extra = "maxOffsetsPerTrigger: 1000\nmaxRecordsPerPartition: 300\n";
        pipeline.sink = "plugin: picky\nrefuse: " + refuse + "\n";
        pipeline.out = folder.path() / "out";
        pipeline.extra = "errors: { tolerance: all, deadLetters: { topic: " + dead_topic + " } }\n";
    }

    std::string yaml() const {
        return "pluginDir: " SLUICE_TEST_BINARY_DIR "/tests/plugins\n" +
               config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline));
    }

    /// What Kafka shows, without the records that are refused.
    Ledger expected() const {
        Ledger ledger = visible_in_kafka(kafka.bootstrap(), {topic});
        for (auto& [tp, entries] : ledger) {
            std::erase_if(entries, [&, partition = tp.partition](const Entry& entry) {
                return is_bad(entry.offset * partitions + partition);
            });
        }
        return ledger;
    }

    Offsets bad() const {
        Offsets offsets;
        for (std::int64_t id = 0; id < records; ++id) {
            if (is_bad(id)) offsets.emplace(id % partitions, id / partitions);
        }
        return offsets;
    }

    /// The dead letters of the topic, as lines of the file sink.
    std::vector<boost::json::object> letters() const {
        const WorkFolder reading(folder.path().filename().string() + "-letters");
        PipelineYaml reader;
        reader.topics = {dead_topic};
        reader.out = reading.path() / "out";
        DaemonProcess daemon(reading.path(),
                             config_yaml(reading.path(), pipeline_yaml(kafka.bootstrap(), reader)));
        daemon.start();
        const auto ended = daemon.wait();
        REQUIRE(ended);
        REQUIRE_MESSAGE(ended->code == 0, daemon.log());
        std::vector<boost::json::object> lines;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(reading.path() / "out")) {
            if (entry.path().extension() != ".jsonl") continue;
            std::ifstream file(entry.path());
            for (std::string line; std::getline(file, line);) {
                lines.push_back(boost::json::parse(line).as_object());
            }
        }
        return lines;
    }

    const std::int64_t records;
    Kafka& kafka = Kafka::real();
    const WorkFolder folder;
    const std::string topic;
    const std::string dead_topic;
    PipelineYaml pipeline;
};

/// One record that is refused, as large as its topic takes.
std::string produce_largest(const Setup& setup) {
    const std::string value = "bad " + std::string(1'048'400, 'x');  // of 1,048,588 with what is around it
    setup.kafka.produce(setup.topic, 1,
                        [&](std::int64_t) {
                            Record record;
                            record.value = value;
                            return record;
                        },
                        {{"message.max.bytes", "2000000"}});
    return value;
}

std::map<std::string, std::string> headers_of(const boost::json::object& letter) {
    std::map<std::string, std::string> headers;
    for (const auto& header : letter.at("headers").as_array()) {
        const auto& pair = header.as_array();
        headers[std::string(pair[0].as_string())] = pair[1].is_null() ? "(null)" : std::string(pair[1].as_string());
    }
    return headers;
}

}  // namespace

TEST_CASE("refused records go to the dead letter topic with Connect's headers, and nobody else is lost") {
    for (const std::string refuse : {"which", "all", "batchLost"}) {
        CAPTURE(refuse);
        Setup setup("refused-" + refuse, refuse);
        DaemonProcess daemon(setup.folder.path(), setup.yaml());
        daemon.start();
        const auto ended = daemon.wait();
        REQUIRE(ended);
        REQUIRE_MESSAGE(ended->code == 0, daemon.log());
        CHECK(difference(setup.expected(), delivered_in(setup.folder.path() / "out")) == "");
        Offsets found;
        for (const auto& letter : setup.letters()) {
            const auto headers = headers_of(letter);
            const std::int64_t partition = std::stoll(headers.at("__connect.errors.partition"));
            const std::int64_t offset = std::stoll(headers.at("__connect.errors.offset"));
            found.emplace(partition, offset);
            const std::string id = std::to_string(offset * partitions + partition);
            CHECK(letter.at("key").as_string() == "k" + id);
            CHECK(letter.at("value").as_string() == "bad " + id);
            CHECK(headers.at("trace") == "t" + id);
            CHECK(headers.at("none") == "(null)");
            CHECK(headers.at("__connect.errors.topic") == setup.topic);
            CHECK(headers.at("__connect.errors.connector.name") == "orders");
            CHECK(headers.at("__connect.errors.stage") == "TASK_PUT");
        }
        CHECK(found == setup.bad());
        const auto status = run_command("sluice", {"batches", "list", "orders", "--json", "--config",
                                                   (setup.folder.path() / "sluice.yaml").string()});
        CAPTURE(status.out);
        CAPTURE(status.err);
        CHECK(status.code == 0);
    }
}

TEST_CASE("a crash around refused records loses none, in the sink or in the dead letters") {
    for (const std::string refuse : {"which", "batchLost"}) {
        for (const char* failpoint : {"batch.before_refused", "batch.after_refused:2", "batch.before_commit:2"}) {
            CAPTURE(refuse);
            CAPTURE(failpoint);
            std::string name = "refused-crash-" + refuse + "-" + failpoint;
            std::replace(name.begin(), name.end(), ':', '-');
            Setup setup(name, refuse);
            DaemonProcess daemon(setup.folder.path(), setup.yaml());
            daemon.start({{"SLUICE_FAILPOINT", failpoint}});
            const auto crashed = daemon.wait();
            REQUIRE(crashed);
            if (refuse == "which") CHECK_MESSAGE(crashed->signal == SIGKILL, daemon.log());
            daemon.start();
            const auto ended = daemon.wait();
            REQUIRE(ended);
            REQUIRE_MESSAGE(ended->code == 0, daemon.log());
            CHECK(difference(setup.expected(), delivered_in(setup.folder.path() / "out")) == "");
            Offsets found;
            for (const auto& letter : setup.letters()) {
                const auto headers = headers_of(letter);
                found.emplace(std::stoll(headers.at("__connect.errors.partition")),
                              std::stoll(headers.at("__connect.errors.offset")));
            }
            CHECK(found == setup.bad());
        }
    }
}

TEST_CASE("without tolerance the pipeline stops at the first refused record, and skip steps over just that one") {
    Setup setup("refused-none", "which", 600);
    setup.pipeline.extra.clear();
    const std::string config = (setup.folder.path() / "sluice.yaml").string();
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    // For each of them: what lies before it is delivered first, then it is stepped over.
    const std::size_t steps_max = 3 * setup.bad().size();
    for (std::size_t step = 0;; ++step) {
        REQUIRE(step < steps_max);
        daemon.start();
        const auto stopped = daemon.wait();
        REQUIRE(stopped);
        REQUIRE(stopped->code);
        const std::string log = daemon.log();
        if (*stopped->code == 0) break;
        REQUIRE_MESSAGE(*stopped->code == 1, log);
        // The command is taken from the message, as an operator would.
        const std::string command = "sluice offsets skip orders ";
        const auto at = log.rfind(command) + command.size();
        const std::string record = log.substr(at, log.find(' ', at) - at);
        const auto skipped =
            run_command("sluice", {"offsets", "skip", "orders", record, "--execute", "--config", config});
        const std::string said = skipped.err + skipped.out;
        REQUIRE_MESSAGE(skipped.code == 0, said);
    }
    CHECK(difference(setup.expected(), delivered_in(setup.folder.path() / "out")) == "");
}

TEST_CASE("a timestamp that the dead letter topic refuses goes into a header, and the record under the current time") {
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    constexpr std::int64_t hour = 3'600'000;
    const std::int64_t now = std::chrono::duration_cast<std::chrono::milliseconds>(
                                 std::chrono::system_clock::now().time_since_epoch())
                                 .count();
    // By what goes out together, none, one or several are refused.
    const std::vector<std::int64_t> times{now - 60'000, most, now - 50'000, now + 24 * hour,
                                          now - 24 * hour, now - 40'000};
    for (const bool exists : {false, true}) {
        CAPTURE(exists);
        Setup setup(exists ? "refused-time-there" : "refused-time-new", "which", 0,
                    {{"retention.ms", "-1"},
                     {"message.timestamp.before.max.ms", std::to_string(most)},
                     {"message.timestamp.after.max.ms", std::to_string(most)}});
        // A new one takes what is at most an hour ahead, as Kafka's defaults are.
        if (exists) {
            setup.kafka.create_topic(setup.dead_topic, 1,
                                     {{"message.timestamp.before.max.ms", std::to_string(hour)},
                                      {"message.timestamp.after.max.ms", std::to_string(hour)}});
        }
        setup.kafka.produce(setup.topic, static_cast<std::int64_t>(times.size()), [&](std::int64_t i) {
            Record record;
            record.value = "bad " + std::to_string(i);
            record.timestamp_ms = times[static_cast<std::size_t>(i)];
            return record;
        });
        DaemonProcess daemon(setup.folder.path(), setup.yaml());
        daemon.start();
        const auto ended = daemon.wait();
        REQUIRE(ended);
        REQUIRE_MESSAGE(ended->code == 0, daemon.log());
        std::set<std::size_t> found;
        for (const auto& letter : setup.letters()) {
            const auto headers = headers_of(letter);
            const std::size_t offset = std::stoull(headers.at("__connect.errors.offset"));
            REQUIRE(offset < times.size());
            CAPTURE(offset);
            const std::int64_t time = times[offset];
            const std::int64_t found_time = letter.at("timestamp").as_int64();
            CHECK(letter.at("value").as_string() == "bad " + std::to_string(offset));
            if (time < now + hour && (!exists || time > now - hour)) {
                CHECK(found_time == time);
                CHECK_FALSE(headers.contains("sluice.errors.timestamp"));
            } else {
                CHECK(found_time >= now);
                CHECK(found_time < now + hour);
                REQUIRE(headers.contains("sluice.errors.timestamp"));
                CHECK(headers.at("sluice.errors.timestamp") == std::to_string(time));
            }
            found.insert(offset);
        }
        CHECK(found.size() == times.size());
    }
}

TEST_CASE("a dead letter topic that sluice creates takes a refused record as large as its topic takes") {
    Setup setup("refused-large", "which", 0);
    const std::string value = produce_largest(setup);
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    daemon.start();
    const auto ended = daemon.wait();
    REQUIRE(ended);
    REQUIRE_MESSAGE(ended->code == 0, daemon.log());
    const auto letters = setup.letters();
    REQUIRE(letters.size() == 1);
    const bool is_same = letters.front().at("value").as_string() == value;  // not for printing
    CHECK(is_same);
}

TEST_CASE("a refused record too large for the dead letter topic that is there is told with the command that helps") {
    Setup setup("refused-too-large", "which", 0);
    setup.kafka.create_topic(setup.dead_topic, 1);
    produce_largest(setup);
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    daemon.start();
    const auto ended = daemon.wait();
    REQUIRE(ended);
    const std::string log = daemon.log();
    CHECK_MESSAGE(ended->code == 1, log);
    CHECK_MESSAGE(log.find("kafka-configs.sh --alter --entity-type topics --entity-name " + setup.dead_topic +
                           " --add-config max.message.bytes=104857600") != std::string::npos,
                  log);
}
