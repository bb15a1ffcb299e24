#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "support.hpp"

using namespace sluice;
using namespace sluice::checkpoints;
using namespace sluice::checkpoints::test;

namespace {
const LockOwner me{4711, "here", "/run/sluice/control.sock"};
}

TEST_CASE("the lock makes the data directory, for its owner alone") {
    const TempDir dir;
    const auto data = dir.path() / "a" / "data";
    const DirectoryLock lock = must(DirectoryLock::acquire(data, me));
    struct stat info {};
    REQUIRE(::stat(data.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0700);
}

TEST_CASE("a second holder is told who the first one is") {
    const TempDir dir;
    const DirectoryLock lock = must(DirectoryLock::acquire(dir.path(), me));
    const Error refused = error_of(DirectoryLock::acquire(dir.path(), {1, "other", ""}));
    CHECK(refused.code == ErrorCode::locked);
    for (const char* part : {"4711", "here", "/run/sluice/control.sock"}) {
        CHECK(refused.message.find(part) != std::string::npos);
    }
    const auto owner = must(DirectoryLock::owner(dir.path()));
    REQUIRE(owner);
    CHECK(owner->pid == 4711);
    CHECK(owner->host == "here");
    CHECK(owner->control_socket == "/run/sluice/control.sock");
}

TEST_CASE("a lock that was let go has no owner, although its file stays") {
    const TempDir dir;
    CHECK_FALSE(must(DirectoryLock::owner(dir.path())));
    { const DirectoryLock lock = must(DirectoryLock::acquire(dir.path(), me)); }
    CHECK(std::filesystem::exists(dir.path() / "lock"));
    CHECK_FALSE(must(DirectoryLock::owner(dir.path())));
    DirectoryLock again = must(DirectoryLock::acquire(dir.path(), {2, "host", ""}));
    DirectoryLock moved = std::move(again);
    CHECK(must(DirectoryLock::owner(dir.path()))->pid == 2);
    again = std::move(moved);
    CHECK(must(DirectoryLock::owner(dir.path()))->pid == 2);
}

TEST_CASE("the kernel frees the lock of a process that was killed") {
    const TempDir dir;
    Child child({"lock", dir.path().string()});
    REQUIRE(child.line() == "locked");
    const auto owner = must(DirectoryLock::owner(dir.path()));
    REQUIRE(owner);
    CHECK(owner->host == "testhost");
    CHECK(error_of(DirectoryLock::acquire(dir.path(), me)).code == ErrorCode::locked);
    child.kill();
    CHECK(child.wait() == -SIGKILL);
    CHECK(read_file(dir.path() / "lock").find("testhost") != std::string::npos);  // stale
    CHECK_FALSE(must(DirectoryLock::owner(dir.path())));
    const DirectoryLock lock = must(DirectoryLock::acquire(dir.path(), me));
    CHECK(must(DirectoryLock::owner(dir.path()))->pid == 4711);
}

TEST_CASE("asking for the owner never takes the lock away from anyone") {
    const TempDir dir;
    { const DirectoryLock lock = must(DirectoryLock::acquire(dir.path(), me)); }
    std::jthread asking([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            const auto owner = DirectoryLock::owner(dir.path());
            // Whoever is named is the one who holds it, never the leftover of the one before.
            if (owner && *owner && (*owner)->pid < 4711) std::abort();
        }
    });
    for (int i = 0; i < 300; ++i) {
        const DirectoryLock lock = must(DirectoryLock::acquire(dir.path(), me));
    }
}

TEST_CASE("a holder whose file makes no sense is still a holder") {
    const TempDir dir;
    const DirectoryLock lock = must(DirectoryLock::acquire(dir.path(), me));
    for (const char* text : {"", "{\"pid\":\"x\"}"}) {
        write_file(dir.path() / "lock", text);
        const auto owner = must(DirectoryLock::owner(dir.path()));
        REQUIRE(owner);
        CHECK(owner->pid == 0);
        CHECK(error_of(DirectoryLock::acquire(dir.path(), me)).code == ErrorCode::locked);
    }
}

TEST_CASE("a data directory that can't be made or written is a storage error with the remedy") {
    const TempDir dir;
    write_file(dir.path() / "file", "x");
    const Error not_a_directory = error_of(DirectoryLock::acquire(dir.path() / "file", me));
    CHECK(not_a_directory.code == ErrorCode::storage);
    CHECK(not_a_directory.message.find("not a directory") != std::string::npos);
    CHECK(error_of(DirectoryLock::acquire(dir.path() / "file" / "below", me)).code ==
          ErrorCode::storage);

    std::filesystem::permissions(dir.path(), std::filesystem::perms(0555));
    const int refused = status_of_fork([&] {
        // Root may write everywhere: not as somebody else.
        if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
        const auto lock = DirectoryLock::acquire(dir.path(), me);
        ::_exit(!lock && lock.error().code == ErrorCode::storage &&
                        lock.error().message.find("permission denied") != std::string::npos
                    ? 42
                    : 3);
    });
    CHECK(refused == 42);
}
