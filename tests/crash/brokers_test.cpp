// Brokers that die, freeze and restart while a daemon reads from them and a producer writes to them.
#include <doctest/doctest.h>

#include <atomic>
#include <boost/json.hpp>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <functional>
#include <thread>

#include "tests/integration/kafka_sink/target.hpp"
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

/// Where the cluster keeps what it knows of this transaction: as Java hashes the id, over the partitions that
/// kafka.sh gives the topic.
constexpr const char* transactions_topic = "__transaction_state";
std::int32_t coordinator_partition(const std::string& transactional_id) {
    std::uint32_t hash = 0;
    for (const char c : transactional_id) hash = 31 * hash + static_cast<unsigned char>(c);
    return std::abs(static_cast<std::int32_t>(hash)) % 4;
}

/// One topic under load, delivered by three pipelines: one for each mode of the file sink, and a transactional copy
/// into the same cluster.
class Scene {
 public:
    Scene()
        : folder_("brokers"), topic_(Kafka::unique("brokers")), copy_(topic_ + ".copy"), daemon_(folder_.path(), "") {
        for (const std::string& topic : {topic_, copy_}) {
            cluster.client().create_topic(topic, partitions);
            cluster.await_in_sync(topic, partitions);
        }
        std::string yaml;
        for (const std::string mode : {"parts", "append"}) {
            PipelineYaml pipeline = pipeline_of(mode, "plugin: file\nformat: json\nmode: " + mode + "\n");
            pipeline.out = folder_.path() / mode;
            yaml += pipeline_yaml(cluster.bootstrap(), pipeline);
        }
        // Its name is its transactional id: this run's own.
        yaml += pipeline_yaml(cluster.bootstrap(),
                              pipeline_of(topic_, "plugin: kafka\nkafka: { bootstrap.servers: '" + cluster.bootstrap() +
                                                      "', socket.timeout.ms: 3000 }\ntopic: '{topic}.copy'\n"
                                                      "originHeaders: true\n"));
        daemon_.set_yaml(config_yaml(folder_.path(), yaml));
        daemon_.start();
        load_.emplace(cluster, topic_);
        flows("at first");
    }

    /// The broker that leads partition 0 suffers `fault`, which takes its partitions from it; what is
    /// produced meanwhile arrives; `repair` brings it back.
    void survive(const std::string& what, const std::function<void(int)>& fault,
                 const std::function<void(int)>& repair) {
        survive(what, cluster.leader(topic_, 0), fault, repair);
    }
    /// The same for the broker that coordinates the copy's transactions.
    void survive_at_the_coordinator(const std::string& what, const std::function<void(int)>& fault,
                                    const std::function<void(int)>& repair) {
        const std::int32_t partition = coordinator_partition("sluice-" + topic_);
        const int broker = cluster.leader(transactions_topic, partition);
        survive(what, broker, fault, repair);
        CHECK(cluster.leader(transactions_topic, partition) > 0);
    }
    void survive(const std::string& what, int broker, const std::function<void(int)>& fault,
                 const std::function<void(int)>& repair) {
        CAPTURE(what);
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
        REQUIRE_MESSAGE(arrive(load_->acknowledged()), daemon_.log());
        const auto copied = read_topic(cluster.bootstrap(), copy_);
        CHECK(difference(expected, by_origin(copied)) == "");
        CHECK(disorder(copied) == "");
        CHECK_MESSAGE(daemon_.log().find("data loss") == std::string::npos, daemon_.log());
        daemon_.signal(SIGTERM);
        CHECK(daemon_.wait()->code == 0);
        MESSAGE(faults_ << " faults, " << 3 * count(expected) << " records compared; the copy has "
                        << read_topic(cluster.bootstrap(), copy_, "read_uncommitted").size() - copied.size()
                        << " aborted ones");
    }

    KafkaCluster& cluster = KafkaCluster::real();

 private:
    [[nodiscard]] PipelineYaml pipeline_of(const std::string& name, const std::string& sink) const {
        PipelineYaml pipeline;
        pipeline.name = name;
        pipeline.topics = {topic_};
        pipeline.trigger = "{ processingTime: 200ms }";
        pipeline.source_extra = "maxOffsetsPerTrigger: 20000\nmaxRecordsPerPartition: 1000\n"
                                "kafka.socket.timeout.ms: 3000\n";
        pipeline.sink = sink;
        pipeline.extra = "errors: { retry: { delayMax: 500ms } }\n";
        return pipeline;
    }
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
    const std::string copy_;
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
    scene.survive_at_the_coordinator("kill -9 of the coordinator", [&](int broker) { cluster.kill(broker); }, start);
    scene.survive_at_the_coordinator("the coordinator frozen", [&](int broker) { cluster.freeze(broker); },
                                     [&](int broker) { cluster.thaw(broker); });
    scene.compare();
}
