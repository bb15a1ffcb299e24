#include "daemon/metrics/metrics.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

using namespace sluice;
using namespace sluice::metrics;
using namespace std::chrono_literals;

namespace {

/// A scrape, taken apart as Prometheus does: sample by name and labels, and the headers of families.
struct Scrape {
    std::map<std::string, double> samples;  ///< 'name{a="b"}' → value
    std::map<std::string, std::string> help;
    std::map<std::string, std::string> type;
    std::vector<std::string> wrong;  ///< lines that are none of it

    [[nodiscard]] bool has(const std::string& series) const { return samples.contains(series); }
    [[nodiscard]] double at(const std::string& series) const {
        const auto found = samples.find(series);
        return found == samples.end() ? -777 : found->second;
    }
    [[nodiscard]] std::size_t count(const std::string& name) const {
        std::size_t n = 0;
        for (const auto& [series, value] : samples) {
            if (series.starts_with(name + "{") || series == name) ++n;
        }
        return n;
    }
};

Scrape scrape(const Metrics& metrics) {
    static const std::regex header(R"(# (HELP|TYPE) ([a-z_]+) (.+))");
    static const std::regex sample(
        R"rx(([a-z_]+)(\{[a-z_]+="([^"\\\n]|\\["\\n])*"(,[a-z_]+="([^"\\\n]|\\["\\n])*")*\})? ([-+0-9.e]+|\+Inf|NaN))rx");
    Scrape parsed;
    std::istringstream lines(metrics.exposition());
    for (std::string line; std::getline(lines, line);) {
        std::smatch match;
        if (std::regex_match(line, match, header)) {
            auto& into = match[1] == "HELP" ? parsed.help : parsed.type;
            if (!into.emplace(match[2], match[3]).second) parsed.wrong.push_back(line);
        } else if (std::regex_match(line, match, sample)) {
            const auto added =
                parsed.samples.emplace(match[1].str() + match[2].str(), std::stod(match[6]));
            if (!added.second) parsed.wrong.push_back(line);
        } else {
            parsed.wrong.push_back(line);
        }
    }
    return parsed;
}

const plan::TopicPartition orders_0{"orders", 0};
const std::string of_orders_0 = R"({pipeline="p",topic="orders",partition="0"})";

}  // namespace

TEST_CASE("the exposition is well-formed, and each family has its declared type, help and labels") {
    Metrics metrics({.version = "1.2.3", .commit = "abc"});
    const auto pipeline = metrics.pipeline("p");
    metrics.set_memory({.max = 1000, .queued = 70, .in_flight = 8, .sinks = 5});
    pipeline->set_unaccepted_losses(2);
    pipeline->set_backlog(orders_0, 5);
    pipeline->set_headroom(orders_0, Milliseconds{10'800'000});
    pipeline->set_position(orders_0, 7);
    pipeline->set_last_record(orders_0, from_epoch_ms(1500));
    pipeline->set_last_commit(from_epoch_ms(2500));
    for (const Phase phase :
         {Phase::plan, Phase::read, Phase::sink_commit, Phase::checkpoint, Phase::total}) {
        pipeline->observe(phase, 20ms);
    }
    const Scrape now = scrape(metrics);
    CHECK(now.wrong.empty());
    CHECK(now.type.size() == families().size());
    for (const FamilyInfo& family : families()) {
        CAPTURE(family.name);
        const std::string name(family.name);
        CHECK(now.help.at(name) == family.help);
        const char* const type = family.type == Type::counter     ? "counter"
                                 : family.type == Type::gauge     ? "gauge"
                                                                  : "histogram";
        CHECK(now.type.at(name) == type);
        CHECK(name.ends_with("_total") == (family.type == Type::counter));

        const std::string series = family.type == Type::histogram ? name + "_count" : name;
        REQUIRE(now.count(series) > 0);
        for (const auto& [key, value] : now.samples) {
            if (key != series && !key.starts_with(series + "{")) continue;
            std::string labels;
            static const std::regex label(R"rx(([a-z_]+)="([^"\\]|\\.)*")rx");
            for (std::sregex_iterator it(key.begin(), key.end(), label), end; it != end; ++it) {
                labels += (labels.empty() ? "" : " ") + (*it)[1].str();
            }
            CHECK(labels == family.labels);
        }
    }
    CHECK(now.at(R"(sluice_build_info{version="1.2.3",commit="abc"})") == 1);
}

TEST_CASE("the sums of batches add up, per pipeline") {
    Metrics metrics({});
    const auto a = metrics.pipeline("a");
    const auto b = metrics.pipeline("b");
    const BatchSums sums{.records = 1, .bytes = 20, .planned_offsets = 300, .polled_records = 4000,
                         .gap_offsets = 50'000, .filtered_records = 600'000,
                         .dead_letter_records = 7'000'000};
    a->add_batch(sums);
    a->add_batch(sums);
    a->add_batches(Outcome::committed, 1);
    a->add_batches(Outcome::aborted, 1);
    a->add_retries(Stage::sink_commit, 1);
    a->add_lost(plan::LossKind::expired, 88);
    const Scrape now = scrape(metrics);
    CHECK(now.at(R"(sluice_records_total{pipeline="a"})") == 2);
    CHECK(now.at(R"(sluice_bytes_total{pipeline="a"})") == 40);
    CHECK(now.at(R"(sluice_planned_offsets_total{pipeline="a"})") == 600);
    CHECK(now.at(R"(sluice_polled_records_total{pipeline="a"})") == 8000);
    CHECK(now.at(R"(sluice_gap_offsets_total{pipeline="a"})") == 100'000);
    CHECK(now.at(R"(sluice_filtered_records_total{pipeline="a"})") == 1'200'000);
    CHECK(now.at(R"(sluice_dead_letter_records_total{pipeline="a"})") == 14'000'000);
    CHECK(now.at(R"(sluice_batches_total{pipeline="a",outcome="committed"})") == 1);
    CHECK(now.at(R"(sluice_batches_total{pipeline="a",outcome="aborted"})") == 1);
    CHECK(now.at(R"(sluice_retries_total{pipeline="a",stage="sink_commit"})") == 1);
    CHECK(now.at(R"(sluice_lost_records_total{pipeline="a",kind="expired"})") == 88);
    // There from the start, so that rate() sees the first increase.
    CHECK(now.at(R"(sluice_records_total{pipeline="b"})") == 0);
    CHECK(now.at(R"(sluice_batches_total{pipeline="b",outcome="abandoned"})") == 0);
    CHECK(now.count("sluice_lost_records_total") == 14);
}

TEST_CASE("large counts are written to the last digit") {
    Metrics metrics({});
    metrics.pipeline("p")->add_batch({.records = 9'007'199'254'740'991});
    metrics.pipeline("p")->set_position(orders_0, 123'456'789'012'345);
    const std::string text = metrics.exposition();
    CHECK(text.find("sluice_records_total{pipeline=\"p\"} 9007199254740991\n") != std::string::npos);
    CHECK(text.find(" 123456789012345\n") != std::string::npos);
}

TEST_CASE("exactly one state of a pipeline is 1") {
    Metrics metrics({});
    const auto pipeline = metrics.pipeline("p");
    for (const State state : {State::running, State::failed, State::retrying}) {
        pipeline->set_state(state);
        const Scrape now = scrape(metrics);
        CHECK(now.count("sluice_pipeline_state") == 9);
        double sum = 0;
        for (const auto& [series, value] : now.samples) {
            if (series.starts_with("sluice_pipeline_state{")) sum += value;
        }
        CHECK(sum == 1);
        CHECK(now.at("sluice_pipeline_state{pipeline=\"p\",state=\"" + std::string(name_of(state)) +
                     "\"}") == 1);
    }
}

TEST_CASE("a batch's phases land in cumulative buckets") {
    Metrics metrics({});
    const auto pipeline = metrics.pipeline("p");
    CHECK(scrape(metrics).count("sluice_batch_duration_seconds_count") == 0);
    pipeline->observe(Phase::read, 20ms);
    pipeline->observe(Phase::read, 2s);
    const Scrape now = scrape(metrics);
    const std::string bucket = R"(sluice_batch_duration_seconds_bucket{pipeline="p",phase="read",le=)";
    CHECK(now.at(bucket + R"("0.01"})") == 0);
    CHECK(now.at(bucket + R"("0.025"})") == 1);
    CHECK(now.at(bucket + R"("2.5"})") == 2);
    CHECK(now.at(bucket + R"("+Inf"})") == 2);
    CHECK(now.at(R"(sluice_batch_duration_seconds_sum{pipeline="p",phase="read"})") ==
          doctest::Approx(2.02));
}

TEST_CASE("an unknown value has no series, and there is never a -1") {
    Metrics metrics({});
    const auto pipeline = metrics.pipeline("p");
    pipeline->set_backlog(orders_0, -1);
    pipeline->set_position(orders_0, std::nullopt);
    pipeline->set_last_record(orders_0, from_epoch_ms(-1));
    pipeline->set_headroom(orders_0, Milliseconds{-5});
    CHECK(scrape(metrics).count("sluice_backlog_offsets") == 0);
    CHECK(scrape(metrics).count("sluice_retention_headroom_seconds") == 0);
    pipeline->set_headroom(orders_0, Milliseconds{0});
    CHECK(scrape(metrics).at("sluice_retention_headroom_seconds" + of_orders_0) == 0);
    pipeline->set_headroom(orders_0, std::nullopt);
    CHECK(scrape(metrics).count("sluice_retention_headroom_seconds") == 0);
    CHECK(scrape(metrics).count("sluice_unaccepted_losses") == 0);
    pipeline->set_unaccepted_losses(0);
    CHECK(scrape(metrics).at(R"(sluice_unaccepted_losses{pipeline="p"})") == 0);
    pipeline->set_unaccepted_losses(std::nullopt);
    CHECK(scrape(metrics).count("sluice_unaccepted_losses") == 0);

    pipeline->set_backlog(orders_0, 0);
    pipeline->set_position(orders_0, 41);
    CHECK(scrape(metrics).at("sluice_backlog_offsets" + of_orders_0) == 0);
    CHECK(scrape(metrics).at("sluice_position_offset" + of_orders_0) == 41);
    CHECK_FALSE(scrape(metrics).has("sluice_last_record_timestamp_seconds" + of_orders_0));
    pipeline->set_backlog(orders_0, std::nullopt);
    CHECK_FALSE(scrape(metrics).has("sluice_backlog_offsets" + of_orders_0));
    CHECK(scrape(metrics).at("sluice_position_offset" + of_orders_0) == 41);
    pipeline->set_last_record(orders_0, from_epoch_ms(1'793'520'000'123));
    CHECK(scrape(metrics).at("sluice_last_record_timestamp_seconds" + of_orders_0) ==
          doctest::Approx(1'793'520'000.123).epsilon(1e-13));
    for (const auto& [series, value] : scrape(metrics).samples) {
        CAPTURE(series);
        CHECK(value >= 0);
    }
}

TEST_CASE("partitions and pipelines can be dropped, and a handle outlives both") {
    auto metrics = std::make_unique<Metrics>(Options{});
    const auto pipeline = metrics->pipeline("p");
    const plan::TopicPartition orders_1{"orders", 1};
    pipeline->set_backlog(orders_0, 1);
    pipeline->set_backlog(orders_1, 1);
    pipeline->drop_partition(orders_0);
    CHECK(scrape(*metrics).count("sluice_backlog_offsets") == 1);

    CHECK(metrics->pipeline("p") == pipeline);
    metrics->drop_pipeline("p");
    CHECK(metrics->exposition().find("pipeline=\"p\"") == std::string::npos);
    pipeline->set_backlog(orders_0, 1);
    pipeline->observe(Phase::total, 1s);
    CHECK(metrics->exposition().find("pipeline=\"p\"") == std::string::npos);
    CHECK(metrics->pipeline("p") != pipeline);
    metrics.reset();
    pipeline->set_backlog(orders_1, 1);
}

TEST_CASE("the number of partitions with series is bounded over all pipelines") {
    Metrics metrics({.version = "", .commit = "", .partitions_max = 3});
    const auto a = metrics.pipeline("a");
    auto b = metrics.pipeline("b");
    for (int partition = 0; partition < 2; ++partition) a->set_backlog({"t", partition}, 1);
    for (int partition = 0; partition < 2; ++partition) b->set_backlog({"t", partition}, 1);
    CHECK(scrape(metrics).count("sluice_backlog_offsets") == 3);
    CHECK(scrape(metrics).at("sluice_metrics_refused_updates_total") == 1);

    // Known ones go on, and a place that is given back is taken by the next.
    a->set_backlog({"t", 0}, 9);
    CHECK(scrape(metrics).at(R"(sluice_backlog_offsets{pipeline="a",topic="t",partition="0"})") == 9);
    a->drop_partition({"t", 0});
    b->set_backlog({"t", 1}, 1);
    CHECK(scrape(metrics).at(R"(sluice_backlog_offsets{pipeline="b",topic="t",partition="1"})") == 1);
    metrics.drop_pipeline("b");
    b.reset();
    a->set_backlog({"t", 5}, 1);
    a->set_backlog({"t", 6}, 1);
    CHECK(scrape(metrics).count("sluice_backlog_offsets") == 3);
    a->set_backlog({"t", 6}, std::nullopt);
    a->set_backlog({"t", 7}, 1);
    CHECK(scrape(metrics).has(R"(sluice_backlog_offsets{pipeline="a",topic="t",partition="7"})"));
}

TEST_CASE("names with quotes, backslashes and line breaks stay inside their label") {
    Metrics metrics({});
    metrics.pipeline("a\"b\\c\nd")->set_backlog(orders_0, 3);
    const Scrape now = scrape(metrics);
    CHECK(now.wrong.empty());
    CHECK(now.has(R"(sluice_backlog_offsets{pipeline="a\"b\\c\nd",topic="orders",partition="0"})"));
}

TEST_CASE("the consumer pool and the process show up") {
    Metrics metrics({});
    metrics.pool().count_hit(PoolHit::positioned);
    metrics.pool().count_hit(PoolHit::positioned);
    metrics.pool().count_hit(PoolHit::moved);
    metrics.pool().count_miss();
    metrics.pool().count_eviction();
    metrics.pool().set_size(16);
    const Scrape now = scrape(metrics);
    CHECK(now.at(R"(sluice_consumer_pool_hits_total{kind="positioned"})") == 2);
    CHECK(now.at(R"(sluice_consumer_pool_hits_total{kind="unassigned"})") == 0);
    CHECK(now.at(R"(sluice_consumer_pool_hits_total{kind="moved"})") == 1);
    CHECK(now.at("sluice_consumer_pool_misses_total") == 1);
    CHECK(now.at("sluice_consumer_pool_evictions_total") == 1);
    CHECK(now.at("sluice_consumer_pool_size") == 16);
    CHECK(now.at("process_resident_memory_bytes") > 1e6);
    CHECK(now.at("process_open_fds") >= 3);
    CHECK(now.at("process_max_fds") >= now.at("process_open_fds"));
    CHECK(now.at("process_cpu_seconds_total") > 0);
    const auto age = static_cast<double>(to_epoch_ms(system_clock().wall())) / 1000.0 -
                     now.at("process_start_time_seconds");
    CHECK(age >= 0);
    CHECK(age < 60);
}

TEST_CASE("threads may write while another scrapes, and nothing is lost") {
    Metrics metrics({});
    std::atomic<bool> writing = true;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 2000; ++i) {
                const auto pipeline = metrics.pipeline("p" + std::to_string(i % 3));
                pipeline->add_batch({.records = 1});
                pipeline->observe(Phase::total, 1ms);
                pipeline->set_backlog({"t", t}, i);
                if (i % 7 == 0) pipeline->drop_partition({"t", t});
            }
        });
    }
    std::thread scraping([&] {
        while (writing) CHECK(!metrics.exposition().empty());
    });
    for (std::thread& thread : threads) thread.join();
    writing = false;
    scraping.join();
    double sum = 0;
    for (int i = 0; i < 3; ++i) {
        sum += scrape(metrics).at("sluice_records_total{pipeline=\"p" + std::to_string(i) + "\"}");
    }
    CHECK(sum == 8000);
}
