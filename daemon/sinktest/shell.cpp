#include "daemon/sinktest/shell.hpp"

#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace sluice::sinktest {
namespace {

Result<std::string> run(const std::string& script, const std::string& command) {
    FILE* const pipe = ::popen(script.c_str(), "re");
    if (pipe == nullptr) {
        return Error{ErrorCode::failed, "cannot run `" + command + "`: " + std::strerror(errno)};
    }
    std::string text;
    std::array<char, 65536> buffer;
    for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
        text.append(buffer.data(), got);
    }
    const int status = ::pclose(pipe);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
    return Error{ErrorCode::failed,
                 "`" + command + "` ended with " +
                     (WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                          : "exit code " + std::to_string(WEXITSTATUS(status))) +
                     " and not with 0"};
}

}  // namespace

Result<std::string> run_shell(const std::string& command) { return run(command, command); }

Result<void> run_apart(const std::string& command) {
    SLUICE_CHECK(run("exec >&2\n" + command, command));
    return {};
}

}  // namespace sluice::sinktest
