#include "tests/support/daemon_process.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

namespace sluice::test {
namespace {

std::string binary(const std::string& name) {
    return std::string(SLUICE_TEST_BINARY_DIR) + "/bin/" + name;
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

pid_t spawn(const std::vector<std::string>& arguments,
            const std::map<std::string, std::string>& environment, int in, int out, int err) {
    std::vector<char*> argv;
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    const pid_t pid = fork();
    if (pid < 0) throw std::runtime_error("fork failed");
    if (pid > 0) return pid;
    if (in >= 0) dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    execv(argv[0], argv.data());
    _exit(127);
}

/// This program's part of <build>/tests/work, by a short name: a Unix socket's path ends at 107 bytes, wherever the clone lies.
std::filesystem::path work_root() {
    namespace fs = std::filesystem;
    const fs::path real = fs::path(SLUICE_TEST_BINARY_DIR) / "tests" / "work" / program_invocation_short_name;
    fs::create_directories(real);
    std::ostringstream name;
    name << "sluice-" << std::hex << std::hash<std::string>{}(real.string());
    fs::path link = fs::temp_directory_path() / name.str();
    std::error_code taken;  // by an earlier run, or by a test beside this one
    fs::create_directory_symlink(real, link, taken);
    if (!fs::equivalent(link, real)) throw std::runtime_error(link.string() + " is in the way: remove it");
    return link;
}

}  // namespace

WorkFolder::WorkFolder(const std::string& name) : path_(work_root() / name) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
}

DaemonProcess::DaemonProcess(std::filesystem::path folder, std::string yaml)
    : folder_(std::move(folder)), yaml_(std::move(yaml)) {}

DaemonProcess DaemonProcess::with_directory(std::filesystem::path folder,
                                            std::filesystem::path configuration) {
    DaemonProcess daemon(std::move(folder), "");
    daemon.directory_ = std::move(configuration);
    return daemon;
}

DaemonProcess::~DaemonProcess() {
    if (pid_ > 0 && !ended_) kill();
}

void DaemonProcess::start(const std::map<std::string, std::string>& environment,
                          const std::vector<std::string>& wrapper) {
    if (pid_ > 0 && !ended_) throw std::runtime_error("sluiced is running already");
    const auto config = directory_.empty() ? folder_ / "sluice.yaml" : directory_;
    if (directory_.empty()) std::ofstream(config) << yaml_;
    const int log = open((folder_ / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) throw std::runtime_error("cannot write the daemon's log");
    ended_.reset();
    std::vector<std::string> command = wrapper;
    for (const auto& word : {binary("sluiced"), std::string("--config"), config.string()}) {
        command.push_back(word);
    }
    pid_ = spawn(command, environment, -1, log, log);
    close(log);
}

bool DaemonProcess::is_running() { return pid_ > 0 && !wait(std::chrono::milliseconds{0}); }

bool DaemonProcess::says(const std::string& text, std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (log().find(text) == std::string::npos) {
        if (std::chrono::steady_clock::now() >= deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    return true;
}

void DaemonProcess::signal(int number) {
    if (pid_ > 0 && !ended_) ::kill(pid_, number);
}

void DaemonProcess::kill() {
    signal(SIGKILL);
    (void)wait();
}

std::optional<ExitStatus> DaemonProcess::wait(std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!ended_) {
        int status = 0;
        if (waitpid(pid_, &status, WNOHANG) == pid_) {
            ended_.emplace();
            if (WIFEXITED(status)) ended_->code = WEXITSTATUS(status);
            if (WIFSIGNALED(status)) ended_->signal = WTERMSIG(status);
            break;
        }
        if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    return ended_;
}

std::filesystem::path DaemonProcess::seen(const std::filesystem::path& folder) const {
    // Without links, which would lead back to what the test sees.
    return "/proc/" + std::to_string(pid_) + "/root" + std::filesystem::canonical(folder).string();
}

std::string DaemonProcess::log() const { return read_file(folder_ / "log"); }

std::vector<std::string> with_mounts(const std::string& script) {
    std::vector<std::string> command{"/usr/bin/unshare", "--mount"};
    // Root needs no user namespace for it, which a chroot would not allow.
    if (geteuid() != 0) command.push_back("--map-root-user");
    for (const std::string& word : {std::string("/bin/sh"), std::string("-c"),
                                    script + " && exec \"$@\"", std::string("sh")}) {
        command.push_back(word);
    }
    return command;
}

CommandResult run_command(const std::string& program, const std::vector<std::string>& arguments,
                          const std::string& input) {
    static std::atomic<int> counter{0};
    const auto stem = std::filesystem::temp_directory_path() /
                      ("sluice-test-" + std::to_string(getpid()) + "-" + std::to_string(counter++));
    const std::string in_path = stem.string() + ".in";
    const std::string out_path = stem.string() + ".out";
    const std::string err_path = stem.string() + ".err";
    std::ofstream(in_path, std::ios::binary) << input;
    const int in = open(in_path.c_str(), O_RDONLY | O_CLOEXEC);
    const int out = open(out_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const int err = open(err_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    std::vector<std::string> argv{binary(program)};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const pid_t pid = spawn(argv, {}, in, out, err);
    int status = 0;
    waitpid(pid, &status, 0);
    for (const int fd : {in, out, err}) close(fd);
    CommandResult result{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                         read_file(out_path), read_file(err_path)};
    for (const auto& path : {in_path, out_path, err_path}) std::filesystem::remove(path);
    return result;
}

}  // namespace sluice::test
