#pragma once
// A real sluiced in a process of its own: started, looked at, killed, started again.

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sluice::test {

/// A folder of that name in this program's part of <build>/tests/work, empty at the start; kept afterwards. ctest runs
/// programs beside each other, and two of them may use one name. `path()` leads there through a link in the temporary folder,
/// short enough for the sockets below it.
class WorkFolder {
 public:
    explicit WorkFolder(const std::string& name);
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
    std::filesystem::path path_;
};

struct ExitStatus {
    std::optional<int> code;    ///< exited by itself
    std::optional<int> signal;  ///< was killed
};

/// Runs <build>/bin/sluiced with `yaml` as its configuration; its log is appended to <folder>/log.
/// Killed (and waited for) when destroyed.
class DaemonProcess {
 public:
    DaemonProcess(std::filesystem::path folder, std::string yaml);
    /// With a directory of files as its configuration.
    static DaemonProcess with_directory(std::filesystem::path folder, std::filesystem::path configuration);
    ~DaemonProcess();

    /// `wrapper` is a command that ends by executing its arguments (unshare, sh -c '… exec "$@"' sh).
    void start(const std::map<std::string, std::string>& environment = {},
               const std::vector<std::string>& wrapper = {});
    /// Waits until its log says `text`.
    [[nodiscard]] bool says(const std::string& text,
                            std::chrono::milliseconds limit = std::chrono::seconds{30});
    [[nodiscard]] bool is_running();
    void signal(int number);
    void kill();
    /// Waits for it to end; nullopt when it did not within `limit`.
    std::optional<ExitStatus> wait(std::chrono::milliseconds limit = std::chrono::seconds{60});
    [[nodiscard]] std::string log() const;
    void set_yaml(std::string yaml) { yaml_ = std::move(yaml); }
    [[nodiscard]] pid_t pid() const { return pid_; }
    /// A folder as the daemon sees it, whose mounts may be its own.
    [[nodiscard]] std::filesystem::path seen(const std::filesystem::path& folder) const;

 private:
    std::filesystem::path folder_;
    std::string yaml_;
    std::filesystem::path directory_;  ///< instead of yaml_ when there is one
    pid_t pid_ = -1;
    std::optional<ExitStatus> ended_;
};

/// A wrapper for `start`: runs `script` first, in a mount namespace that ends with the daemon. What is
/// mounted there is seen from outside below /proc/<pid>/root.
std::vector<std::string> with_mounts(const std::string& script);

struct CommandResult {
    int code = -1;
    std::string out;
    std::string err;
};
/// Runs a program of <build>/bin to its end.
CommandResult run_command(const std::string& program, const std::vector<std::string>& arguments,
                          const std::string& input = {});

}  // namespace sluice::test
