#pragma once
// What the benches of sinks share: records, and rounds of measurements beside each other.

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "daemon/sink/plugin.hpp"

namespace sluice::test {

inline void need(bool holds, const std::string& what) {
    if (!holds) throw std::runtime_error(what);
}

/// Records as a topic has them: 100 bytes of JSON and a key, in four partitions.
struct BenchInput {
    static constexpr int partitions = 4;
    static constexpr std::size_t chunk = 1000;

    explicit BenchInput(std::int64_t count) : each(count / partitions) {
        for (int p = 0; p < partitions; ++p) {
            auto& texts = values.emplace_back();
            auto& made = records.emplace_back();
            for (std::int64_t i = 0; i < each; ++i)
                texts.push_back("{\"id\":" + std::to_string(i * partitions + p) +
                                ",\"customer\":\"customer " + std::to_string(i * 7919 % 100'000) +
                                "\",\"amount\":" + std::to_string(i % 997) + ",\"note\":\"" +
                                std::string(30, 'x') + "\"}");
            for (std::int64_t i = 0; i < each; ++i) {
                const std::string& text = texts[static_cast<std::size_t>(i)];
                made.push_back({{reinterpret_cast<const std::uint8_t*>("key"), 3},
                                {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()},
                                SLUICE_STRING("orders"),
                                i,
                                1'700'000'000'000 + i,
                                p,
                                SLUICE_TIMESTAMP_CREATE,
                                nullptr});
            }
        }
    }
    /// All of it as one batch.
    [[nodiscard]] std::vector<sink::Range> ranges() const {
        std::vector<sink::Range> all;
        for (int p = 0; p < partitions; ++p)
            all.push_back({"orders", p, static_cast<std::uint32_t>(p), 0, each, "t"});
        return all;
    }
    /// One range through a writer of its own.
    void write(sink::Sink& sink, const sink::Range& range) const {
        auto writer = sink.open_writer(range).writer;
        const auto& all = records[range.index];
        for (std::size_t at = 0; at < all.size(); at += chunk) {
            const sink::WriteReply reply =
                writer->write({all.data() + at, std::min(chunk, all.size() - at)});
            need(reply.status == sink::Status::ok, reply.message);
        }
        const sink::Reply closed = writer->close(true);
        need(closed.status == sink::Status::ok, closed.message);
    }

    std::int64_t each;
    std::vector<std::vector<std::string>> values;
    std::vector<std::vector<sluice_record>> records;
};

/// What work took, by the clock and of this process's processors: the second is nearly the same on a
/// machine that others use too.
struct Cost {
    double seconds = 0;
    double cpu_seconds = 0;
};

inline Cost cost_of(const std::function<void()>& work) {
    const auto cpu = [] {
        rusage usage{};
        getrusage(RUSAGE_SELF, &usage);
        return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    };
    const double cpu_before = cpu();
    const auto start = std::chrono::steady_clock::now();
    work();
    return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
            cpu() - cpu_before};
}

/// Several rounds of several things, interleaved: what the machine does hits all alike.
class Rounds {
 public:
    void add(const std::string& name, Cost cost) {
        all_[name].push_back(cost);
        std::fprintf(stderr, "  %-26s %.2f s, CPU %.2f s\n", name.c_str(), cost.seconds, cost.cpu_seconds);
    }
    /// Medians, and the speed of each beside `base`, round by round.
    void print(std::int64_t records, const std::string& base) const {
        for (const auto& [name, costs] : all_) {
            const double seconds = median(costs, [](std::size_t, Cost cost) { return cost.seconds; });
            const double ratio = median(costs, [&](std::size_t round, Cost cost) {
                return all_.at(base).at(round).seconds / cost.seconds;
            });
            std::printf("%-26s %6.2f s  %8.0f records/s  ratio %.2f  CPU %.2f s\n", name.c_str(), seconds,
                        static_cast<double>(records) / seconds, ratio,
                        median(costs, [](std::size_t, Cost cost) { return cost.cpu_seconds; }));
        }
    }

 private:
    template <class Figure>
    static double median(const std::vector<Cost>& costs, Figure figure) {
        std::vector<double> figures;
        for (std::size_t round = 0; round < costs.size(); ++round)
            figures.push_back(figure(round, costs[round]));
        std::sort(figures.begin(), figures.end());
        return figures[figures.size() / 2];
    }
    std::map<std::string, std::vector<Cost>> all_;
};

}  // namespace sluice::test
