#include "support.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace sluice::checkpoints::test {
namespace {

int status_of(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

TempDir::TempDir() {
    // In memory where the machine has that: a kill leaves it as it leaves a disk, and syncs cost nothing.
    const std::filesystem::path memory = "/dev/shm";
    const bool usable = ::access(memory.c_str(), W_OK) == 0;
    std::string name =
        ((usable ? memory : std::filesystem::temp_directory_path()) / "sluice-checkpoints-XXXXXX")
            .string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
}

TempDir::~TempDir() {
    std::error_code error;
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all, error);
    std::filesystem::remove_all(path_, error);
}

plan::PlannedRange range(const std::string& topic, int partition, std::int64_t from,
                         std::int64_t until) {
    return {{{topic, partition}, from, until}, 3, "topic-id-1", std::nullopt};
}

Plan make_plan(std::uint64_t batch_id, std::vector<plan::PlannedRange> ranges, WallTime planned_at) {
    return {batch_id, planned_at, std::move(ranges)};
}

Commit make_commit(const Plan& plan, WallTime committed_at) {
    Commit commit;
    commit.batch_id = plan.batch_id;
    commit.committed_at = committed_at;
    for (const plan::PlannedRange& planned : plan.ranges) {
        RangeBooks books;
        books.polled = plan::size_of(planned.range);
        books.accepted = books.polled;
        books.bytes = books.polled * 100;
        commit.books.push_back(books);
    }
    commit.phases = {Milliseconds{12}, Milliseconds{3}, Milliseconds{16}};
    return commit;
}

std::map<plan::TopicPartition, plan::Position> ends_of(const Plan& plan) {
    std::map<plan::TopicPartition, plan::Position> positions;
    for (const plan::PlannedRange& planned : plan.ranges) {
        plan::Position& end = positions[planned.range.topic_partition];
        end.offset = std::max(end.offset, planned.range.until);
        end.leader_epoch = planned.leader_epoch;
        end.topic_id = planned.topic_id;
        end.last_advanced = static_cast<std::int64_t>(plan.batch_id);
    }
    return positions;
}

plan::Position position(std::int64_t offset, std::string topic_id) {
    return {offset, 3, std::move(topic_id), -1};
}

LossEntry loss(const std::string& topic, int partition, std::int64_t from, std::int64_t until,
               bool accepted) {
    LossEntry entry;
    entry.loss = {{topic, partition}, plan::LossKind::expired, "topic-id-1", from, until, until};
    entry.detected_at = at_ms(500);
    entry.accepted = accepted;
    return entry;
}

void run_batch(Store& store, const std::string& pipeline, std::uint64_t batch_id, std::int64_t from,
               std::int64_t until, WallTime at) {
    const Plan plan = make_plan(batch_id, {range("orders", 0, from, until)}, at);
    must(store.put_plan(pipeline, plan, {}));
    must(store.put_commit(pipeline, make_commit(plan, at), ends_of(plan), std::nullopt, {}));
}

int status_of_fork(const std::function<void()>& work) {
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        for (const int number : {SIGABRT, SIGSEGV, SIGTERM}) std::signal(number, SIG_DFL);
        const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
        ::dup2(nowhere, STDERR_FILENO);
        work();
        ::_exit(0);
    }
    return status_of(pid);
}

Child::Child(std::vector<std::string> arguments) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const std::string program = SLUICE_CHECKPOINTS_CHILD;
    arguments.insert(arguments.begin(), program);
    std::vector<char*> words;
    for (std::string& argument : arguments) words.push_back(argument.data());
    words.push_back(nullptr);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
        ::dup2(ends[1], STDOUT_FILENO);
        ::execv(program.c_str(), words.data());
        ::_exit(127);
    }
    ::close(ends[1]);
    output_ = ends[0];
}

Child::~Child() {
    if (pid_ > 0) {
        kill();
        wait();
    }
    if (output_ >= 0) ::close(output_);
}

std::string Child::line() {
    while (true) {
        if (const auto end = buffer_.find('\n'); end != std::string::npos) {
            std::string line = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            return line;
        }
        char part[4096];
        const ssize_t size = ::read(output_, part, sizeof part);
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) return {};
        buffer_.append(part, static_cast<std::size_t>(size));
    }
}

void Child::kill() { ::kill(pid_, SIGKILL); }
int Child::wait() { return status_of(std::exchange(pid_, -1)); }

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << bytes;
    REQUIRE(file.flush().good());
}

std::vector<std::filesystem::path> files(const std::filesystem::path& directory,
                                         const std::string& begins, const std::string& ends) {
    std::vector<std::filesystem::path> found;
    for (const auto& file : std::filesystem::directory_iterator(directory)) {
        const std::string name = file.path().filename().string();
        if (name.starts_with(begins) && name.ends_with(ends)) found.push_back(file.path());
    }
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace sluice::checkpoints::test
