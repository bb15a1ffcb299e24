#pragma once
// One scrape in the making. Internal to the module: the only header with prometheus-cpp in it.

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/metrics/families.hpp"

namespace sluice::metrics {

class Collector {
 public:
    Collector();
    /// `labels`  values, as many as the family declares (asserted), in its order.
    void add(Family family, std::initializer_list<std::string_view> labels,
             prometheus::ClientMetric metric);
    void add_counter(Family family, std::initializer_list<std::string_view> labels, double value);
    void add_gauge(Family family, std::initializer_list<std::string_view> labels, double value);
    /// Families without a series are left out. Takes the collector's contents.
    [[nodiscard]] std::string text() &&;

 private:
    std::vector<prometheus::MetricFamily> families_;
};

/// What all pipelines share: the bound on the number of series.
struct Shared {
    std::size_t partitions_max = 0;
    std::atomic<std::size_t> partitions{0};
    std::atomic<std::uint64_t> refused{0};
};

/// RSS, descriptors, CPU; what can't be read is left out.
void collect_process(Collector& collector);

}  // namespace sluice::metrics
