// A log that is cut by an unclean leader election and goes on with other records at the same offsets.
#include <doctest/doctest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <set>

#include "tests/support/e2e.hpp"
#include "tests/support/kafka_cluster.hpp"

using namespace sluice;
using namespace sluice::test;
namespace json = boost::json;

namespace {

constexpr std::chrono::seconds patience{180};  // for a machine that has other things to do

// Both topics are on brokers 1 and 2; the third is there for the vote.
constexpr int first_leader = 1;
constexpr int stale = 2;

struct Log {
    std::string name;   ///< of its pipelines, with -stops and -goes-on
    std::string topic;
    std::int64_t anew = 0;  ///< records written after it was cut
};

/// A daemon with two pipelines for each log: one stops at data loss, one goes on.
class Reader {
 public:
    Reader(const std::string& name, const std::string& bootstrap, const std::vector<Log>& logs,
           const std::string& unharmed)
        : folder_(name), daemon_(folder_.path(), "") {
        std::string yaml;
        for (const Log& log : logs) {
            for (const bool fails : {true, false}) {
                PipelineYaml pipeline;
                pipeline.name = log.name + (fails ? "-stops" : "-goes-on");
                pipeline.topics = {log.topic, unharmed};
                pipeline.trigger = "{ processingTime: 100ms }";
                pipeline.source_extra = std::string("failOnDataLoss: ") + (fails ? "true" : "false") +
                                        "\nfetchOffset.retryInterval: 50ms\nkafka.socket.timeout.ms: 3000\n";
                pipeline.sink = "plugin: file\nformat: json\nmode: append\n";
                pipeline.out = folder_.path() / pipeline.name;
                pipeline.extra = "errors: { retry: { delayMax: 500ms } }\n";
                yaml += pipeline_yaml(bootstrap, pipeline);
                names_.push_back(pipeline.name);
            }
        }
        daemon_.set_yaml(config_yaml(folder_.path(), yaml));
    }
    void start() { daemon_.start(); }
    void end() {
        daemon_.signal(SIGTERM);
        REQUIRE_MESSAGE(daemon_.wait()->code == 0, daemon_.log());
    }
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
    [[nodiscard]] std::string log() const { return daemon_.log(); }

    CommandResult sluice(std::vector<std::string> words) const {
        words.push_back("--config");
        words.push_back((folder_.path() / "sluice.yaml").string());
        return run_command("sluice", words);
    }
    json::object status(const std::string& name) const {
        const auto answer = sluice({"status", "--json"});
        if (answer.out.empty()) return {};
        const json::value status = json::parse(answer.out);
        for (const auto& pipeline : status.at("pipelines").as_array()) {
            if (pipeline.at("pipeline").as_string() == name) return pipeline.as_object();
        }
        return {};
    }
    bool comes_to(const std::string& name, const std::string& state) const {
        return wait_until([&] {
            const auto now = status(name);
            return now.contains("state") && now.at("state").as_string() == state;
        }, patience);
    }
    json::array losses(const std::string& name) const {
        const auto answer = sluice({"losses", "list", name, "--json"});
        REQUIRE_MESSAGE(!answer.out.empty(), answer.err);
        return json::parse(answer.out).at("pipelines").at(0).at("losses").as_array();
    }
    /// What the pipeline delivered of a topic, each as often as it did.
    std::vector<Entry> delivered(const std::string& name, const std::string& topic) const {
        const auto out = folder_.path() / name;
        if (!std::filesystem::exists(out)) return {};
        Ledger ledger;
        try {
            ledger = delivered_in(out);
        } catch (const std::runtime_error&) {
            return {};  // looked at in the middle of a line
        }
        std::vector<Entry> entries = std::move(ledger[{topic, 0}]);
        std::sort(entries.begin(), entries.end());
        return entries;
    }

 private:
    const WorkFolder folder_;
    DaemonProcess daemon_;
    std::vector<std::string> names_;
};

class Scene {
 public:
    Scene() {
        for (Log& log : logs) {
            cluster.client().create_topic_on({first_leader, stale}, log.topic,
                                             {{"unclean.leader.election.enable", "true"},
                                              {"min.insync.replicas", "1"}});
            cluster.await_in_sync(log.topic, 1);
        }
        cluster.client().create_topic(unharmed, 1);
        cluster.await_in_sync(unharmed, 1);
    }
    /// Unique values: what is written anew at an offset differs from what was there, in length too.
    void produce(const std::string& topic, std::int64_t count) {
        // Not idempotent: a leader that never saw the last records would refuse the next.
        cluster.client().produce(topic, count, [&](std::int64_t) {
            Record record;
            record.value = "order " + std::to_string(serial_++) + suffix_;
            return record;
        }, {{"acks", "all"}, {"socket.timeout.ms", "3000"}});
    }
    /// What Kafka shows now is to be delivered, beside what it showed before.
    void expect_what_is_there() {
        for (const auto& [tp, entries] : visible_in_kafka(cluster.bootstrap(), topics())) {
            expected_[tp.topic].insert(entries.begin(), entries.end());
        }
    }
    void expect_delivered(const Reader& reader) {
        for (const Log& log : logs) {
            for (const std::string& name : {log.name + "-stops", log.name + "-goes-on"}) {
                CAPTURE(name);
                for (const std::string& topic : {log.topic, unharmed}) {
                    const std::vector<Entry> expected(expected_[topic].begin(), expected_[topic].end());
                    CHECK_MESSAGE(wait_until([&] {
                                      return reader.delivered(name, topic).size() >= expected.size();
                                  }, patience), reader.log());
                    CHECK(reader.delivered(name, topic) == expected);
                    compared += expected.size();
                }
            }
        }
    }
    /// No broker but the stale one has the log: what only the first leader had is gone.
    void elect_the_stale_one() {
        suffix_ = ", anew";
        cluster.kill(first_leader);
        cluster.start(stale);
        for (const Log& log : logs) {
            REQUIRE(cluster.await_leader_other_than(first_leader, log.topic, 0) == stale);
            REQUIRE(cluster.client().watermarks(log.topic, 0).high == 60);
        }
    }
    std::vector<std::string> topics() const { return {logs[0].topic, logs[1].topic, unharmed}; }

    KafkaCluster& cluster = KafkaCluster::real();
    std::vector<Log> logs{{"grown", Kafka::unique("grown"), 140}, {"short", Kafka::unique("short"), 20}};
    const std::string unharmed = Kafka::unique("unharmed");
    std::size_t compared = 0;

 private:
    std::int64_t serial_ = 0;
    std::string suffix_;
    std::map<std::string, std::set<Entry>> expected_;
};

void check_ledger(const Reader& reader, const std::string& name, const std::string& topic, bool accepted) {
    const json::array losses = reader.losses(name);
    REQUIRE_MESSAGE(losses.size() == 1, json::serialize(losses));
    INFO(json::serialize(losses));
    const json::object& loss = losses[0].as_object();
    CHECK(loss.at("topic").as_string() == topic);
    CHECK(loss.at("kind").as_string() == "truncated");
    CHECK(loss.at("from").as_int64() == 100);
    CHECK(loss.at("adjusted_start").as_int64() == 60);
    CHECK(loss.at("records_lost").as_int64() == 0);  // nobody knows what it held past the position
    CHECK(loss.at("accepted").as_bool() == accepted);
}

/// One pipeline stops with the way on in its words, and goes on by it; the other goes on by itself.
void check_reactions(const Reader& reader, const Log& log) {
    const std::string stops = log.name + "-stops";
    CAPTURE(stops);
    REQUIRE_MESSAGE(reader.comes_to(stops, "FAILED"), reader.log());
    const json::object status = reader.status(stops);
    const std::string reason(status.at("reason").as_string());
    INFO(reason);
    CHECK(status.at("error").as_string() == "data_loss");
    CHECK(reason.find(log.topic + "-0: the log was truncated at offset 60") != std::string::npos);
    CHECK(reason.find("sluice losses accept " + stops + " --execute") != std::string::npos);
    check_ledger(reader, stops, log.topic, false);
    const auto accepted = reader.sluice({"losses", "accept", stops, "--execute"});
    REQUIRE_MESSAGE(accepted.code == 0, (accepted.out + accepted.err));
}

}  // namespace

TEST_CASE("a log truncated by an unclean election is found, and read on from where it was cut") {
    Scene scene;
    KafkaCluster& cluster = scene.cluster;
    Reader awake("truncated-awake", cluster.bootstrap(), scene.logs, scene.unharmed);
    Reader asleep("truncated-asleep", cluster.bootstrap(), scene.logs, scene.unharmed);
    for (const auto& topic : scene.topics()) scene.produce(topic, 60);
    awake.start();
    asleep.start();
    scene.expect_what_is_there();
    scene.expect_delivered(awake);
    scene.expect_delivered(asleep);

    cluster.kill(stale);
    for (const Log& log : scene.logs) {
        REQUIRE(wait_until([&] { return cluster.client().leadership(log.topic, 0).in_sync == 1; }, patience));
    }
    for (const auto& topic : scene.topics()) scene.produce(topic, 40);
    scene.expect_what_is_there();
    scene.expect_delivered(awake);
    scene.expect_delivered(asleep);
    for (const std::string& name : awake.names()) {
        CHECK(awake.losses(name).empty());  // a leader that goes, and a follower, are no loss
    }
    asleep.end();

    scene.elect_the_stale_one();
    for (const Log& log : scene.logs) scene.produce(log.topic, log.anew);
    scene.produce(scene.unharmed, 5);
    scene.expect_what_is_there();
    asleep.start();
    for (const Reader* reader : {&awake, &asleep}) {
        for (const Log& log : scene.logs) check_reactions(*reader, log);
    }

    // The old leader comes back, as a follower of what it never had: nothing is found twice.
    cluster.start(first_leader);
    for (const Log& log : scene.logs) cluster.await_in_sync(log.topic, 1);
    cluster.await_in_sync(scene.unharmed, 1);
    for (const auto& topic : scene.topics()) scene.produce(topic, 5);
    scene.expect_what_is_there();
    for (Reader* reader : {&awake, &asleep}) {
        scene.expect_delivered(*reader);
        for (const Log& log : scene.logs) {
            for (const std::string& name : {log.name + "-stops", log.name + "-goes-on"}) {
                CAPTURE(name);
                check_ledger(*reader, name, log.topic, true);
                const auto verified = reader->sluice({"verify", name});
                CHECK_MESSAGE(verified.code == 0, (verified.out + verified.err));
            }
        }
        reader->end();
    }
    MESSAGE(scene.compared << " records compared");
}
