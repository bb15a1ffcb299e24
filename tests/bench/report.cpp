#include "tests/bench/report.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <functional>

namespace sluice::bench {
namespace {

namespace json = boost::json;

template <class... Values>
std::string format(const char* pattern, Values... values) {
    char text[512];
    std::snprintf(text, sizeof text, pattern, values...);
    return text;
}

Spread over(const Row& row, const std::function<double(const Cost&)>& value) {
    std::vector<double> values;
    for (const Cost& cost : row.rounds) values.push_back(value(cost));
    return spread(std::move(values));
}

Spread cpu_per_million(const Row& row) {
    return over(row, [&](const Cost& cost) { return cost.cpu_s * 1e6 / static_cast<double>(row.records); });
}

const Row* reference(const Row& row, const std::vector<Row>& all) {
    const Row* best = nullptr;
    for (const Row& other : all) {
        if (row.is_raw || !other.is_raw || other.workload != row.workload || other.kind != row.kind) continue;
        if (best == nullptr || rate(other).median > rate(*best).median) best = &other;
    }
    return best;
}

json::object as_object(const Spread& spread) {
    return {{"median", spread.median}, {"min", spread.low}, {"max", spread.high}};
}

}  // namespace

Spread spread(std::vector<double> values) {
    if (values.empty()) return {};
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    const double median =
        values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    return {median, values.front(), values.back()};
}

Spread rate(const Row& row) {
    return over(row, [&](const Cost& cost) { return static_cast<double>(row.records) / cost.wall_s; });
}

double ratio(const Row& row, const std::vector<Row>& all) {
    const Row* const other = reference(row, all);
    return other == nullptr ? 0 : rate(row).median / rate(*other).median;
}

double cpu_ratio(const Row& row, const std::vector<Row>& all) {
    const Row* const other = reference(row, all);
    return other == nullptr ? 0 : cpu_per_million(row).median / cpu_per_million(*other).median;
}

std::string table(const std::vector<Row>& rows, const std::vector<Figure>& figures) {
    std::string text;
    std::string workload;
    for (const Row& row : rows) {
        if (row.workload != workload) {
            workload = row.workload;
            text += '\n';
            text += format("%-34s %22s %7s %10s %7s %9s\n", workload.c_str(), "k records/s (min-max)", "ratio",
                                  "CPU s/M", "ratio", "RSS MiB");
        }
        const Spread records = rate(row);
        const std::string spread = format("%.0f (%.0f-%.0f)", records.median / 1e3, records.low / 1e3, records.high / 1e3);
        const bool compared = reference(row, rows) != nullptr;
        text += format("  %-32s %22s %7s %10.2f %7s %9.0f\n", row.name.c_str(), spread.c_str(),
                       compared ? format("%.2f", ratio(row, rows)).c_str() : "", cpu_per_million(row).median,
                       compared ? format("%.2f", cpu_ratio(row, rows)).c_str() : "",
                       over(row, [](const Cost& cost) { return cost.rss_mib; }).high);
    }
    if (!figures.empty()) text += "\n";
    for (const Figure& figure : figures) {
        text += format("%-56s %10.2f (%.2f-%.2f) %s, target %s\n", figure.name.c_str(), figure.value.median,
                       figure.value.low, figure.value.high, figure.unit.c_str(), figure.target.c_str());
    }
    return text;
}

std::string as_json(const Machine& machine, const std::vector<Row>& rows, const std::vector<Figure>& figures) {
    json::array all;
    for (const Row& row : rows) {
        json::object one{{"workload", row.workload},
                         {"name", row.name},
                         {"records", row.records},
                         {"records_per_s", as_object(rate(row))},
                         {"cpu_s_per_million", as_object(cpu_per_million(row))},
                         {"rss_mib", as_object(over(row, [](const Cost& cost) { return cost.rss_mib; }))}};
        if (const Row* const other = reference(row, rows)) {
            one["against"] = other->name;
            one["ratio"] = ratio(row, rows);
            one["cpu_ratio"] = cpu_ratio(row, rows);
        }
        all.push_back(std::move(one));
    }
    json::array single;
    for (const Figure& figure : figures) {
        json::object one = as_object(figure.value);
        one["name"] = figure.name;
        one["unit"] = figure.unit;
        one["target"] = figure.target;
        single.push_back(std::move(one));
    }
    return json::serialize(json::object{{"machine", {{"cpu", machine.cpu},
                                                     {"cores", machine.cores},
                                                     {"system", machine.system},
                                                     {"versions", machine.versions},
                                                     {"command", machine.command}}},
                                        {"rows", std::move(all)},
                                        {"figures", std::move(single)}}) +
           "\n";
}

std::string as_svg(const Machine& machine, const std::vector<Row>& rows) {
    constexpr int left = 360;  // the longest name
    constexpr int width = 420;
    constexpr int line = 22;
    double most = 1;
    int height = 40;
    std::string workload;
    for (const Row& row : rows) {
        most = std::max(most, rate(row).high);
        if (row.workload != workload) height += line + 8;
        workload = row.workload;
        height += line;
    }
    std::string svg = format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"910\" height=\"%d\" font-family=\"sans-serif\" "
        "font-size=\"12\">\n<rect width=\"910\" height=\"%d\" fill=\"#fff\"/>\n",
        height, height);
    int y = 10;
    workload.clear();
    for (const Row& row : rows) {
        if (row.workload != workload) {
            workload = row.workload;
            y += line + 8;
            svg += format("<text x=\"10\" y=\"%d\" font-weight=\"bold\">%s</text>\n", y - 6, workload.c_str());
        }
        const Spread records = rate(row);
        const auto at = [&](double value) { return left + static_cast<int>(value / most * width); };
        svg += format("<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", left - 8, y + 14, row.name.c_str());
        svg += format("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"14\" fill=\"%s\"/>\n", left, y + 3,
                      at(records.median) - left, row.is_raw ? "#9aa5b1" : "#2b6cb0");
        svg += format("<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#000\"/>\n", at(records.low), y + 10,
                      at(records.high), y + 10);
        svg += format("<text x=\"%d\" y=\"%d\">%.2f M/s</text>\n", at(records.high) + 6, y + 14, records.median / 1e6);
        y += line;
    }
    svg += format("<text x=\"10\" y=\"%d\" fill=\"#555\">%s, %d cores; %s</text>\n</svg>\n", height - 8,
                  machine.cpu.c_str(), machine.cores, machine.versions.c_str());
    return svg;
}

}  // namespace sluice::bench
