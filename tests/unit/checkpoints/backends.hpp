#pragma once
// The rule suite runs over both stores: TEST_CASE_TEMPLATE("…", Kind, SLUICE_STORES).

#include <memory>

#include "support.hpp"

namespace sluice::checkpoints::test {

struct InMemory {
    std::unique_ptr<Store> store = make_memory_store();
    Store& operator*() { return *store; }
    Store* operator->() { return store.get(); }
};

struct OnDisk {
    TempDir dir;
    std::unique_ptr<Store> store = must(open_store(dir.path()));
    Store& operator*() { return *store; }
    Store* operator->() { return store.get(); }
};

}  // namespace sluice::checkpoints::test

TYPE_TO_STRING_AS("memory", sluice::checkpoints::test::InMemory);
TYPE_TO_STRING_AS("RocksDB", sluice::checkpoints::test::OnDisk);
#define SLUICE_STORES sluice::checkpoints::test::InMemory, sluice::checkpoints::test::OnDisk
