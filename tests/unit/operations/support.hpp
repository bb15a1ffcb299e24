#pragma once
// A store in memory, a cluster of plain values, and a clock that stands still.

#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <functional>
#include <memory>
#include <string>

#include "checkpoints/store.hpp"
#include "daemon/operations/context.hpp"
#include "tests/unit/pipeline/fakes.hpp"

namespace sluice::operations::test {

namespace json = boost::json;

inline const plan::TopicPartition orders0{"orders", 0};

class FixedClock final : public Clock {
 public:
    WallTime now = from_epoch_ms(1'793'520'000'000);  // 2026-11-01T08:00:00Z
    [[nodiscard]] WallTime wall() const override { return now; }
    [[nodiscard]] SteadyTime steady() const override { return {}; }
};

/// What the brokers would say.
struct FakeCluster {
    std::vector<plan::PartitionFacts> facts;
    std::map<plan::TopicPartition, std::int64_t> at_time;  ///< first offset of any time asked for
    std::map<plan::TopicPartition, std::int64_t> truncated_at;
    std::set<std::string> unsubscribed;
    bool is_down = false;
    int asked = 0;
    std::function<void()> when_asked = [] {};
};

class FakeSource final : public pipeline::Source {
 public:
    FakeSource(FakeCluster& cluster, config::StartingOffsets starting)
        : cluster_(cluster), starting_(std::move(starting)) {}

    Result<std::string> cluster_id() override { return std::string("fake"); }
    bool covers(const plan::TopicPartition& partition) const override {
        return !cluster_.unsubscribed.contains(partition.topic);
    }
    Result<std::vector<plan::PartitionFacts>> facts(
        const std::map<plan::TopicPartition, plan::Position>&, const std::stop_token&) override {
        ++cluster_.asked;
        cluster_.when_asked();
        if (cluster_.is_down) return Error{ErrorCode::unavailable, "brokers are down", true};
        return cluster_.facts;
    }
    Result<std::map<plan::TopicPartition, std::int64_t>> truncations(
        const std::map<plan::TopicPartition, plan::Position>& positions, const std::stop_token&) override {
        auto found = cluster_.truncated_at;
        std::erase_if(found, [&](const auto& cut) { return !positions.contains(cut.first); });
        return found;
    }
    Result<std::map<std::string, std::string>> topic_ids(const std::set<std::string>&) override {
        FAIL("an operation runs no batch");
        return Error{};
    }
    Result<pipeline::InitialOffsets> initial_offsets(std::span<const plan::PartitionFacts> facts) override {
        pipeline::InitialOffsets initial;
        for (const auto& fact : facts) {
            std::int64_t offset = fact.earliest;
            if (std::holds_alternative<config::Latest>(starting_)) offset = fact.latest;
            if (std::holds_alternative<config::AtTimestamp>(starting_)) {
                const auto found = cluster_.at_time.find(fact.topic_partition);
                offset = found == cluster_.at_time.end() ? fact.latest : found->second;
            }
            initial.positions[fact.topic_partition] = {offset, -1, fact.topic_id, -1};
        }
        initial.json = "{}";
        return initial;
    }
    Result<kafka::RangeCounts> read(const plan::PlannedRange&, bool, const kafka::RecordHandler&,
                                    const std::stop_token&) override {
        FAIL("an operation must not read records");
        return Error{};
    }
    Result<void> export_positions(
        const std::string&, const std::map<plan::TopicPartition, plan::Position>&) override {
        return Error{ErrorCode::failed, "not asked for here"};
    }
    void release() override {}

 private:
    FakeCluster& cluster_;
    config::StartingOffsets starting_;
};

/// The example of the mission: orders with three partitions, payments with one.
inline std::vector<plan::PartitionFacts> example_facts() {
    return {{{"orders", 0}, 1000, 151'000, "id-o", 3},
            {{"orders", 1}, 2000, 82'000, "id-o", 3},
            {{"orders", 2}, 5000, 35'000, "id-o", 3},
            {{"payments", 0}, 100, 40'100, "id-p", 3}};
}

struct Fixture {
    Fixture() {
        config::Pipeline orders;
        orders.name = "orders";
        orders.source.subscription = config::Topics{{"orders", "payments"}};
        orders.source.max_offsets_per_trigger = std::int64_t{1'000'000};
        orders.source.max_records_per_partition = config::Limit{std::int64_t{50'000}};
        orders.sink.plugin = "discard";
        config.pipelines.push_back(orders);
        config.workers = 0;  // no lanes: ranges are easier to read
        cluster.facts = example_facts();
        make_source = [this](const config::Pipeline& pipeline) {
            return std::make_unique<FakeSource>(cluster, pipeline.source.starting_offsets);
        };
    }

    [[nodiscard]] Context context() const { return {*store, config, make_source, find_plugin, clock}; }
    config::Pipeline& orders() { return config.pipelines[0]; }

    /// A first start at the given offsets.
    void start_at(const std::map<plan::TopicPartition, std::int64_t>& offsets) {
        std::map<plan::TopicPartition, plan::Position> positions;
        for (const auto& [tp, offset] : offsets) {
            positions[tp] = {offset, 2, tp.topic == "orders" ? "id-o" : "id-p", -1};
        }
        REQUIRE(store->put_initial("orders", "{\"orders\":{\"0\":1000}}", positions));
    }
    /// The same with every partition of the example known: those not named at their earliest.
    void start_with(std::map<plan::TopicPartition, std::int64_t> offsets) {
        for (const auto& facts : example_facts()) offsets.emplace(facts.topic_partition, facts.earliest);
        start_at(offsets);
    }
    std::uint64_t put_plan(std::vector<plan::OffsetRange> ranges) {
        const auto state = store->load("orders");
        REQUIRE(state);
        checkpoints::Plan plan{state->next_batch_id, clock.now, {}};
        for (auto& range : ranges) plan.ranges.push_back({std::move(range), 2, "id-o", std::nullopt});
        REQUIRE(store->put_plan("orders", plan, {}));
        return plan.batch_id;
    }
    /// Commits the unfinished plan with books that balance.
    void commit(std::uint64_t batch_id) {
        const auto batch = store->batch("orders", batch_id);
        REQUIRE(batch);
        checkpoints::Commit commit;
        commit.batch_id = batch_id;
        commit.committed_at = clock.now;
        commit.phases = {Milliseconds{300}, Milliseconds{100}, Milliseconds{431}};
        std::map<plan::TopicPartition, plan::Position> positions;
        for (const auto& planned : batch->plan.ranges) {
            checkpoints::RangeBooks books;
            books.polled = books.accepted = plan::size_of(planned.range);
            books.bytes = books.polled * 100;
            commit.books.push_back(books);
            positions[planned.range.topic_partition] = {planned.range.until, 2, "id-o",
                                                        static_cast<std::int64_t>(batch_id)};
        }
        REQUIRE(store->put_commit("orders", commit, positions, std::nullopt, {}));
    }
    std::int64_t position(const plan::TopicPartition& tp) const {
        const auto state = store->load("orders");
        REQUIRE(state);
        const auto found = state->positions.find(tp);
        return found == state->positions.end() ? -1 : found->second.offset;
    }

    std::unique_ptr<checkpoints::Store> store = checkpoints::make_memory_store();
    config::Config config;
    FakeCluster cluster;
    pipeline::SourceFactory make_source;
    pipeline::testing::FakeTarget sink_target;  ///< of every sink
    PluginFinder find_plugin =
        [this](const config::Config&, const config::Pipeline&) -> std::shared_ptr<const sink::Plugin> {
        return std::make_shared<pipeline::testing::FakePlugin>(sink_target);
    };
    FixedClock clock;
};

/// The parsed text, for comparing whole answers.
inline json::value parsed(const char* text) { return json::parse(text); }

/// The answer as text where it is one; the error fails the test.
template <class T>
std::string text_of(const Result<T>& result) {
    return result ? json::serialize(*result) : "error: " + result.error().message;
}

}  // namespace sluice::operations::test
