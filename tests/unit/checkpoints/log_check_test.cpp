#include "checkpoints/log_check.hpp"

#include <random>

#include "support.hpp"

using namespace sluice;
using namespace sluice::checkpoints;
using namespace sluice::checkpoints::test;

namespace {

/// A write-ahead log as RocksDB left it, of a process that was killed.
std::string real_log(const std::string& ranges) {
    const TempDir dir;
    Child child({"write", dir.path().string(), ranges});
    while (child.line() != "commit 40") {
    }
    child.kill();
    child.wait();
    std::string biggest;
    for (const auto& path : files(dir.path() / "checkpoints", "", ".log")) {
        std::string bytes = read_file(path);
        if (bytes.size() > biggest.size()) biggest = std::move(bytes);
    }
    return biggest;
}

}  // namespace

TEST_CASE("a log of RocksDB is whole, over many blocks too") {
    for (const char* ranges : {"1", "500"}) {
        const std::string log = real_log(ranges);
        REQUIRE(log.size() > 2'000);
        const auto fault = find_fault(log);
        CHECK((!fault || fault->cut));  // killed in the middle of a write
        const std::string whole = fault ? log.substr(0, fault->at) : log;
        CHECK_FALSE(find_fault(whole));
        CHECK_FALSE(find_fault(whole + std::string(5'000, '\0')));  // space that was allocated
    }
    CHECK_FALSE(find_fault(""));
}

TEST_CASE("a log cut anywhere has a torn tail and nothing worse") {
    const std::string log = real_log("1");
    for (std::size_t size = 0; size < std::min<std::size_t>(log.size(), 3'000); ++size) {
        const auto fault = find_fault(log.substr(0, size));
        if (!fault) continue;
        CAPTURE(size);
        CHECK(fault->cut);
        CHECK_FALSE(fault->entries_follow);
    }
}

TEST_CASE("a flipped bit is found, and told from a torn tail by what follows") {
    const std::string log = real_log("1");
    const std::uint64_t seed = 4'711;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    for (int round = 0; round < 200; ++round) {
        std::string flipped = log;
        const std::size_t at = random() % (log.size() / 2);
        flipped[at] ^= static_cast<char>(1U << (random() % 8));
        const auto fault = find_fault(flipped);
        CAPTURE(at);
        REQUIRE(fault);
        CHECK(fault->at <= at);
        CHECK(fault->entries_follow);
    }
}

TEST_CASE("a torn tail of zeros or garbage is not taken for lost entries") {
    const std::string log = real_log("1");
    const auto fault = find_fault(log);
    const std::string whole = fault ? log.substr(0, fault->at) : log;
    // The header of the next record reached the disk, its page did not.
    const std::string torn =
        whole + std::string("\x12\x34\x56\x78\x40\x00\x01", 7) + std::string(64, '\0');
    const auto tail = find_fault(torn);
    REQUIRE(tail);
    CHECK(tail->at == whole.size());
    CHECK_FALSE(tail->entries_follow);
}
