#pragma once
// What was measured, as a table, as JSON, and as a picture.

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/process.hpp"

namespace sluice::bench {

/// One program on one workload, once for each round.
struct Row {
    std::string workload;
    std::string name;
    std::string kind;   ///< "nothing" or "files": where to; "halves": to nothing, cut. Compared within a workload and a kind
    bool is_raw = false;  ///< librdkafka alone: the best of these is what others are compared with
    std::int64_t records = 0;
    std::vector<Cost> rounds;
};

struct Spread {
    double median = 0;
    double low = 0;
    double high = 0;
};
Spread spread(std::vector<double> values);

Spread rate(const Row& row);           ///< records a second
/// Of medians, to the raw row with the highest rate; 0 for raw rows, and where there is none.
double ratio(const Row& row, const std::vector<Row>& all);
double cpu_ratio(const Row& row, const std::vector<Row>& all);

/// A single figure beside the rows: idle memory, a trickle's latency.
struct Figure {
    std::string name;
    std::string unit;
    Spread value;
    std::string target;
};

struct Machine {
    std::string cpu;
    int cores = 0;
    std::string system;
    std::string versions;  ///< of sluice, librdkafka, Kafka
    std::string command;
};

std::string table(const std::vector<Row>& rows, const std::vector<Figure>& figures);
std::string as_json(const Machine& machine, const std::vector<Row>& rows, const std::vector<Figure>& figures);
/// Bars of medians with a line from min to max.
std::string as_svg(const Machine& machine, const std::vector<Row>& rows);

}  // namespace sluice::bench
