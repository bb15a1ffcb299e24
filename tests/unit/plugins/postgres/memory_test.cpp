#include "plugins/postgres/memory.hpp"

#include <doctest/doctest.h>

#include <cstdint>

#include "plugins/postgres/options.hpp"

using namespace sluice;
using namespace sluice::plugins::postgres;

namespace {

/// Options over `connections`, of a pipeline whose sink may buffer `memory_max`.
Options fitted(std::size_t connections, std::uint64_t memory_max) {
    sluice_config config{};
    config.struct_size = sizeof config;
    config.memory_max = memory_max;
    Options options;
    options.connections = connections;
    fit_buffers(options, Config(config));
    return options;
}

}  // namespace

TEST_CASE("the host is told what all shares hold together, and a share that ends holds nothing") {
    std::uint64_t told = 0;
    sluice_host raw{};
    raw.struct_size = sizeof raw;
    raw.context = &told;
    raw.memory_held = [](const sluice_host* host, std::uint64_t bytes) {
        *static_cast<std::uint64_t*>(host->context) = bytes;
    };
    Memory memory(Host(&raw), 100);
    Memory::Share one(memory);
    one.set(60);
    CHECK(told == 60);
    {
        Memory::Share other(memory);
        other.at_least(40);
        CHECK(told == 100);
        CHECK_FALSE(memory.is_full());
        other.at_least(20);
        CHECK(told == 100);
        other.at_least(41);
        CHECK(memory.is_full());
    }
    CHECK(told == 60);
    one.set(10);
    CHECK(told == 10);
    CHECK_FALSE(memory.is_full());

    Memory unbounded(Host(&raw), 0);
    Memory::Share much(unbounded);
    much.set(1ULL << 40);
    CHECK_FALSE(unbounded.is_full());
}

TEST_CASE("buffers are smaller where the pipeline's part of memoryMax is, down to what is needed") {
    for (const std::uint64_t plenty : {std::uint64_t{0}, std::uint64_t{1} << 30}) {
        CHECK(fitted(4, plenty).copy_piece_max == (1U << 20));
        CHECK(fitted(4, plenty).late_max == (64U << 20));
    }
    // Half of 8 MiB for eight times a piece.
    CHECK(fitted(4, 8U << 20).copy_piece_max == (512U << 10));
    CHECK(fitted(4, 8U << 20).late_max == (4U << 20));
    CHECK(fitted(32, 1).copy_piece_max == (64U << 10));
    CHECK(fitted(32, 1).late_max == (1U << 20));
}
