#include "tests/bench/scale.hpp"

#include <chrono>
#include <fstream>
#include <stdexcept>
#include <string>

#include "checkpoints/store.hpp"
#include "daemon/plan/planner.hpp"

namespace sluice::bench {
namespace {

/// Bytes that this process has written so far, to whatever.
double written_bytes() {
    std::ifstream io("/proc/self/io");
    for (std::string word; io >> word;) {
        double value = 0;
        if (word == "wchar:" && io >> value) return value;
    }
    return 0;
}

void need(const auto& result) {
    if (!result) throw std::runtime_error("scale: " + result.error().message);
}

}  // namespace

TriggerCost cost_of_trigger(const std::filesystem::path& folder, std::int32_t partitions, std::int32_t busy,
                            int triggers) {
    using Clock = std::chrono::steady_clock;
    const auto ms = [](Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); };
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    auto store = checkpoints::open_store(folder);
    need(store);
    std::map<plan::TopicPartition, plan::Position> positions;
    std::vector<plan::PartitionFacts> facts;
    for (std::int32_t p = 0; p < partitions; ++p) {
        positions[{"orders", p}] = {0, 1, "id", -1};
        facts.push_back({{"orders", p}, 0, 0, "id", 1});
    }
    need((*store)->put_initial("orders", "{}", positions));
    TriggerCost cost;
    for (int trigger = 0; trigger < triggers; ++trigger) {
        for (std::int32_t p = 0; p < busy; ++p) facts[static_cast<std::size_t>(p)].latest += 100;
        const auto begun = Clock::now();
        auto planned = plan::plan_batch({positions, facts}, {});
        need(planned);
        cost.plan_ms += ms(Clock::now() - begun);

        const checkpoints::Plan plan{static_cast<std::uint64_t>(trigger), WallTime{}, std::move(planned->ranges)};
        checkpoints::Commit commit;
        commit.batch_id = plan.batch_id;
        std::map<plan::TopicPartition, plan::Position> after;
        for (const auto& range : plan.ranges) {
            checkpoints::RangeBooks books;
            books.polled = books.accepted = plan::size_of(range.range);
            commit.books.push_back(books);
            after[range.range.topic_partition] = {range.range.until, 1, "id", trigger};
        }
        const double before = written_bytes();
        const auto storing = Clock::now();
        need((*store)->put_plan("orders", plan, {}));
        need((*store)->put_commit("orders", commit, after, {}, {}));
        cost.store_ms += ms(Clock::now() - storing);
        cost.written_kib += (written_bytes() - before) / 1024;
        for (const auto& [tp, position] : after) positions[tp] = position;
    }
    cost.plan_ms /= triggers;
    cost.store_ms /= triggers;
    cost.written_kib /= triggers;
    return cost;
}

}  // namespace sluice::bench
