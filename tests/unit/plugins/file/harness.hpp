#pragma once
// Drives the plugin through its C table as the daemon does: plans, ranges, a checkpoint that survives
// a crash, and what can be read from the output afterwards.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sluice/sink.h"

namespace file_test {

namespace fs = std::filesystem;

/// A directory of its own per test, removed at the end.
class TempDir {
 public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    [[nodiscard]] const fs::path& path() const { return path_; }

 private:
    fs::path path_;
};

using Settings = std::map<std::string, std::string>;

struct Range {
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t from = 0;
    std::int64_t until = 0;
};
using Plan = std::vector<Range>;

/// What the daemon knows after a crash.
struct Checkpoint {
    std::optional<std::string> receipt;
    std::int64_t next_batch = 0;
    std::string pipeline = "orders";
    std::string cluster = "cluster-1";
};

struct Reply {
    sluice_status status = SLUICE_OK;
    std::string error;
    std::string receipt;
};

/// The value of the record at this place; the same in every run.
std::string value_of(const std::string& topic, std::int32_t partition, std::int64_t offset);

class TestWriter;

/// A sink opened through the C table.
class TestSink {
 public:
    TestSink(const Settings& settings, const Checkpoint& checkpoint);
    ~TestSink();
    TestSink(const TestSink&) = delete;
    TestSink& operator=(const TestSink&) = delete;

    [[nodiscard]] const Reply& opened() const { return opened_; }
    Reply begin(std::uint64_t batch, const Plan& plan, bool is_rerun = false);
    /// Writes every record of the range but those whose offset `is_gap` says is none, in chunks.
    Reply write(std::uint64_t batch, std::uint32_t index, const Range& range,
                const std::function<bool(std::int64_t)>& is_gap = {});
    Reply commit(std::uint64_t batch);
    Reply abort(std::uint64_t batch);

    Reply open_writer(std::uint64_t batch, std::uint32_t index, const Range& range,
                      sluice_writer** writer);
    Reply write_records(sluice_writer* writer, const std::vector<sluice_record>& records);
    Reply close_writer(sluice_writer* writer, bool keep);

    std::vector<std::string> log;
    std::vector<sluice_header> headers;  ///< of every record
    std::uint64_t memory_held = 0;       ///< as the sink said last

 private:
    Reply reply(sluice_status status, sluice_bytes receipt = {nullptr, 0});

    sluice_host host_{};
    sluice_sink* sink_ = nullptr;
    Reply opened_;
};

/// Begin, write (unless it is there already), commit; then the checkpoint moves on. The reply of the
/// first call that is not OK, or of begin when it answered ALREADY_COMMITTED.
Reply run_batch(TestSink& sink, Checkpoint& checkpoint, const Plan& plan, bool is_rerun = false);
/// The same in a sink opened for it and closed again; opening may be what fails.
Reply run_batch(const Settings& settings, Checkpoint& checkpoint, const Plan& plan,
                bool is_rerun = false);

/// Runs `work` in a child that dies at the failpoint; false when it did not die there.
bool dies_at(const std::string& failpoint, const std::function<void()>& work);

/// Every visible file below `path`, but for the sink's own: relative name → content, decompressed.
std::map<std::string, std::string> contents(const fs::path& path);
/// The lines of all visible files together, sorted.
std::vector<std::string> sorted_lines(const fs::path& path);
/// What sorted_lines() must be when these ranges are there exactly once, with format: value.
std::vector<std::string> expected_lines(const std::vector<Plan>& plans);

std::string read_file(const fs::path& path);
void write_file(const fs::path& path, const std::string& content);
std::string decompressed(const fs::path& path);

}  // namespace file_test
