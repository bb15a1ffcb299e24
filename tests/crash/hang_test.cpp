// A sink that hangs: standard output is a pipe that nobody reads.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <csignal>
#include <fstream>
#include <map>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;
namespace json = boost::json;

namespace {

/// Where the daemon's standard output goes; holds 64 KiB until somebody reads.
class Pipe {
 public:
    explicit Pipe(std::filesystem::path path) : path_(std::move(path)) {
        if (::mkfifo(path_.c_str(), 0600) != 0) throw std::runtime_error("cannot make a pipe");
        end_ = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    }
    ~Pipe() { ::close(end_); }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    /// A wrapper for DaemonProcess::start.
    [[nodiscard]] std::vector<std::string> into_it() const {
        return {"/bin/sh", "-c", "exec \"$@\" >" + path_.string(), "sh"};
    }
    /// Moves what is there into `file`; answers how many lines that was.
    std::size_t read_into(std::ofstream& file) const {
        std::array<char, 1 << 16> buffer{};
        const ssize_t got = ::read(end_, buffer.data(), buffer.size());
        if (got <= 0) return 0;
        file.write(buffer.data(), got).flush();
        return static_cast<std::size_t>(std::count(buffer.begin(), buffer.begin() + got, '\n'));
    }

 private:
    const std::filesystem::path path_;
    int end_ = -1;
};

/// What `sluice status` says of a pipeline; empty while the daemon does not answer.
json::object status_of(const WorkFolder& folder, const std::string& pipeline) {
    const auto answer =
        run_command("sluice", {"status", "--json", "--config", (folder.path() / "sluice.yaml").string()});
    if (answer.out.empty()) return {};
    const json::value all = json::parse(answer.out);
    for (const auto& each : all.at("pipelines").as_array()) {
        if (each.at("pipeline").as_string() == pipeline) return each.as_object();
    }
    return {};
}

bool reaches(const WorkFolder& folder, const std::string& pipeline, const char* state) {
    return wait_until([&] {
        const json::object now = status_of(folder, pipeline);
        return now.contains("state") && now.at("state").as_string() == state;
    }, std::chrono::seconds{60});
}

}  // namespace

TEST_CASE("a sink that hangs is STALLED with what hangs, its neighbours go on, and so does it afterwards") {
    Kafka& kafka = Kafka::real();
    const WorkFolder folder("hang");
    const std::string topic = Kafka::unique("hang");
    kafka.create_topic(topic, 2);
    PipelineYaml hanging;
    hanging.name = "hanging";
    hanging.topics = {topic};
    hanging.trigger = "{ processingTime: 100ms }";
    hanging.sink = "plugin: stdout\n";
    hanging.extra = "stalledAfter: 5s\n";
    PipelineYaml neighbour = hanging;
    neighbour.name = "neighbour";
    neighbour.sink = "plugin: file\nformat: json\n";
    neighbour.out = folder.path() / "out";
    DaemonProcess daemon(folder.path(),
                         config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), hanging) +
                                                        pipeline_yaml(kafka.bootstrap(), neighbour)));
    const Pipe pipe(folder.path() / "pipe");
    daemon.start({}, pipe.into_it());
    const auto status = [&](const std::string& name) { return status_of(folder, name); };
    const auto comes_to = [&](const std::string& name, const char* state) { return reaches(folder, name, state); };
    const auto produce = [&](std::int64_t count) {
        for (int partition : {0, 1}) kafka.produce_numbers(topic, partition, count);
    };

    produce(5'000);  // ten times what a pipe holds
    REQUIRE_MESSAGE(comes_to("hanging", "STALLED"), daemon.log());
    const std::string reason(status("hanging").at("reason").as_string());
    CHECK_MESSAGE(reason.find("has not moved for") != std::string::npos, reason);
    for (int round = 0; round < 3; ++round) {
        produce(500);
        const Ledger expected = visible_in_kafka(kafka.bootstrap(), {topic});
        const auto out = folder.path() / "out";
        REQUIRE_MESSAGE(wait_until([&] {
                            return std::filesystem::exists(out) && count(delivered_in(out)) >= count(expected);
                        }),
                        daemon.log());
        CHECK(difference(expected, delivered_in(out)) == "");
        CHECK(status("hanging").at("state").as_string() == "STALLED");
        CHECK(comes_to("neighbour", "CAUGHT_UP"));
    }

    // A reload does not make the neighbour wait for the one that hangs.
    for (PipelineYaml* changed : {&hanging, &neighbour}) changed->trigger = "{ processingTime: 200ms }";
    std::ofstream(folder.path() / "sluice.yaml")
        << config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), hanging) +
                                          pipeline_yaml(kafka.bootstrap(), neighbour));
    daemon.signal(SIGHUP);
    CHECK_MESSAGE(daemon.says("reload: starting pipeline=neighbour"), daemon.log());
    CHECK(status("hanging").at("state").as_string() == "STALLED");
    CHECK(daemon.log().find("reload: starting pipeline=hanging") == std::string::npos);

    const Ledger expected = visible_in_kafka(kafka.bootstrap(), {topic});
    const auto printed = folder.path() / "printed";
    std::filesystem::create_directory(printed);
    std::ofstream file(printed / "all.jsonl", std::ios::binary);
    std::size_t lines = 0;
    CHECK_MESSAGE(wait_until([&] { return (lines += pipe.read_into(file)) >= count(expected); },
                             std::chrono::seconds{60}),
                  daemon.log());
    CHECK_MESSAGE(daemon.says("reload: starting pipeline=hanging"), daemon.log());
    CHECK(comes_to("hanging", "CAUGHT_UP"));
    CHECK(difference(expected, delivered_in(printed)) == "");
    daemon.signal(SIGTERM);
    CHECK(daemon.wait()->code == 0);
    MESSAGE(2 * count(expected) << " records compared");
}

TEST_CASE("sinks that hang at once, on every worker each was given, hold up no other pipeline") {
    Kafka& kafka = Kafka::real();
    const WorkFolder folder("hang-several");
    constexpr int partitions = 8;
    std::string yaml = "workers: 8\npluginDir: " SLUICE_TEST_BINARY_DIR "/tests/plugins\n";
    std::string pipelines;
    std::map<std::string, std::string> topics;
    for (const std::string name : {"first", "second", "neighbour"}) {
        topics[name] = Kafka::unique(name);
        kafka.create_topic(topics[name], partitions);
        PipelineYaml pipeline;
        pipeline.name = name;
        pipeline.topics = {topics[name]};
        pipeline.trigger = "{ processingTime: 100ms }";
        pipeline.sink = std::string("plugin: slow\n") + (name == "neighbour" ? "" : "holdWrite: 10m\n");
        pipeline.extra = "stalledAfter: 2s\n";
        pipelines += pipeline_yaml(kafka.bootstrap(), pipeline);
    }
    DaemonProcess daemon(folder.path(), yaml + config_yaml(folder.path(), pipelines));
    daemon.start();
    const auto produce = [&](const std::string& name) {
        for (int partition = 0; partition < partitions; ++partition) kafka.produce_numbers(topics[name], partition, 50);
    };
    // One after the other: the first has all eight workers to hang on, the second those that are left to two.
    for (const std::string name : {"first", "second"}) {
        CAPTURE(name);
        produce(name);
        REQUIRE_MESSAGE(reaches(folder, name, "STALLED"), daemon.log());
    }
    for (int batch = 0; batch < 3; ++batch) {
        produce("neighbour");
        CHECK_MESSAGE(daemon.says("batch committed pipeline=neighbour batch=" + std::to_string(batch) + " "), daemon.log());
    }
    for (const std::string name : {"first", "second"}) {
        CHECK(status_of(folder, name).at("state").as_string() == "STALLED");
        CHECK(daemon.log().find("batch committed pipeline=" + name) == std::string::npos);
    }
}

TEST_CASE("what never comes back keeps neither reloads nor SIGTERM waiting, and its batch is run again") {
    Kafka& kafka = Kafka::real();
    const WorkFolder folder("hang-for-ever");
    const std::string topic = Kafka::unique("hang-for-ever");
    kafka.create_topic(topic, 1);
    kafka.produce_numbers(topic, 0, 5'000);
    const auto plugins = folder.path() / "plugins";
    std::filesystem::create_directory(plugins);
    for (const std::string file : {"tests/plugins/slow.so", "lib/sluice/file.so"}) {
        std::filesystem::copy(std::filesystem::path(SLUICE_TEST_BINARY_DIR) / file, plugins);
    }
    const auto yaml = [&](const std::string& trigger, const std::string& hold) {
        std::string pipelines;
        for (const std::string name : {"hanging", "neighbour"}) {
            PipelineYaml pipeline;
            pipeline.name = name;
            pipeline.topics = {topic};
            pipeline.trigger = trigger;
            if (name == "hanging") pipeline.sink = "plugin: slow\nholdWrite: " + hold + "\n";
            if (name == "neighbour") pipeline.out = folder.path() / "out";
            pipeline.extra = "stalledAfter: 1s\n";
            pipelines += pipeline_yaml(kafka.bootstrap(), pipeline);
        }
        return "shutdownTimeout: 1s\npluginDir: " + plugins.string() + "\n" + config_yaml(folder.path(), pipelines);
    };
    const auto newest_batch = [&]() -> json::object {
        const auto listed = run_command("sluice", {"batches", "list", "hanging", "--limit", "1", "--json", "--config",
                                                   (folder.path() / "sluice.yaml").string()});
        REQUIRE_MESSAGE(listed.code == 0, listed.err);
        return json::parse(listed.out).at("batches").at(0).as_object();
    };
    DaemonProcess daemon(folder.path(), yaml("{ processingTime: 100ms }", "1h"));
    daemon.start();
    REQUIRE_MESSAGE(reaches(folder, "hanging", "STALLED"), daemon.log());
    for (const std::string interval : {"200ms", "300ms"}) {
        CAPTURE(interval);
        std::ofstream(folder.path() / "sluice.yaml") << yaml("{ processingTime: " + interval + " }", "1h");
        const CommandResult reload =
            run_command("sluice", {"reload", "--config", (folder.path() / "sluice.yaml").string()});
        CHECK_MESSAGE(reload.code == 0, reload.err);
        CHECK_MESSAGE(reload.out.find("pipeline 'hanging': has not ended: its sink has not come back") != std::string::npos, reload.out);
        CHECK(reaches(folder, "neighbour", "CAUGHT_UP"));
    }
    daemon.signal(SIGTERM);
    const auto ended = daemon.wait();
    REQUIRE(ended);
    CHECK_MESSAGE(ended->code == 1, daemon.log());
    CHECK_MESSAGE(daemon.log().find("waits_for=hanging") != std::string::npos, daemon.log());
    CHECK(newest_batch().at("state") == "planned");

    daemon.set_yaml(yaml("availableNow", "0ms"));
    daemon.start();
    const auto through = daemon.wait();
    REQUIRE(through);
    CHECK_MESSAGE(through->code == 0, daemon.log());
    CHECK(newest_batch().at("state") == "committed");
    CHECK(difference(visible_in_kafka(kafka.bootstrap(), {topic}), delivered_in(folder.path() / "out")) == "");
}
