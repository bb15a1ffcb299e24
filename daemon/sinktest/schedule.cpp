#include "daemon/sinktest/schedule.hpp"

#include <algorithm>

namespace sluice::sinktest {
namespace {

std::vector<Step> steps_of_range(const sink::Range& range, Random& random) {
    std::vector<Step> steps{{Op::open_writer, range.index, 0, 0}};
    for (std::int64_t at = range.from; at < range.until;) {
        const std::int64_t until = random.between(at + 1, range.until);
        steps.push_back({Op::write, range.index, at, until});
        at = until;
    }
    steps.push_back({Op::close_writer, range.index, 0, 0});
    return steps;
}

}  // namespace

std::vector<Step> steps_of(const sink::Batch& batch, Order order, bool is_ordered_sink, Random& random) {
    std::vector<Step> steps{{Op::begin, 0, 0, 0}};
    if (is_ordered_sink) order = Order::one_by_one;
    if (order == Order::parallel) {
        steps.push_back({Op::write_all, 0, 0, 0});
    } else {
        std::vector<std::vector<Step>> writers;
        for (const sink::Range& range : batch.ranges) writers.push_back(steps_of_range(range, random));
        std::vector<std::size_t> next(writers.size(), 0);
        for (std::size_t left = writers.size(); left > 0;) {
            const auto unfinished = [&](std::size_t i) { return next[i] < writers[i].size(); };
            std::size_t writer = order == Order::interleaved ? random.below(writers.size()) : 0;
            while (!unfinished(writer)) writer = (writer + 1) % writers.size();
            steps.push_back(writers[writer][next[writer]++]);
            if (!unfinished(writer)) --left;
        }
    }
    steps.push_back({Op::commit, 0, 0, 0});
    return steps;
}

std::string to_string(const Step& step, std::uint64_t batch) {
    std::string text(name_of(step.op));
    const bool of_range = step.op == Op::open_writer || step.op == Op::write || step.op == Op::close_writer;
    if (of_range) text += " of range " + std::to_string(step.range);
    if (step.op == Op::write) {
        text += ", offsets [" + std::to_string(step.from) + ", " + std::to_string(step.until) + "),";
    }
    return text + " of batch " + std::to_string(batch);
}

}  // namespace sluice::sinktest
