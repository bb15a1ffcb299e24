#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

/// What systemd would be: a datagram socket that keeps what it was told.
class NotifySocket {
 public:
    NotifySocket() : path_("/tmp/sluice-notify-" + std::to_string(getpid())) {
        unlink(path_.c_str());
        fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
        REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    ~NotifySocket() {
        close(fd_);
        unlink(path_.c_str());
    }
    const std::string& path() const { return path_; }
    bool hears(const std::string& text) {
        return wait_until([&] {
            pollfd ready{fd_, POLLIN, 0};
            while (poll(&ready, 1, 0) == 1) {
                char buffer[4096];
                const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
                if (got > 0) heard_.append(buffer, static_cast<std::size_t>(got)).append("\n");
            }
            return heard_.find(text) != std::string::npos;
        });
    }

 private:
    std::string path_;
    int fd_ = -1;
    std::string heard_;
};

struct Service {
    explicit Service(const std::string& name) : folder(name), topic(Kafka::unique(name)) {
        kafka.create_topic(topic, 2);
        pipeline.topics = {topic};
        pipeline.trigger = "{ processingTime: 100ms }";
        pipeline.out = folder.path() / "out";
    }
    std::string yaml() const {
        return config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline));
    }
    CommandResult sluice(std::vector<std::string> words) const {
        words.push_back("--config");
        words.push_back((folder.path() / "sluice.yaml").string());
        return run_command("sluice", words);
    }
    std::string state_of(const std::string& name) const {
        const auto status = sluice({"status", "--json"});
        if (status.out.empty()) return "unknown";  // the daemon is on its way up or down
        const boost::json::value answer = boost::json::parse(status.out);
        for (const auto& entry : answer.at("pipelines").as_array()) {
            if (entry.at("pipeline").as_string() == name) return std::string(entry.at("state").as_string());
        }
        return "absent";
    }

    /// Records of the open batch that the sink has taken; 0 while there is none.
    std::int64_t polled() const {
        const auto status = sluice({"status", "--json"});
        if (status.out.empty()) return 0;
        const boost::json::value answer = boost::json::parse(status.out);
        const boost::json::array& pipelines = answer.at("pipelines").as_array();
        if (pipelines.empty()) return 0;
        const boost::json::value& batch = pipelines.front().at("batch");
        if (!batch.is_object() || !batch.at("polled").is_number()) return 0;
        return batch.at("polled").to_number<std::int64_t>();
    }

    Kafka& kafka = Kafka::real();
    const WorkFolder folder;
    const std::string topic;
    PipelineYaml pipeline;
};

/// A batch that its sink takes a minute for is told to end by `end`; then a sink that keeps what it is given
/// gets the same plan.
void abort_and_run_again(const std::string& name, const std::string& shutdown_timeout,
                         const std::function<void(DaemonProcess&)>& end) {
    Service service(name);
    service.kafka.produce_numbers(service.topic, 0, 60'000);
    const PipelineYaml keeping = service.pipeline;
    service.pipeline.source_extra = "maxOffsetsPerTrigger: 60000\nmaxRecordsPerPartition: 60000\n";
    service.pipeline.sink = "plugin: slow\nholdWrite: 1s\n";  // for a thousand records, or fewer
    service.pipeline.out.clear();
    DaemonProcess daemon(service.folder.path(), "shutdownTimeout: " + shutdown_timeout +
                                                    "\npluginDir: " SLUICE_TEST_BINARY_DIR "/tests/plugins\n" +
                                                    service.yaml());
    daemon.start();
    REQUIRE_MESSAGE(wait_until([&] { return service.polled() > 0; }), daemon.log());
    end(daemon);
    const auto ended = daemon.wait(std::chrono::seconds{40});  // its sink needs a minute
    REQUIRE_MESSAGE(ended, daemon.log());
    CHECK_MESSAGE(ended->code == 0, daemon.log());
    CHECK_MESSAGE(daemon.log().find("batch committed") == std::string::npos, daemon.log());
    CHECK(has_open_batch(service.folder.path()));

    service.pipeline = keeping;
    service.pipeline.trigger = "availableNow";
    daemon.set_yaml(service.yaml());
    daemon.start();
    const auto done = daemon.wait();
    REQUIRE(done);
    CHECK_MESSAGE(done->code == 0, daemon.log());
    CHECK_MESSAGE(daemon.log().find("running the last plan again") != std::string::npos, daemon.log());
    CHECK(difference(visible_in_kafka(service.kafka.bootstrap(), {service.topic}),
                     delivered_in(service.folder.path() / "out")) == "");
}

}  // namespace

TEST_CASE("systemd is told of being ready, of a reload and of the end") {
    Service service("notify");
    NotifySocket systemd;
    DaemonProcess daemon(service.folder.path(), service.yaml());
    daemon.start({{"NOTIFY_SOCKET", systemd.path()}, {"WATCHDOG_USEC", "200000"}});
    CHECK(systemd.hears("READY=1"));
    CHECK(systemd.hears("WATCHDOG=1"));
    daemon.signal(SIGHUP);
    CHECK(systemd.hears("RELOADING=1"));
    CHECK(daemon.says("reloaded"));
    daemon.signal(SIGTERM);
    CHECK(systemd.hears("STOPPING=1"));
    const auto ended = daemon.wait();
    REQUIRE(ended);
    CHECK_MESSAGE(ended->code == 0, daemon.log());
}

TEST_CASE("systemd is told to wait while opening the checkpoints takes long") {
    Service service("patience");
    service.pipeline.trigger = "availableNow";
    service.kafka.produce_numbers(service.topic, 0, 5);
    DaemonProcess daemon(service.folder.path(), service.yaml());
    daemon.start();
    REQUIRE(daemon.wait()->code == 0);
    // A pipe that nobody writes to, where opening reads a file: it takes for ever.
    const auto noted = service.folder.path() / "data" / "checkpoints" / "SEQUENCE";
    REQUIRE(std::filesystem::remove(noted));
    REQUIRE(mkfifo(noted.c_str(), 0600) == 0);
    std::filesystem::remove(service.folder.path() / "log");
    NotifySocket systemd;
    daemon.start({{"NOTIFY_SOCKET", systemd.path()}});
    CHECK(systemd.hears("EXTEND_TIMEOUT_USEC=30000000"));
    CHECK(daemon.is_running());
    CHECK_MESSAGE(daemon.log().find("ready") == std::string::npos, daemon.log());
    daemon.kill();
}

TEST_CASE("a reload adds and removes pipelines; a wrong one changes nothing") {
    Service service("reload");
    service.kafka.produce_numbers(service.topic, 0, 50);
    DaemonProcess daemon(service.folder.path(), service.yaml());
    daemon.start();
    REQUIRE(wait_until([&] { return service.state_of("orders") == "CAUGHT_UP"; }));

    const auto file = service.folder.path() / "sluice.yaml";
    PipelineYaml second = service.pipeline;
    second.name = "copies";
    second.out = service.folder.path() / "copies";
    std::ofstream(file) << service.yaml() << pipeline_yaml(service.kafka.bootstrap(), second);
    const auto added = service.sluice({"reload"});
    CHECK_MESSAGE(added.code == 0, added.err);
    CHECK(wait_until([&] { return service.state_of("copies") == "CAUGHT_UP"; }));

    std::ofstream(file) << service.yaml() << "surprise: 1\n";
    const auto refused = service.sluice({"reload", "--socket",
                                         (service.folder.path() / "data" / "control.sock").string()});
    CHECK(refused.code == 78);
    CHECK_MESSAGE((refused.out + refused.err).find("surprise") != std::string::npos,
                  (refused.out + refused.err));

    std::ofstream(file) << service.yaml();
    CHECK(wait_until([&] { return service.state_of("copies") == "CAUGHT_UP"; }));
    CHECK(service.sluice({"reload"}).code == 0);
    CHECK(service.state_of("copies") == "absent");
    CHECK(wait_until([&] { return service.state_of("orders") == "CAUGHT_UP"; }));
    CHECK(count(delivered_in(service.folder.path() / "copies")) == 50);
    daemon.signal(SIGTERM);
    CHECK(daemon.wait()->code == 0);
}

TEST_CASE("pause, resume and stop act on a running pipeline, and outlive a restart of the daemon") {
    Service service("pause");
    service.kafka.produce_numbers(service.topic, 0, 50);
    DaemonProcess daemon(service.folder.path(), service.yaml());
    daemon.start();
    REQUIRE(wait_until([&] { return service.state_of("orders") == "CAUGHT_UP"; }));
    CHECK(service.sluice({"pause", "orders"}).code == 0);
    REQUIRE(wait_until([&] { return service.state_of("orders") == "PAUSED"; }));
    service.kafka.produce_numbers(service.topic, 1, 20);
    daemon.signal(SIGTERM);
    REQUIRE(daemon.wait()->code == 0);
    daemon.start();
    REQUIRE(wait_until([&] { return service.state_of("orders") == "PAUSED"; }));
    CHECK(count(delivered_in(service.folder.path() / "out")) == 50);
    CHECK(service.sluice({"resume", "orders"}).code == 0);
    CHECK(wait_until([&] { return count(delivered_in(service.folder.path() / "out")) == 70; }));
    CHECK(service.sluice({"stop", "orders"}).code == 0);
    CHECK(wait_until([&] { return service.state_of("orders") == "STOPPED"; }));

    // A stopped pipeline's positions may be moved; a running one's may not.
    const auto moved = service.sluice({"offsets", "reset", "orders", "--to-latest", "--execute"});
    CHECK_MESSAGE(moved.code == 0, (moved.out + moved.err));
    CHECK(service.sluice({"resume", "orders"}).code == 0);
    REQUIRE(wait_until([&] { return service.state_of("orders") == "CAUGHT_UP"; }));
    const auto refused = service.sluice({"offsets", "reset", "orders", "--to-earliest", "--execute"});
    CHECK(refused.code != 0);
    CHECK_MESSAGE(refused.err.find("sluice pause orders") != std::string::npos, refused.err);
    daemon.signal(SIGTERM);
    CHECK(daemon.wait()->code == 0);
}

TEST_CASE("with the daemon down, batches are listed and found, and one record is stepped over") {
    Service service("offline");
    service.pipeline.trigger = "availableNow";
    service.kafka.produce_numbers(service.topic, 0, 30);
    DaemonProcess daemon(service.folder.path(), service.yaml());
    daemon.start();
    REQUIRE(daemon.wait()->code == 0);
    // With the daemon down the same commands work on the checkpoints.
    const auto batches = service.sluice({"batches", "list", "orders", "--json"});
    CHECK_MESSAGE(batches.code == 0, batches.err);
    CHECK(batches.out.find("committed") != std::string::npos);
    const auto found = service.sluice({"batches", "find", "orders", service.topic + "/0@17"});
    CHECK_MESSAGE(found.code == 0, (found.out + found.err));
    service.kafka.produce_numbers(service.topic, 0, 5);
    const auto skipped = service.sluice({"offsets", "skip", "orders", service.topic + "/0@30", "--execute"});
    CHECK_MESSAGE(skipped.code == 0, (skipped.out + skipped.err));
    daemon.start();
    REQUIRE(daemon.wait()->code == 0);
    const Ledger delivered = delivered_in(service.folder.path() / "out");
    CHECK(count(delivered) == 34);
    for (const Entry& entry : delivered.at({service.topic, 0})) CHECK(entry.offset != 30);
}

TEST_CASE("SIGTERM lets the running batch commit; what was read is not read again") {
    Service service("sigterm");
    service.pipeline.source_extra = "maxOffsetsPerTrigger: 5000\n";
    produce_mixed(service.kafka, service.topic, 2, 100'000);
    DaemonProcess daemon(service.folder.path(), service.yaml());
    for (int i = 0; i < 3; ++i) {
        std::filesystem::remove(service.folder.path() / "log");
        daemon.start();
        CHECK(daemon.says("batch committed"));
        daemon.signal(SIGTERM);
        const auto ended = daemon.wait();
        REQUIRE(ended);
        CHECK_MESSAGE(ended->code == 0, daemon.log());
        // The one before left no plan behind.
        CHECK_MESSAGE(daemon.log().find("running the last plan again") == std::string::npos,
                      daemon.log());
    }
}

TEST_CASE("what has not committed within shutdownTimeout is aborted, and run again from its plan") {
    abort_and_run_again("timeout", "1s", [](DaemonProcess& daemon) { daemon.signal(SIGTERM); });
}

TEST_CASE("a second signal aborts at once, and what was running is run again from its plan") {
    abort_and_run_again("second-signal", "60s", [](DaemonProcess& daemon) {
        daemon.signal(SIGTERM);
        REQUIRE_MESSAGE(daemon.says("stopping why=SIGTERM"), daemon.log());
        CHECK(daemon.is_running());
        daemon.signal(SIGTERM);
        CHECK_MESSAGE(daemon.says("second signal"), daemon.log());
    });
}
