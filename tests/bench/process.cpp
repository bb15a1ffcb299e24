#include "tests/bench/process.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace sluice::bench {
namespace {

int spawn(const std::vector<std::string>& command, const std::string& log) {
    std::vector<char*> arguments;
    for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const pid_t pid = out < 0 ? -1 : fork();
    if (pid < 0) throw std::runtime_error("cannot start " + command.front());
    if (pid == 0) {
        dup2(out, 1);
        dup2(out, 2);
        execv(arguments[0], arguments.data());
        _exit(127);
    }
    close(out);
    return pid;
}

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::string text_of(const std::string& file) {
    std::ifstream in(file);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

/// A line of /proc/<pid>/status: the number behind `name`; 0 once it has ended.
double status_of(int pid, const std::string& name) {
    std::istringstream words(text_of("/proc/" + std::to_string(pid) + "/status"));
    double number = 0;
    for (std::string word; words >> word;) {
        if (word == name + ":") words >> number;
    }
    return number;
}

}  // namespace

Cost run(const std::vector<std::string>& command, const std::string& log) {
    const auto start = std::chrono::steady_clock::now();
    const int pid = spawn(command, log);
    double peak_mib = 0;  // usage.ru_maxrss begins with the memory of the process that forked
    std::jthread watch([&](const std::stop_token& stop) {
        for (; !stop.stop_requested(); std::this_thread::sleep_for(std::chrono::milliseconds{10})) {
            if (const double now = status_of(pid, "VmHWM") / 1024; now > 0) peak_mib = now;
        }
    });
    int status = 0;
    rusage usage{};
    if (wait4(pid, &status, 0, &usage) != pid) throw std::runtime_error("wait4 failed");
    const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    watch.request_stop();
    watch.join();
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        throw std::runtime_error(command.front() + " failed:\n" + end_of(log));
    }
    return {wall, seconds(usage.ru_utime) + seconds(usage.ru_stime), peak_mib};
}

std::string end_of(const std::string& log) {
    const std::string said = text_of(log);
    return said.substr(said.size() > 2000 ? said.size() - 2000 : 0);
}

Running::Running(const std::vector<std::string>& command, const std::string& log)
    : pid_(spawn(command, log)) {}

Running::~Running() {
    if (ended_) return;
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
}

bool Running::has_ended() {
    if (!ended_) ended_ = waitpid(pid_, nullptr, WNOHANG) == pid_;
    return ended_;
}

double Running::cpu_s() const {
    const std::string stat = text_of("/proc/" + std::to_string(pid_) + "/stat");
    std::istringstream fields(stat.substr(stat.rfind(')') + 1));
    std::string field;
    for (int i = 0; i < 11; ++i) fields >> field;  // up to utime
    double user = 0;
    double system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double Running::peak_mib() const { return status_of(pid_, "VmHWM") / 1024; }
int Running::threads() const { return static_cast<int>(status_of(pid_, "Threads")); }

double Running::rss_mib() const {
    std::istringstream fields(text_of("/proc/" + std::to_string(pid_) + "/statm"));
    double size = 0;
    double resident = 0;
    fields >> size >> resident;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1024 * 1024);
}

}  // namespace sluice::bench
