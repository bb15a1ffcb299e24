#pragma once
// The plugin, loaded as the daemon loads it and driven as the daemon drives it: batches of ranges,
// a checkpoint that outlives a crash, writers side by side.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/sink/plugin.hpp"

namespace sluice::test {

/// What stands at an offset; nullopt value: a tombstone.
struct TestRecord {
    std::optional<std::string> key = "k";
    std::optional<std::string> value;
};
using RecordAt = std::function<TestRecord(std::int32_t partition, std::int64_t offset)>;

struct TestRange {
    std::int32_t partition = 0;
    std::int64_t from = 0;
    std::int64_t until = 0;
};
using TestPlan = std::vector<TestRange>;

/// What the daemon knows after a crash.
struct TestCheckpoint {
    std::optional<std::string> receipt;
    std::uint64_t next_batch = 0;
    std::string pipeline = "orders";
    std::string cluster = "cluster-1";
};

const sink::Plugin& postgres_plugin();

class SinkRun {
 public:
    /// Opens at once; `opened` says how that went. `memory_max`: what the sink may buffer; 0: no bound.
    SinkRun(const sink::Settings& settings, TestCheckpoint& checkpoint, std::uint64_t memory_max = 0);

    sink::Reply opened;

    sink::Reply begin(const TestPlan& plan, bool is_rerun = false);
    /// Every range in a thread of its own, in calls of 1000; the first answer that is not ok.
    /// Refused records are added to `refused`.
    sink::Reply write(const TestPlan& plan, const RecordAt& record_at);
    sink::Reply commit();
    sink::Reply abort();
    /// A whole batch. RETRY leads to abort and begin again, at most `retries` times; REJECT of the commit
    /// to the same without the records it named. The checkpoint moves on when it is done.
    sink::Reply batch(const TestPlan& plan, const RecordAt& record_at, bool is_rerun = false,
                      int retries = 0);
    /// Without closing it nicely: what happens to a sink whose daemon dies is up to the kernel.
    void close() { sink_.reset(); }

    std::map<std::int64_t, std::string> refused;  ///< by offset
    std::vector<std::string> retried;             ///< why
    int lost = 0;                                 ///< attempts that ended with REJECT of the commit
    std::atomic<std::uint64_t> memory_held{0};    ///< as the sink says

 private:
    std::vector<sink::Range> ranges_of(const TestPlan& plan) const;

    TestCheckpoint& checkpoint_;
    /// Of the batch, by range and offset: the records that its commit named, and why. They are not written again.
    std::map<std::pair<std::uint32_t, std::int64_t>, std::string> known_;
    std::atomic<bool> stopping_{false};
    std::unique_ptr<sink::Sink> sink_;
};

/// key k, value "<partition>@<offset>".
TestRecord plain_record(std::int32_t partition, std::int64_t offset);

}  // namespace sluice::test
