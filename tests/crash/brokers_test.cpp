// Brokers that die, freeze and restart while a daemon reads from them and a producer writes to them.
#include <doctest/doctest.h>

#include <atomic>
#include <boost/json.hpp>
#include <csignal>
#include <exception>
#include <functional>
#include <thread>

#include "tests/support/e2e.hpp"
#include "tests/support/kafka_cluster.hpp"

using namespace sluice;
using namespace sluice::test;
namespace json = boost::json;

namespace {

constexpr int partitions = 6;
constexpr std::chrono::seconds patience{180};  // for a machine that has other things to do

/// Produces without a pause, in a thread and with a client of its own, until it is told to stop.
class Load {
 public:
    Load(const KafkaCluster& cluster, std::string topic)
        : kafka_(cluster.another_client()), topic_(std::move(topic)), thread_([this] { run(); }) {}
    ~Load() { end(); }
    /// This and stop() throw what producing threw.
    [[nodiscard]] std::int64_t acknowledged() {
        if (failed_) stop();
        return acknowledged_;
    }
    void stop() {
        end();
        if (failure_) std::rethrow_exception(failure_);
    }

 private:
    void end() {
        stopped_ = true;
        if (thread_.joinable()) thread_.join();
    }
    void run() try {
        while (!stopped_) {
            const std::int64_t first = acknowledged_;
            kafka_.produce(topic_, chunk, [&](std::int64_t i) {
                Record record;
                record.partition = static_cast<std::int32_t>((first + i) % partitions);
                record.value = "order " + std::to_string(first + i);
                return record;
            });
            acknowledged_ += chunk;
        }
    } catch (...) {
        failure_ = std::current_exception();
        failed_ = true;
    }

    static constexpr std::int64_t chunk = 60;
    Kafka kafka_;
    const std::string topic_;
    std::atomic<std::int64_t> acknowledged_{0};
    std::atomic<bool> stopped_{false};
    std::exception_ptr failure_;
    std::atomic<bool> failed_{false};
    std::thread thread_;
};

/// One topic under load, delivered by two pipelines, one for each mode of the file sink.
class Scene {
 public:
    Scene() : folder_("brokers"), topic_(Kafka::unique("brokers")), daemon_(folder_.path(), "") {
        cluster.client().create_topic(topic_, partitions);
        cluster.await_in_sync(topic_, partitions);
        std::string yaml;
        for (const std::string mode : {"parts", "append"}) {
            PipelineYaml pipeline;
            pipeline.name = mode;
            pipeline.topics = {topic_};
            pipeline.trigger = "{ processingTime: 200ms }";
            pipeline.source_extra = "maxOffsetsPerTrigger: 20000\nmaxRecordsPerPartition: 1000\n"
                                    "kafka.socket.timeout.ms: 3000\n";
            pipeline.sink = "plugin: file\nformat: json\nmode: " + mode + "\n";
            pipeline.out = folder_.path() / mode;
            pipeline.extra = "errors: { retry: { delayMax: 500ms } }\n";
            yaml += pipeline_yaml(cluster.bootstrap(), pipeline);
        }
        daemon_.set_yaml(config_yaml(folder_.path(), yaml));
        daemon_.start();
        load_.emplace(cluster, topic_);
        flows("at first");
    }

    /// The broker that leads partition 0 suffers `fault`, which takes its partitions from it; what is
    /// produced meanwhile arrives; `repair` brings it back.
    void survive(const std::string& what, const std::function<void(int)>& fault,
                 const std::function<void(int)>& repair) {
        CAPTURE(what);
        const int broker = cluster.leader(topic_, 0);
        REQUIRE(broker > 0);
        MESSAGE(what << ": broker " << broker);
        fault(broker);
        for (int p = 0; p < partitions; ++p) (void)cluster.await_leader_other_than(broker, topic_, p);
        flows("without the broker");
        repair(broker);
        cluster.await_in_sync(topic_, partitions);
        flows("with the broker back");
        ++faults_;
    }

    void compare() {
        load_->stop();
        const Ledger expected = visible_in_kafka(cluster.bootstrap(), {topic_});
        CHECK(count(expected) == static_cast<std::uint64_t>(load_->acknowledged()));
        for (const std::string mode : {"parts", "append"}) {
            CAPTURE(mode);
            REQUIRE_MESSAGE(arrive(load_->acknowledged()), daemon_.log());
            CHECK(difference(expected, delivered_in(folder_.path() / mode)) == "");
        }
        CHECK_MESSAGE(daemon_.log().find("data loss") == std::string::npos, daemon_.log());
        daemon_.signal(SIGTERM);
        CHECK(daemon_.wait()->code == 0);
        MESSAGE(faults_ << " faults, " << 2 * count(expected) << " records compared");
    }

    KafkaCluster& cluster = KafkaCluster::real();

 private:
    /// Whether each pipeline has committed so many records.
    bool arrive(std::int64_t records) {
        return wait_until([&] {
            const auto answer = run_command(
                "sluice", {"status", "--json", "--config", (folder_.path() / "sluice.yaml").string()});
            if (answer.out.empty()) return false;
            const json::value status = json::parse(answer.out);
            for (const auto& pipeline : status.at("pipelines").as_array()) {
                CHECK_MESSAGE(pipeline.at("state").as_string() != "FAILED", answer.out);
                const auto& committed = pipeline.at("records_committed");
                if (!committed.is_number() || committed.to_number<std::int64_t>() < records) return false;
            }
            return true;
        }, patience);
    }
    /// What is produced from now on is acknowledged and delivered.
    void flows(const std::string& when) {
        CAPTURE(when);
        const std::int64_t goal = load_->acknowledged() + 600;
        REQUIRE(wait_until([&] { return load_->acknowledged() >= goal; }, patience));
        REQUIRE_MESSAGE(arrive(goal), daemon_.log());
        MESSAGE(when << ": after " << took() << " ms");
    }

    /// Since it was asked last.
    std::int64_t took() {
        const auto before = std::exchange(asked_, std::chrono::steady_clock::now());
        return std::chrono::duration_cast<std::chrono::milliseconds>(asked_ - before).count();
    }

    const WorkFolder folder_;
    const std::string topic_;
    DaemonProcess daemon_;
    std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
    std::optional<Load> load_;
    int faults_ = 0;
};

}  // namespace

TEST_CASE("a broker killed, frozen, restarted under load costs no record and doubles none") {
    Scene scene;
    KafkaCluster& cluster = scene.cluster;
    const auto start = [&](int broker) { cluster.start(broker); };
    scene.survive("kill -9", [&](int broker) { cluster.kill(broker); }, start);
    scene.survive("frozen, and thawed believing that it leads", [&](int broker) { cluster.freeze(broker); },
                  [&](int broker) { cluster.thaw(broker); });
    scene.survive("a restart", [&](int broker) { cluster.stop(broker); }, start);
    scene.compare();
}
