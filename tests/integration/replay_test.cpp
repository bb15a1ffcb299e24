#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;
namespace json = boost::json;

namespace {

/// A pipeline that has delivered 8,000 records with transactions in several batches, and may go on.
struct Replayed {
    explicit Replayed(const std::string& name) : folder(name), topic(Kafka::unique(name)) {
        kafka.create_topic(topic, 2);
        produce_mixed(kafka, topic, 2, 8000);
        expected = visible_in_kafka(kafka.bootstrap(), {topic});
        pipeline.topics = {topic};
        pipeline.trigger = "{ processingTime: 100ms }";
        pipeline.source_extra = "maxOffsetsPerTrigger: 1000\n";
        pipeline.out = folder.path() / "out";
        daemon.emplace(folder.path(), config_yaml(folder.path(), pipeline_yaml(kafka.bootstrap(), pipeline)));
        daemon->start();
        REQUIRE_MESSAGE(wait_until(
                            [&] {
                                if (!std::filesystem::exists(pipeline.out)) return false;
                                if (count(delivered_in(pipeline.out)) < count(expected)) return false;
                                const auto status = sluice({"status", "--json"});
                                return status.out.find("CAUGHT_UP") != std::string::npos;
                            },
                            std::chrono::seconds{60}),
                        daemon->log());
        const auto list = sluice({"batches", "list", "orders", "--json"});
        last = json::parse(list.out).at("batches").at(0).at("batch").to_number<int>();
        REQUIRE(last >= 4);
        std::ofstream(folder.path() / "again.yaml") << "plugin: file\npath: again\nformat: json\n";
    }
    [[nodiscard]] CommandResult sluice(std::vector<std::string> words) const {
        words.insert(words.end(), {"--config", (folder.path() / "sluice.yaml").string()});
        return run_command("sluice", words);
    }
    [[nodiscard]] CommandResult replay(std::vector<std::string> more) const {
        std::vector<std::string> words{"batches", "replay", "orders/0.." + std::to_string(last), "--into",
                                       (folder.path() / "again.yaml").string()};
        words.insert(words.end(), more.begin(), more.end());
        return sluice(words);
    }
    [[nodiscard]] Ledger again() const { return delivered_in(folder.path() / "again"); }

    Kafka& kafka = Kafka::real();
    const WorkFolder folder;
    const std::string topic;
    Ledger expected;
    PipelineYaml pipeline;
    std::optional<DaemonProcess> daemon;
    int last = 0;
};

}  // namespace

TEST_CASE("a replay delivers the recorded ranges and nothing else, while the pipeline goes on") {
    Replayed it("replay-live");
    const auto dry = it.replay({});
    CHECK_MESSAGE(dry.code == 0, dry.err);
    CHECK(dry.out.find("this was a dry run") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(it.folder.path() / "again"));

    produce_mixed(it.kafka, it.topic, 2, 2000, 8000);  // for the pipeline, not for the replay
    const auto done = it.replay({"--execute", "--json"});
    REQUIRE_MESSAGE(done.code == 0, done.err << done.out);
    CHECK(difference(it.expected, it.again()) == "");
    const json::value answer = json::parse(done.out);
    for (const auto& batch : answer.at("batches").as_array()) {
        CHECK(batch.at("state") == "replayed");
        CHECK(batch.at("recorded") == batch.at("replayed"));
    }
    CHECK(wait_until(
        [&] {
            return difference(visible_in_kafka(it.kafka.bootstrap(), {it.topic}), delivered_in(it.pipeline.out)) == "";
        },
        std::chrono::seconds{60}));

    const auto once_more = it.replay({"--execute", "--json"});
    CHECK_MESSAGE(once_more.code == 0, once_more.err);
    CHECK(json::parse(once_more.out).at("batches").at(0).at("state") == "done before");
    CHECK(difference(it.expected, it.again()) == "");

    it.daemon->signal(SIGTERM);
    REQUIRE(it.daemon->wait());
    CHECK(it.replay({"--json"}).code == 0);  // the batches come from the store now
}

TEST_CASE("a replay that was killed goes on where it was, and delivers every record once") {
    Replayed it("replay-killed");
    for (const char* failpoint : {"replay.after_plan:2", "range.while_writing:3", "replay.before_commit",
                                  "file.commit.after_manifest", "replay.after_commit"}) {
        CAPTURE(failpoint);
        setenv("SLUICE_FAILPOINT", failpoint, 1);
        const auto killed = it.replay({"--execute"});
        unsetenv("SLUICE_FAILPOINT");
        CHECK(killed.code != 0);
    }
    CHECK(count(it.again()) > 0);
    CHECK(count(it.again()) < count(it.expected));
    const auto done = it.replay({"--execute", "--json"});
    REQUIRE_MESSAGE(done.code == 0, done.err << done.out);
    CHECK(difference(it.expected, it.again()) == "");
    CHECK(done.out.find("done before") != std::string::npos);
    CHECK(done.out.find("\"replayed\"") != std::string::npos);
}

TEST_CASE("a replay by time takes the batches planned then; what is gone is refused, or skipped") {
    Replayed it("replay-time");
    const auto by_time = [&](std::vector<std::string> more) {
        std::vector<std::string> words{"batches", "replay", "orders", "--into",
                                       (it.folder.path() / "again.yaml").string()};
        words.insert(words.end(), more.begin(), more.end());
        return it.sluice(words);
    };
    CHECK(by_time({"--from", "2026-11-01T08:00:00"}).code == 64);  // no zone
    CHECK(by_time({}).code == 64);
    CHECK(by_time({"--from", "2096-01-01T00:00:00Z"}).code == 1);
    const auto all = by_time({"--from", "2020-01-01T00:00:00+01:00", "--json"});
    CHECK(all.code == 0);
    CHECK(json::parse(all.out).at("batches").as_array().size() == static_cast<std::size_t>(it.last) + 1);

    it.kafka.delete_records(it.topic, 0, 100);
    const auto refused = it.replay({"--execute"});
    CHECK(refused.code == 1);
    CHECK(refused.err.find("100 offsets of these batches are no longer retained") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(it.folder.path() / "again"));
    CHECK(it.replay({}).code == 2);
    const auto skipped = it.replay({"--execute", "--skip-lost"});
    CHECK(skipped.code == 2);
    CHECK(skipped.out.find("lost 0 then, 100 now") != std::string::npos);
    CHECK(difference(visible_in_kafka(it.kafka.bootstrap(), {it.topic}), it.again()) == "");
}

TEST_CASE("a wrong sink file is refused with line and column, and so is a live pipeline's target") {
    Replayed it("replay-wrong");
    std::ofstream(it.folder.path() / "again.yaml") << "plugin: file\npath: again\nformta: json\n";
    const auto wrong = it.replay({});
    CHECK(wrong.code == 78);
    CHECK(wrong.err.find("again.yaml:3:1: formta: unknown key; did you mean 'format'?") != std::string::npos);
    std::ofstream(it.folder.path() / "again.yaml") << "plugin: file\npath: out\n";
    const auto live = it.replay({"--execute"});
    CHECK(live.code == 78);
    CHECK(live.err.find("pipeline 'orders' writes there") != std::string::npos);
}
