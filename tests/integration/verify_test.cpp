#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <csignal>

#include "checkpoints/store.hpp"
#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;
namespace json = boost::json;

namespace {

struct Audited {
    explicit Audited(const std::string& name) : folder(name) { pipeline.out = folder.path() / "out"; }

    void start_daemon() {
        daemon.emplace(folder.path(), config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
        daemon->start();
    }
    void stop_daemon() {
        daemon->signal(SIGTERM);
        const auto ended = daemon->wait();
        REQUIRE_MESSAGE(ended, daemon->log());
        CHECK(ended->code == 0);
    }
    [[nodiscard]] CommandResult sluice(std::vector<std::string> words) const {
        words.insert(words.end(), {"--config", (folder.path() / "sluice.yaml").string()});
        return run_command("sluice", words);
    }
    /// The report of the one pipeline; the command must end with `code`.
    [[nodiscard]] json::object verify(int code) const {
        const auto result = sluice({"verify", "--json"});
        INFO(result.out << result.err);
        REQUIRE(result.code == code);
        return json::parse(result.out).at("pipelines").at(0).as_object();
    }
    bool delivers(std::uint64_t records) {
        return wait_until(
            [&] {
                return std::filesystem::exists(pipeline.out) && count(delivered_in(pipeline.out)) >= records;
            },
            std::chrono::seconds{60});
    }

    Kafka& kafka = Kafka::real();
    const WorkFolder folder;
    PipelineYaml pipeline;
    std::optional<DaemonProcess> daemon;
};

const json::object& topic(const json::object& report, const std::string& name) {
    for (const auto& one : report.at("topics").as_array()) {
        if (one.at("topic").as_string() == name) return one.get_object();
    }
    FAIL("no topic " << name << " in " << json::serialize(report));
    throw std::logic_error("unreachable");
}

std::vector<std::string> kinds(const json::object& report) {
    std::vector<std::string> names;
    for (const auto& finding : report.at("findings").as_array()) {
        names.emplace_back(finding.at("kind").as_string());
    }
    return names;
}

std::int64_t number(const json::object& object, const char* key) {
    return object.at(key).to_number<std::int64_t>();
}

}  // namespace

TEST_CASE("gaps are told apart: aborted records, markers, compaction; with the daemon up and down") {
    Audited audited("verify-gaps");
    Kafka& kafka = audited.kafka;
    const std::string plain = Kafka::unique("plain");
    const std::string aborted = Kafka::unique("aborted");
    const std::string compacted = Kafka::unique("compacted");
    kafka.create_topic(plain, 2);
    kafka.create_topic(aborted, 1);
    kafka.create_topic(compacted, 1,
                       {{"cleanup.policy", "compact"},
                        {"segment.ms", "100"},
                        {"min.cleanable.dirty.ratio", "0.01"},
                        {"segment.bytes", "1048576"}});
    const auto keyed = [](std::int64_t i) {
        Record record;
        record.key = "key" + std::to_string(i % 10);
        record.value = std::to_string(i);
        return record;
    };
    kafka.produce(compacted, 2000, keyed);
    kafka.produce_numbers(plain, 0, 3000);
    kafka.produce_numbers(plain, 1, 500);
    // 6 transactions of 50 records, 2 of them aborted: 100 aborted records and 6 markers.
    for (int i = 0; i < 6; ++i) {
        Transaction transaction(kafka);
        transaction.produce(aborted, 50, keyed);
        if (i % 3 == 1) {
            transaction.abort();
        } else {
            transaction.commit();
        }
    }
    // A segment is cleaned once a newer one has begun.
    REQUIRE(wait_until(
        [&] {
            kafka.produce(compacted, 1, keyed);
            return count(visible_in_kafka(kafka.bootstrap(), {compacted})) < 1500;
        },
        std::chrono::seconds{60}));

    audited.pipeline.topics = {plain, aborted, compacted};
    audited.pipeline.trigger = "{ processingTime: 100ms }";
    audited.pipeline.source_extra = "maxOffsetsPerTrigger: 1000\n";
    audited.start_daemon();
    REQUIRE(audited.delivers(3500 + 200 + 10));
    REQUIRE(wait_until([&] {
        const auto result = audited.sluice({"status", "--json"});
        return result.code == 0 &&
               json::parse(result.out).at("pipelines").at(0).at("state") == "CAUGHT_UP";
    }));

    const auto check = [&] {
        const json::object report = audited.verify(0);
        CHECK(report.at("findings").as_array().empty());
        CHECK(number(report.at("total").as_object(), "not_explained") == 0);
        CHECK(number(report.at("batches").as_object(), "committed") >= 5);
        const json::object& no_gaps = topic(report, plain);
        CHECK(number(no_gaps, "polled") == 3500);
        CHECK(number(no_gaps, "gaps") == 0);
        const json::object& transactions = topic(report, aborted);
        CHECK(number(transactions, "offsets") == 306);
        CHECK(number(transactions, "polled") == 200);
        CHECK(number(transactions, "aborted") == 100);
        CHECK(number(transactions, "control") == 6);
        const json::object& cleaned = topic(report, compacted);
        CHECK(cleaned.at("cleanup_policy") == "compact");
        CHECK(number(cleaned, "gaps") > 500);
        CHECK(number(cleaned, "compacted_or_control") == number(cleaned, "gaps"));
        CHECK(number(cleaned, "control") == 0);
    };
    check();
    audited.stop_daemon();
    check();

    const auto table = audited.sluice({"verify"});
    CHECK(table.code == 0);
    CHECK(table.out.find("in order: every batch balances") != std::string::npos);
    MESSAGE(table.out);
}

TEST_CASE("a range that retention took is said to be no longer retained, and is no finding") {
    Audited audited("verify-retention");
    const std::string topic_name = Kafka::unique("old");
    audited.kafka.create_topic(topic_name, 1);
    audited.kafka.produce_numbers(topic_name, 0, 1000);
    audited.pipeline.topics = {topic_name};
    audited.pipeline.source_extra = "maxOffsetsPerTrigger: 250\n";
    audited.start_daemon();
    const auto ended = audited.daemon->wait();
    REQUIRE(ended);
    REQUIRE_MESSAGE(ended->code == 0, audited.daemon->log());
    audited.kafka.delete_records(topic_name, 0, 300);
    const json::object report = audited.verify(0);
    CHECK(number(report.at("total").as_object(), "not_retained") == 2);
    CHECK(number(report.at("total").as_object(), "read_again") == 2);
    const auto table = audited.sluice({"verify"});
    CHECK(table.out.find("2 ranges can't be read again: no longer retained by Kafka") != std::string::npos);
}

TEST_CASE("damaged books, a hole and a wrong count are found, and the exit code is 2") {
    Audited audited("verify-damage");
    const std::string topic_name = Kafka::unique("damaged");
    audited.kafka.create_topic(topic_name, 1);
    audited.kafka.produce_numbers(topic_name, 0, 1000);
    audited.pipeline.topics = {topic_name};
    audited.pipeline.source_extra = "maxOffsetsPerTrigger: 200\n";
    audited.start_daemon();
    const auto ended = audited.daemon->wait();
    REQUIRE(ended);
    REQUIRE_MESSAGE(ended->code == 0, audited.daemon->log());
    CHECK(kinds(audited.verify(0)).empty());

    audited.kafka.produce_numbers(topic_name, 0, 1000);
    {
        const auto lock = checkpoints::DirectoryLock::acquire(audited.folder.path() / "data", {1, "test", ""});
        REQUIRE(lock);
        const auto store = checkpoints::open_store(audited.folder.path() / "data");
        REQUIRE(store);
        const auto commit = [&](std::int64_t from, std::int64_t until, checkpoints::RangeBooks books,
                                std::int64_t position) {
            const auto state = (*store)->load("orders");
            REQUIRE(state);
            const plan::TopicPartition tp{topic_name, 0};
            checkpoints::Plan plan{state->next_batch_id, from_epoch_ms(4'000'000'000'000), {}};
            plan.ranges.push_back({{tp, from, until}, -1, state->positions.at(tp).topic_id, std::nullopt});
            REQUIRE((*store)->put_plan("orders", plan, {}));
            checkpoints::Commit outcome;
            outcome.batch_id = plan.batch_id;
            outcome.books = {books};
            REQUIRE((*store)->put_commit("orders", outcome,
                                         {{tp, {position, -1, state->positions.at(tp).topic_id, -1}}},
                                         std::nullopt, {}));
        };
        commit(1000, 1100, {100, 0, 99, 0, 0, 0, 300}, 1100);  // one record is nowhere
        commit(1150, 1200, {49, 1, 49, 0, 0, 0, 147}, 1200);   // a hole, and a gap that is a record
    }
    const json::object report = audited.verify(2);
    CHECK(kinds(report) == std::vector<std::string>{"unbalanced", "count_differs", "hole", "count_differs"});
    const auto table = audited.sluice({"verify"});
    CHECK(table.code == 2);
    CHECK(table.out.find("NOT IN ORDER: 4 findings") != std::string::npos);
    CHECK(table.out.find("[1100, 1150), 50 offsets, was read by no batch") != std::string::npos);
    MESSAGE(table.out);

    const auto books = audited.sluice({"verify", "--books", "--json"});
    CHECK(books.code == 2);
    CHECK(kinds(json::parse(books.out).at("pipelines").at(0).as_object()) ==
          std::vector<std::string>{"unbalanced", "hole"});
    const auto since = audited.sluice({"verify", "--since", "2096-01-01T00:00:00Z", "--json"});
    CHECK(json::parse(since.out).at("pipelines").at(0).at("batches").at("committed") == 2);
    CHECK(audited.sluice({"verify", "--since", "yesterday"}).code == 64);
}
