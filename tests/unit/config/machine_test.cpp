#include <doctest/doctest.h>

#include "daemon/config/machine.hpp"
#include "daemon/config/rfc3339.hpp"
#include "tests/unit/config/scratch.hpp"

namespace sluice::config {

constexpr std::uint64_t mib = 1U << 20;

TEST_CASE("the lowest memory limit above us counts") {
    const test::Scratch scratch;
    const auto process = scratch.write("cgroup", "0::/system.slice/sluice.service\n");
    CHECK_FALSE(cgroup_memory_limit(process, scratch.path() / "fs"));
    scratch.write("fs/system.slice/sluice.service/memory.max", "max\n");
    CHECK_FALSE(cgroup_memory_limit(process, scratch.path() / "fs"));
    scratch.write("fs/system.slice/memory.max", "1073741824\n");
    CHECK(cgroup_memory_limit(process, scratch.path() / "fs") == 1024 * mib);
    scratch.write("fs/system.slice/sluice.service/memory.max", "268435456\n");
    CHECK(cgroup_memory_limit(process, scratch.path() / "fs") == 256 * mib);
}

TEST_CASE("limits of cgroup version 1 and of a container's root count too") {
    const test::Scratch scratch;
    const auto old = scratch.write("old", "9:cpu,cpuacct:/x\n4:memory:/docker/1\n");
    scratch.write("fs/memory/docker/1/memory.limit_in_bytes", "536870912\n");
    CHECK(cgroup_memory_limit(old, scratch.path() / "fs") == 512 * mib);
    scratch.write("fs/memory/docker/1/memory.limit_in_bytes", "9223372036854771712\n");
    CHECK_FALSE(cgroup_memory_limit(old, scratch.path() / "fs"));
    const auto root = scratch.write("root", "0::/\n");
    scratch.write("fs/memory.max", "134217728\n");
    CHECK(cgroup_memory_limit(root, scratch.path() / "fs") == 128 * mib);
    CHECK_FALSE(cgroup_memory_limit(scratch.path() / "missing", scratch.path() / "fs"));
}

TEST_CASE("memoryMax auto leaves room for what is not counted") {
    CHECK(auto_memory_max(std::nullopt) == 512 * mib);
    CHECK(auto_memory_max(4096 * mib) == 3072 * mib);
    CHECK(auto_memory_max(256 * mib) == 160 * mib);
    CHECK(auto_memory_max(64 * mib) == 32 * mib);
}

TEST_CASE("workers auto follows the cgroup's processor quota") {
    const test::Scratch scratch;
    const auto process = scratch.write("cgroup", "0::/x\n");
    const int all = auto_workers(process, scratch.path() / "fs");
    CHECK(all >= 1);
    scratch.write("fs/x/cpu.max", "50000 100000\n");
    CHECK(auto_workers(process, scratch.path() / "fs") == 1);
    scratch.write("fs/x/cpu.max", "max 100000\n");
    CHECK(auto_workers(process, scratch.path() / "fs") == all);
}

TEST_CASE("times are RFC 3339 with a zone") {
    const auto shown = [](std::string_view text) {
        const auto time = parse_rfc3339(text);
        return time ? to_iso8601(*time) : std::string("refused");
    };
    CHECK(shown("2026-11-01T08:00:00Z") == "2026-11-01T08:00:00.000Z");
    CHECK(shown("2026-11-01 08:00:00.1239z") == "2026-11-01T08:00:00.123Z");
    CHECK(shown("2026-11-01T00:30:00+01:00") == "2026-10-31T23:30:00.000Z");
    CHECK(shown("2026-12-31T23:30:00-05:30") == "2027-01-01T05:00:00.000Z");
    CHECK(shown("2024-02-29T00:00:00Z") == "2024-02-29T00:00:00.000Z");
    for (const char* const wrong :
         {"", "2026-11-01", "2026-11-01T08:00:00", "2026-11-01T08:00Z", "2026-13-01T08:00:00Z",
          "2026-02-29T08:00:00Z", "2026-11-01T24:00:00Z", "2026-11-01T08:60:00Z", "2026-11-01T08:00:00.Z",
          "2026-11-01T08:00:00+1:00", "2026-11-01T08:00:00+0100", "2026-11-01T08:00:00ZZ",
          "26-11-01T08:00:00Z", "2026-11-01T08:00:00+24:00"}) {
        CAPTURE(wrong);
        CHECK(shown(wrong) == "refused");
    }
}

}  // namespace sluice::config
