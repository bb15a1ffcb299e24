#include <doctest/doctest.h>

#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "daemon/kafka/embedded_broker.hpp"
#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

struct Setup {
    explicit Setup(const std::string& name) : folder(name), topic(Kafka::unique(name)) {
        kafka.create_topic(topic, 2);
        pipeline.topics = {topic};
        pipeline.out = folder.path() / "out";
    }
    void produce(std::int64_t count) {
        kafka.produce_numbers(topic, 0, count);
        kafka.produce_numbers(topic, 1, count);
    }
    std::string yaml() const {
        return config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline));
    }
    std::string renamed_yaml() const {
        const std::string name = "name: " + pipeline.name;
        std::string text = yaml();
        return text.replace(text.find(name), name.size(), name + "\n    renamedFrom: orders");
    }
    Ledger expected() const { return visible_in_kafka(kafka.bootstrap(), {topic}); }
    Ledger delivered() const { return delivered_in(folder.path() / "out"); }

    Kafka& kafka = Kafka::real();
    const WorkFolder folder;
    const std::string topic;
    PipelineYaml pipeline;
};

int run_to_end(DaemonProcess& daemon, const std::map<std::string, std::string>& environment = {}) {
    daemon.start(environment);
    const auto ended = daemon.wait();
    INFO(daemon.log());
    REQUIRE(ended);
    REQUIRE(ended->code);
    return *ended->code;
}

void copy_tree(const std::filesystem::path& from, const std::filesystem::path& to) {
    std::filesystem::remove_all(to);
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

}  // namespace

TEST_CASE("a checkpoint restored from yesterday is refused, and the output is left alone") {
    for (const std::string mode : {"parts", "append"}) {
        CAPTURE(mode);
        Setup setup("yesterday-" + mode);
        setup.pipeline.sink = "plugin: file\nformat: json\nmode: " + mode + "\n";
        setup.produce(300);
        DaemonProcess daemon(setup.folder.path(), setup.yaml());
        REQUIRE(run_to_end(daemon) == 0);
        const auto data = setup.folder.path() / "data";
        const auto backup = setup.folder.path() / "backup";
        copy_tree(data, backup);
        setup.produce(300);
        REQUIRE(run_to_end(daemon) == 0);
        const Ledger before = setup.delivered();
        copy_tree(backup, data);
        CHECK(run_to_end(daemon) == 1);
        CHECK_MESSAGE(daemon.log().find("checkpoint is older than the output") != std::string::npos,
                      daemon.log());
        CHECK(difference(before, setup.delivered()) == "");
    }
}

TEST_CASE("a checkpoint of another cluster is refused") {
    Setup setup("othercluster");
    setup.produce(10);
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    REQUIRE(run_to_end(daemon) == 0);
    auto other = kafka::EmbeddedBroker::start();
    REQUIRE(other);
    REQUIRE((*other)->create_topic(setup.topic, 2));
    daemon.set_yaml(config_yaml(setup.folder.path(),
                                pipeline_yaml((*other)->bootstrap_servers(), setup.pipeline)));
    CHECK(run_to_end(daemon) == 1);
    CHECK_MESSAGE(daemon.log().find("cluster") != std::string::npos, daemon.log());
    CHECK_MESSAGE(daemon.log().find("code=configuration") != std::string::npos, daemon.log());
    CHECK(count(setup.delivered()) == 20);
}

TEST_CASE("a renamed pipeline is refused until renamedFrom says so, and then goes on") {
    Setup setup("renamed");
    setup.pipeline.sink = "plugin: file\nformat: json\nmode: append\n";
    setup.produce(10);
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    REQUIRE(run_to_end(daemon) == 0);
    setup.pipeline.name = "sales";
    daemon.set_yaml(setup.yaml());
    CHECK(run_to_end(daemon) == 78);
    CHECK_MESSAGE(daemon.log().find("renamedFrom: orders") != std::string::npos, daemon.log());
    CHECK(count(setup.delivered()) == 20);

    setup.produce(10);
    daemon.set_yaml(setup.renamed_yaml());
    CHECK(run_to_end(daemon) == 0);
    CHECK(count(setup.delivered()) == 40);
    CHECK(setup.delivered() == setup.expected());

    // The name is still its sink's: a new pipeline that took it would share that one's output.
    setup.pipeline.name = "orders";
    daemon.set_yaml(setup.yaml());
    CHECK(run_to_end(daemon) == 78);
    CHECK_MESSAGE(daemon.log().find("sluice forget sales") != std::string::npos, daemon.log());
}

TEST_CASE("a pipeline is renamed by a reload while it runs, and reads nothing twice") {
    Setup setup("reload");
    setup.pipeline.sink = "plugin: file\nformat: json\nmode: append\n";
    setup.pipeline.trigger = "{ processingTime: 20ms }";
    setup.produce(10);
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    daemon.start();
    REQUIRE(daemon.says("batch committed"));
    setup.pipeline.name = "sales";
    std::ofstream(setup.folder.path() / "sluice.yaml") << setup.renamed_yaml();
    setup.produce(10);
    daemon.signal(SIGHUP);
    REQUIRE(daemon.says("reloaded"));
    CHECK(daemon.log().find("checkpoint renamed") != std::string::npos);
    setup.produce(10);
    CHECK(wait_until([&] { return count(setup.delivered()) == 60; }));
    daemon.signal(SIGTERM);
    CHECK(daemon.wait()->code == 0);
    CHECK_MESSAGE(setup.delivered() == setup.expected(), daemon.log());
}

TEST_CASE("a second daemon on the same data directory is refused by the name of the first") {
    Setup setup("second");
    setup.pipeline.trigger = "{ processingTime: 1s }";
    DaemonProcess first(setup.folder.path(), setup.yaml());
    first.start();
    REQUIRE(first.says("ready"));
    const auto elsewhere = setup.folder.path() / "elsewhere";
    std::filesystem::create_directory(elsewhere);
    DaemonProcess second(elsewhere, setup.yaml());
    CHECK(run_to_end(second) == 75);
    CHECK_MESSAGE(second.log().find(std::to_string(first.pid())) != std::string::npos, second.log());
    CHECK(first.is_running());
    first.signal(SIGTERM);
    CHECK(first.wait()->code == 0);
}

TEST_CASE("a broker that is not there keeps nothing from being ready, and gives up with 75 when asked") {
    const WorkFolder folder("nobroker");
    PipelineYaml pipeline;
    pipeline.topics = {"orders"};
    pipeline.out = folder.path() / "out";
    pipeline.trigger = "{ processingTime: 1s }";
    DaemonProcess waiting(folder.path(), config_yaml(folder.path(), pipeline_yaml("127.0.0.1:1", pipeline)));
    waiting.start();
    CHECK(waiting.says("ready"));
    CHECK(waiting.says("retrying"));
    waiting.signal(SIGTERM);
    CHECK(waiting.wait()->code == 0);

    pipeline.trigger = "availableNow";
    pipeline.extra = "errors: { retry: { timeout: 1s } }\n";
    DaemonProcess giving_up(folder.path(), config_yaml(folder.path(), pipeline_yaml("127.0.0.1:1", pipeline)));
    CHECK(run_to_end(giving_up) == 75);
    CHECK(giving_up.log().find("127.0.0.1:1") != std::string::npos);
}

TEST_CASE("a full disk under the sink is waited for, and nothing is lost or doubled") {
    Setup setup("fulldisk");
    setup.pipeline.trigger = "{ processingTime: 100ms }";
    setup.pipeline.source_extra = "maxOffsetsPerTrigger: 2000\n";
    setup.pipeline.extra = "errors: { retry: { delayMax: 300ms } }\n";
    setup.produce(6'000);
    const auto disk = setup.folder.path() / "disk";
    std::filesystem::create_directory(disk);
    setup.pipeline.out = disk / "out";
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    daemon.start({}, with_mounts("mount -t tmpfs -o size=600k tmpfs " + disk.string()));
    REQUIRE(daemon.says("No space left on device"));
    CHECK(daemon.says("retrying"));
    const std::string remount = std::string("nsenter ") +
                                (geteuid() != 0 ? "--user --preserve-credentials " : "") +
                                "--mount --root --target " + std::to_string(daemon.pid()) +
                                " mount -o remount,size=64m " + disk.string();
    REQUIRE(std::system(remount.c_str()) == 0);
    const std::filesystem::path seen = daemon.seen(disk) / "out";
    const Ledger expected = setup.expected();
    CHECK_MESSAGE(wait_until([&] { return count(delivered_in(seen)) >= count(expected); },
                             std::chrono::seconds{30}),
                  daemon.log());
    CHECK(difference(expected, delivered_in(seen)) == "");
    daemon.signal(SIGTERM);
    CHECK(daemon.wait()->code == 0);
}

TEST_CASE("a full disk under the checkpoints is refused with 74 before anything is read") {
    Setup setup("fulldata");
    setup.produce(100);
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    const auto data = setup.folder.path() / "data";
    std::filesystem::create_directory(data);
    daemon.start({}, with_mounts("mount -t tmpfs -o size=1m tmpfs " + data.string() +
                                 " && { dd if=/dev/zero of=" + (data / "ballast").string() +
                                 " bs=64k 2>/dev/null; true; }"));
    const auto ended = daemon.wait();
    REQUIRE(ended);
    CHECK_MESSAGE(ended->code == 74, daemon.log());
    CHECK_MESSAGE(daemon.log().find("the disk or the quota is full") != std::string::npos, daemon.log());
    CHECK_FALSE(std::filesystem::exists(setup.folder.path() / "out"));
}

TEST_CASE("damaged checkpoints are refused with 74 and the way back, which is a backup in their place") {
    namespace fs = std::filesystem;
    Setup setup("damaged");
    setup.produce(100);
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    REQUIRE(run_to_end(daemon) == 0);
    const auto data = setup.folder.path() / "data";
    const auto backup = setup.folder.path() / "backup";
    copy_tree(data, backup);
    setup.produce(100);
    const Ledger before = setup.delivered();
    std::string manifest;
    for (const fs::directory_entry& file : fs::directory_iterator(data / "checkpoints")) {
        if (!file.path().filename().string().starts_with("MANIFEST-")) continue;
        manifest = file.path().filename().string();
        fs::resize_file(file.path(), file.file_size() / 2);
    }
    REQUIRE_FALSE(manifest.empty());
    CHECK(run_to_end(daemon) == 74);
    const std::string log = daemon.log();
    INFO(log);
    CHECK(log.find("are damaged: the file " + manifest) != std::string::npos);
    CHECK(log.find("The way back: stop the daemon, move the directory aside") != std::string::npos);
    CHECK(difference(before, setup.delivered()) == "");
    copy_tree(backup, data);
    CHECK(run_to_end(daemon) == 0);
    CHECK(difference(setup.expected(), setup.delivered()) == "");
}
