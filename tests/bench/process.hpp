#pragma once
// A program run to its end, and what it cost.

#include <map>
#include <string>
#include <vector>

namespace sluice::bench {

struct Cost {
    double wall_s = 0;  ///< from fork to exit
    double cpu_s = 0;   ///< user and system, all threads
    double rss_mib = 0; ///< the most it ever had, looked at each 10 ms
};

/// Throws std::runtime_error with the last lines of its output when it does not exit with 0.
Cost run(const std::vector<std::string>& command, const std::string& log);

/// The last lines of a program's output.
std::string end_of(const std::string& log);

/// Started and left running; ended by SIGTERM when destroyed.
class Running {
 public:
    Running(const std::vector<std::string>& command, const std::string& log);
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    [[nodiscard]] double cpu_s() const;    ///< so far
    [[nodiscard]] double rss_mib() const;  ///< now
    [[nodiscard]] double peak_mib() const; ///< the most so far
    [[nodiscard]] int threads() const;
    [[nodiscard]] bool has_ended();  ///< by itself

 private:
    int pid_;
    bool ended_ = false;  ///< and waited for: its pid may be another program's
};

}  // namespace sluice::bench
