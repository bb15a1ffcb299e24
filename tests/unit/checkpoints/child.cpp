// The process that the checkpoint tests kill. Everything it says on standard output has returned.
//   checkpoints_child lock DIR           takes the lock, says "locked", waits to be killed
//   checkpoints_child write DIR SIZE     plans and commits for ever, SIZE ranges a plan
//   checkpoints_child full DIR COUNT     the disk is full at the COUNT-th write; space comes back later
//   checkpoints_child broken DIR COUNT   the disk fails at the COUNT-th sync and stays broken

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <limits>
#include <string>
#include <thread>

#include "checkpoints/store.hpp"

// The disk, as this process sees it: these stand in front of libc's for the whole process, the shared
// library of RocksDB included.
namespace disk {
std::atomic<long> writes_left{-1};  ///< negative: no fault; 0: every write finds the disk full
std::atomic<long> syncs_left{-1};

bool faulty(std::atomic<long>& left) {
    long now = left.load();
    while (now > 0 && !left.compare_exchange_weak(now, now - 1)) {
    }
    return now == 0;
}
}  // namespace disk

extern "C" ssize_t write(int fd, const void* data, size_t size) {
    if (fd > STDERR_FILENO && disk::faulty(disk::writes_left)) {
        errno = ENOSPC;
        return -1;
    }
    return ::syscall(SYS_write, fd, data, size);
}

extern "C" int fdatasync(int fd) {
    if (disk::faulty(disk::syncs_left)) {
        errno = EIO;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace {

using namespace sluice;
using namespace sluice::checkpoints;

void say(const std::string& text) {
    const std::string line = text + "\n";
    if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) std::_Exit(3);
}

int fail(const Error& error) {
    say("error " + std::string(name_of(error.code)) + " " + error.message);
    return 1;
}

int hold_lock(const std::filesystem::path& dir) {
    auto lock = DirectoryLock::acquire(dir, {::getpid(), "testhost", "/run/test/control.sock"});
    if (!lock) return fail(lock.error());
    say("locked");
    while (true) ::pause();
}

Plan make_plan(std::uint64_t batch_id, int ranges) {
    Plan plan;
    plan.batch_id = batch_id;
    for (int i = 0; i < ranges; ++i) {
        const auto from = static_cast<std::int64_t>(batch_id) * 10;
        plan.ranges.push_back({{{"orders", i}, from, from + 10}, 1, "topic-id-1", {}});
    }
    return plan;
}

Result<void> put_commit(Store& store, const Plan& plan) {
    Commit commit;
    commit.batch_id = plan.batch_id;
    std::map<plan::TopicPartition, plan::Position> positions;
    for (const plan::PlannedRange& planned : plan.ranges) {
        commit.books.push_back({10, 0, 10, 0, 0, 0, 1000});
        positions[planned.range.topic_partition] = {
            planned.range.until, 1, "topic-id-1", static_cast<std::int64_t>(plan.batch_id)};
    }
    const Receipt receipt{"file", "/srv", "batch " + std::to_string(plan.batch_id)};
    return store.put_commit("orders", commit, positions, receipt, {});
}

/// Goes on where an earlier run of it stopped: an unfinished plan is committed first.
int write_batches(const std::filesystem::path& dir, int ranges, std::uint64_t batches,
                  const std::function<Result<void>(const std::function<Result<void>()>&)>& put) {
    auto store = open_store(dir);
    if (!store) return fail(store.error());
    auto loaded = (*store)->load("orders");
    if (!loaded) return fail(loaded.error());
    PipelineState state = std::move(loaded).value();
    say("open " + std::to_string(state.next_batch_id));
    for (; batches > 0; --batches) {
        Plan plan;
        if (state.unfinished) {
            plan = *std::exchange(state.unfinished, std::nullopt);
        } else {
            plan = make_plan(state.next_batch_id++, ranges);
            const auto planned = put([&] { return (*store)->put_plan("orders", plan, {}); });
            if (!planned) return fail(planned.error());
            say("plan " + std::to_string(plan.batch_id));
        }
        const auto committed = put([&] { return put_commit(**store, plan); });
        if (!committed) return fail(committed.error());
        say("commit " + std::to_string(plan.batch_id));
    }
    return 0;
}

Result<void> put_once(const std::function<Result<void>()>& put) { return put(); }

/// Frees the disk after the second refusal, and tries again as a pipeline does.
Result<void> put_patiently(const std::function<Result<void>()>& put) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    Result<void> result = put();
    for (int tries = 1; !result && result.error().retriable; ++tries) {
        if (std::chrono::steady_clock::now() > deadline) break;
        if (tries < 3) say("full " + result.error().message);
        if (tries == 2) disk::writes_left = -1;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        result = put();
    }
    return result;
}

constexpr auto for_ever = std::numeric_limits<std::uint64_t>::max();

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 2 ? argv[1] : "";
    if (what == "lock") return hold_lock(argv[2]);
    if (argc < 4) return 64;
    const int number = std::atoi(argv[3]);
    if (what == "write") return write_batches(argv[2], number, for_ever, put_once);
    if (what == "full") {
        disk::writes_left = number;
        return write_batches(argv[2], 100, 100, put_patiently);
    }
    if (what == "broken") {
        disk::syncs_left = number;
        return write_batches(argv[2], 100, 100, put_once);
    }
    return 64;
}
