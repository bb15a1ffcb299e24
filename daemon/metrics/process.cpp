// What Prometheus' client libraries say about their process, under the names they all use.
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "daemon/metrics/collector.hpp"

namespace sluice::metrics {
namespace {

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

void collect_process(Collector& collector) {
    rusage usage{};
    if (::getrusage(RUSAGE_SELF, &usage) == 0) {
        collector.add_counter(Family::process_cpu, {},
                              seconds(usage.ru_utime) + seconds(usage.ru_stime));
    }

    std::uint64_t total_pages = 0;
    std::uint64_t resident_pages = 0;
    std::ifstream statm("/proc/self/statm");
    if (statm >> total_pages >> resident_pages) {
        const auto bytes = resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
        collector.add_gauge(Family::process_resident, {}, static_cast<double>(bytes));
    }

    std::error_code failed;
    std::size_t open = 0;
    for (std::filesystem::directory_iterator entry("/proc/self/fd", failed), end;
         !failed && entry != end; entry.increment(failed)) {
        ++open;
    }
    // The listing is itself one of them while it is made.
    if (!failed && open > 0) {
        collector.add_gauge(Family::process_open_fds, {}, static_cast<double>(open - 1));
    }

    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        collector.add_gauge(Family::process_max_fds, {}, static_cast<double>(limit.rlim_cur));
    }
}

}  // namespace sluice::metrics
