#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <set>
#include <sstream>

#include "daemon/control/client.hpp"
#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;
namespace json = boost::json;

namespace {

/// A pipeline over `topic`, to which something happens, and another topic, to which nothing does.
class Scene {
 public:
    Scene(const std::string& name, bool fails, int partitions)
        : folder(name + (fails ? "-stops" : "-goes-on")),
          topic(Kafka::unique(name)),
          other(Kafka::unique(name + "-other")),
          daemon_(folder.path(), "") {
        kafka.create_topic(topic, partitions);
        kafka.create_topic(other, 1);
        pipeline.topics = {topic, other};
        pipeline.trigger = "{ processingTime: 100ms }";
        pipeline.source_extra = std::string("failOnDataLoss: ") + (fails ? "true" : "false") +
                                "\nfetchOffset.retryInterval: 50ms\n";
        pipeline.out = folder.path() / "out";
    }

    /// Unique values, so that a topic created anew never holds what the old one did.
    void produce(const std::string& to, std::int32_t partition, std::int64_t count, std::size_t size = 10) {
        kafka.produce(to, count, [&](std::int64_t) {
            Record record;
            record.partition = partition;
            record.value = std::to_string(serial_++);
            record.value->resize(std::max(size, record.value->size()), '.');
            return record;
        });
    }
    void start(const std::map<std::string, std::string>& environment = {}) {
        daemon_.set_yaml(config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
        daemon_.start(environment);
    }
    void end() {
        daemon_.signal(SIGTERM);
        REQUIRE_MESSAGE(daemon_.wait()->code == 0, daemon_.log());
    }
    /// Adds what Kafka shows now to what must be delivered: to be called before and after the change.
    void expect_what_is_there() {
        for (const auto& [tp, entries] : visible_in_kafka(kafka.bootstrap(), {topic, other})) {
            expected_[tp].insert(entries.begin(), entries.end());
        }
    }
    void expect_delivered() {
        Ledger expected;
        for (const auto& [tp, entries] : expected_) expected[tp].assign(entries.begin(), entries.end());
        CHECK_MESSAGE(wait_until([&] { return count(delivered()) >= count(expected); }), daemon_.log());
        // Not difference(): a topic created anew has the old one's offsets a second time.
        Ledger actual = delivered();
        for (auto& [tp, entries] : actual) std::sort(entries.begin(), entries.end());
        CHECK(count(actual) == count(expected));
        CHECK(actual == expected);
    }
    Ledger delivered() const {
        const auto out = folder.path() / "out";
        return std::filesystem::exists(out) ? delivered_in(out) : Ledger{};
    }

    CommandResult sluice(std::vector<std::string> words) const {
        words.push_back("--config");
        words.push_back((folder.path() / "sluice.yaml").string());
        return run_command("sluice", words);
    }
    json::object status() const {
        const auto answer = sluice({"status", "--json"});
        if (answer.out.empty()) return {};
        return json::parse(answer.out).at("pipelines").at(0).as_object();
    }
    bool comes_to(const std::string& state) const {
        return wait_until([&] {
            const auto now = status();
            return now.contains("state") && now.at("state").as_string() == state;
        });
    }
    json::array losses() const {
        const auto answer = sluice({"losses", "list", "orders", "--json"});
        REQUIRE_MESSAGE(!answer.out.empty(), answer.err);
        return json::parse(answer.out).at("pipelines").at(0).at("losses").as_array();
    }
    /// The sum of a metric's series at a scrape; nullopt when there are none.
    std::optional<double> metric(const std::string& name) const {
        const auto scrape = control::call(folder.path() / "data" / "control.sock", "GET", "/metrics");
        REQUIRE_MESSAGE(scrape, scrape.error().message);
        std::optional<double> sum;
        std::istringstream lines(scrape->body);
        for (std::string line; std::getline(lines, line);) {
            if (line.starts_with(name + "{")) sum = sum.value_or(0) + std::stod(line.substr(line.rfind(' ')));
        }
        return sum;
    }
    DaemonProcess& daemon() { return daemon_; }

    Kafka& kafka = Kafka::real();
    const WorkFolder folder;
    const std::string topic;
    const std::string other;
    PipelineYaml pipeline;

 private:
    DaemonProcess daemon_;
    std::int64_t serial_ = 0;
    std::map<plan::TopicPartition, std::set<Entry>> expected_;
};

/// What the ledger must have of one partition.
struct Expected {
    std::int32_t partition = 0;
    const char* kind = "";
    std::int64_t from = 0;
    std::int64_t until = 0;
    std::int64_t adjusted_start = 0;
    bool of_a_batch = false;  ///< a plan had been made of it
};

void check_ledger(Scene& scene, const std::vector<Expected>& expected, bool accepted) {
    const json::array losses = scene.losses();
    REQUIRE_MESSAGE(losses.size() == expected.size(), json::serialize(losses));
    for (std::size_t i = 0; i < losses.size(); ++i) {
        const json::object& entry = losses[i].as_object();
        INFO(json::serialize(entry));
        const auto found = std::find_if(expected.begin(), expected.end(), [&](const Expected& each) {
            return each.partition == entry.at("partition").as_int64();
        });
        REQUIRE(found != expected.end());
        CHECK(entry.at("topic").as_string() == scene.topic);
        CHECK(entry.at("kind").as_string() == found->kind);
        CHECK(entry.at("from").as_int64() == found->from);
        CHECK(entry.at("until").as_int64() == found->until);
        CHECK(entry.at("records_lost").to_number<std::int64_t>() == found->until - found->from);
        if (found->adjusted_start < 0) {
            CHECK(entry.at("adjusted_start").is_null());
        } else {
            CHECK(entry.at("adjusted_start").as_int64() == found->adjusted_start);
        }
        CHECK(entry.at("accepted").as_bool() == accepted);
        CHECK(entry.at("detected_at").as_string().starts_with("20"));
        if (found->of_a_batch) CHECK(entry.at("batch").is_number());
    }
}

/// The command that the message of a FAILED pipeline names, word for word.
std::vector<std::string> command_in(const std::string& reason) {
    const auto at = reason.find("sluice losses accept ");
    REQUIRE_MESSAGE(at != std::string::npos, reason);
    std::istringstream words(reason.substr(at + 7));
    std::vector<std::string> command;
    for (std::string word; words >> word;) command.push_back(word);
    return command;
}

void check_refusal(Scene& scene, const std::vector<Expected>& expected) {
    REQUIRE_MESSAGE(scene.comes_to("FAILED"), scene.daemon().log());
    const json::object status = scene.status();
    const std::string reason(status.at("reason").as_string());
    INFO(reason);
    CHECK(status.at("error").as_string() == "data_loss");
    for (const Expected& loss : expected) {
        CHECK(reason.find(scene.topic + "-" + std::to_string(loss.partition)) != std::string::npos);
        CHECK(reason.find(std::to_string(loss.from)) != std::string::npos);
        if (loss.until > loss.from) {
            CHECK(reason.find("[" + std::to_string(loss.from) + ", " + std::to_string(loss.until) +
                              ") are gone, " + std::to_string(loss.until - loss.from) + " record") !=
                  std::string::npos);
        }
    }
    check_ledger(scene, expected, false);
    CHECK(scene.sluice({"status"}).code == 2);
    CHECK(scene.metric("sluice_unaccepted_losses") == static_cast<double>(expected.size()));
    CHECK(scene.metric("sluice_lost_records_total") == 0.0);
}

/// Runs the command the message names: through the daemon, or with the daemon down.
void accept(Scene& scene, bool online) {
    const std::vector<std::string> command = command_in(std::string(scene.status().at("reason").as_string()));
    if (!online) scene.end();
    const auto accepted = scene.sluice(command);
    REQUIRE_MESSAGE(accepted.code == 0, (accepted.out + accepted.err));
    if (!online) scene.start();
}

using Change = std::function<void(Scene&)>;

/// 30 records a partition are delivered, then `change` happens unseen. `change` may complete what is
/// expected, where only Kafka knows it.
void lose(const std::string& name, int partitions, const Change& change, std::vector<Expected>& expected) {
    for (const bool fails : {true, false}) {
        for (const bool online : {true, false}) {
            if (!fails && !online) continue;
            CAPTURE(fails);
            CAPTURE(online);
            Scene scene(name + (online ? "" : "-offline"), fails, partitions);
            for (int p = 0; p < partitions; ++p) scene.produce(scene.topic, p, 30);
            scene.produce(scene.other, 0, 30);
            scene.start();
            scene.expect_what_is_there();
            scene.expect_delivered();
            scene.end();
            change(scene);
            scene.produce(scene.other, 0, 5);
            scene.expect_what_is_there();
            scene.start();
            if (fails) {
                check_refusal(scene, expected);
                accept(scene, online);
            }
            scene.expect_delivered();
            REQUIRE(scene.comes_to("CAUGHT_UP"));
            check_ledger(scene, expected, true);
            if (!fails) CHECK(scene.daemon().log().find("data loss") != std::string::npos);
            CHECK(scene.status().at("unaccepted_losses").as_int64() == 0);
            CHECK(scene.metric("sluice_unaccepted_losses") == 0.0);
            std::int64_t lost = 0;
            for (const Expected& loss : expected) lost += loss.until - loss.from;
            if (!online) lost = 0;  // accepted while no daemon was there to count it
            CHECK(scene.metric("sluice_lost_records_total") == static_cast<double>(lost));
            // It goes on afterwards, without finding the same again.
            scene.produce(scene.other, 0, 5);
            scene.expect_what_is_there();
            scene.expect_delivered();
            CHECK(scene.losses().size() == expected.size());
            scene.end();
        }
    }
}

void create_anew(Scene& scene, int partitions, std::int64_t records) {
    scene.kafka.delete_topic(scene.topic);
    scene.kafka.create_topic(scene.topic, partitions);
    scene.produce(scene.topic, 0, records);
}

}  // namespace

TEST_CASE("records deleted before they were read are one loss, counted exactly") {
    std::vector<Expected> expected{{1, "expired", 30, 40, 40}};
    lose("deleted", 2, [](Scene& scene) {
        scene.produce(scene.topic, 1, 20);
        scene.kafka.delete_records(scene.topic, 1, 40);
    }, expected);
}

TEST_CASE("a topic that is deleted is one loss, and the others go on") {
    std::vector<Expected> expected{{0, "topic_gone", 30, 30, -1}};
    lose("gone", 1, [](Scene& scene) { scene.kafka.delete_topic(scene.topic); }, expected);
}

TEST_CASE("a topic created anew with fewer records is read from its beginning") {
    std::vector<Expected> expected{{0, "topic_recreated", 30, 30, 0}};
    lose("fewer", 1, [](Scene& scene) { create_anew(scene, 1, 5); }, expected);
}

TEST_CASE("a topic created anew with more records than had been read is found by its id") {
    std::vector<Expected> expected{{0, "topic_recreated", 30, 30, 0}};
    lose("more", 1, [](Scene& scene) { create_anew(scene, 1, 80); }, expected);
}

TEST_CASE("a topic created anew with fewer partitions is a loss of each") {
    std::vector<Expected> expected{{0, "topic_recreated", 30, 30, 0}, {1, "partition_gone", 30, 30, -1}};
    lose("narrower", 2, [](Scene& scene) { create_anew(scene, 1, 7); }, expected);
}

TEST_CASE("what retention by size took before it was read is one loss") {
    for (const bool fails : {true, false}) {
        CAPTURE(fails);
        Scene scene("retention", fails, 1);
        scene.kafka.delete_topic(scene.topic);
        scene.kafka.create_topic(scene.topic, 1, {{"segment.ms", "50"}, {"retention.bytes", "20000"}});
        scene.produce(scene.topic, 0, 30, 100);
        scene.produce(scene.other, 0, 5);
        scene.start();
        scene.expect_what_is_there();
        scene.expect_delivered();
        scene.end();
        const auto low = [&] { return scene.kafka.watermarks(scene.topic, 0).low; };
        REQUIRE(wait_until([&] { return scene.produce(scene.topic, 0, 5, 1000), low() > 30; },
                           std::chrono::seconds{60}));
        // Until a few rounds of the broker's have taken nothing more.
        std::int64_t last = low();
        auto since = std::chrono::steady_clock::now();
        REQUIRE(wait_until([&] {
            if (low() != last) {
                last = low();
                since = std::chrono::steady_clock::now();
            }
            return std::chrono::steady_clock::now() - since > std::chrono::seconds{6};  // a round is due each half second
        }, std::chrono::seconds{60}));
        const std::vector<Expected> expected{{0, "expired", 30, last, last}};
        scene.expect_what_is_there();
        scene.start();
        if (fails) {
            check_refusal(scene, expected);
            accept(scene, true);
        }
        scene.expect_delivered();
        check_ledger(scene, expected, true);
        scene.end();
    }
}

TEST_CASE("records deleted under a plan that a crash left behind are lost, and nothing else of it is") {
    for (const bool fails : {true, false}) {
        CAPTURE(fails);
        Scene scene("midplan", fails, 2);
        scene.pipeline.source_extra += "maxRecordsPerPartition: 20\n";
        for (int p : {0, 1}) scene.produce(scene.topic, p, 50);
        scene.produce(scene.other, 0, 5);
        scene.start({{"SLUICE_FAILPOINT", "batch.after_plan"}});
        REQUIRE(scene.daemon().wait()->signal == SIGKILL);
        scene.kafka.delete_records(scene.topic, 0, 33);
        scene.expect_what_is_there();
        const std::vector<Expected> expected{{0, "expired", 0, 33, 33, true}};
        scene.start();
        if (fails) {
            check_refusal(scene, expected);
            accept(scene, true);
        }
        scene.expect_delivered();
        check_ledger(scene, expected, true);
        // The books: what was planned and is lost is counted in the batch that ran as planned.
        const auto batch = scene.sluice({"batches", "show", "orders/0", "--json"});
        INFO(batch.out);
        if (fails) {
            CHECK(batch.out.find("\"abandoned\"") != std::string::npos);
        } else {
            const auto books = json::parse(batch.out).at("books");
            CHECK(books.at("lost").to_number<std::int64_t>() == 33);
            CHECK(books.at("polled").to_number<std::int64_t>() == 72);
        }
        scene.end();
    }
}

TEST_CASE("a topic created anew under a plan that a crash left behind is not taken for the old one") {
    for (const bool fails : {true, false}) {
        CAPTURE(fails);
        Scene scene("midplan-anew", fails, 1);
        scene.produce(scene.topic, 0, 50);
        scene.produce(scene.other, 0, 5);
        scene.start({{"SLUICE_FAILPOINT", "batch.after_plan"}});
        REQUIRE(scene.daemon().wait()->signal == SIGKILL);
        create_anew(scene, 1, 90);  // every planned offset is there again
        scene.expect_what_is_there();
        const std::vector<Expected> expected{{0, "topic_recreated", 0, 50, 0, true}};
        scene.start();
        if (fails) {
            check_refusal(scene, expected);
            accept(scene, true);
        }
        scene.expect_delivered();
        check_ledger(scene, expected, true);
        scene.end();
    }
}

TEST_CASE("compaction and aborted transactions, inside and at the end, are no loss") {
    Scene scene("no-loss", true, 1);
    const std::string compacted = Kafka::unique("no-loss-compacted");
    scene.kafka.create_topic(compacted, 1, {{"cleanup.policy", "compact"},
                                            {"segment.ms", "100"},
                                            {"min.cleanable.dirty.ratio", "0.01"}});
    scene.pipeline.topics.push_back(compacted);
    scene.start();
    for (int round = 0; round < 10; ++round) {
        scene.kafka.produce(compacted, 20, [&](std::int64_t i) {
            Record record;
            record.key = "k" + std::to_string(i % 3);
            record.value = std::to_string(round * 20 + i);
            return record;
        });
        scene.produce(scene.topic, 0, 5);
        Transaction aborted(scene.kafka);
        aborted.produce(scene.topic, 7, [](std::int64_t) { return Record{0, {}, "aborted", {}, 0}; });
        aborted.abort();
    }
    scene.expect_what_is_there();
    const std::int64_t visible = 50;
    CHECK(wait_until([&] {
        const Ledger delivered = scene.delivered();
        const auto found = delivered.find({scene.topic, 0});
        return found != delivered.end() && found->second.size() == visible;
    }));
    REQUIRE(scene.comes_to("CAUGHT_UP"));
    CHECK(scene.losses().empty());
    CHECK(scene.daemon().log().find("data loss") == std::string::npos);
    scene.end();
}
