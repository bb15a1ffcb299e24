#include <doctest/doctest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <csignal>
#include <fstream>
#include <set>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr int partitions = 2;

bool is_bad(std::int64_t id) { return id % 400 == 7 || id % 400 == 8; }

using Offsets = std::set<std::pair<std::int64_t, std::int64_t>>;  ///< partition, offset

struct Setup {
    explicit Setup(const std::string& name, const std::string& refuse, std::int64_t count = 3000)
        : records(count), folder(name), topic(Kafka::unique(name)), dead_topic(topic + ".dead") {
        kafka.create_topic(topic, partitions);
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
