#pragma once
// The sink: glue between the ABI's calls, the rows that writers make, and the table.

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "plugins/postgres/memory.hpp"
#include "plugins/postgres/options.hpp"
#include "plugins/postgres/row_encoder.hpp"
#include "plugins/postgres/target.hpp"
#include "plugins/postgres/target_name.hpp"
#include "sluice/sink.hpp"

namespace sluice::plugins::postgres {

inline constexpr Description description =
    describe("postgres", SLUICE_PLUGIN_VERSION,
             "Writes records into a PostgreSQL table by COPY, appended or a row per key.")
        .exactly_once()
        .options(option_table);

/// One per pipeline; threads as sluice/sink.h says. A crash loses nothing that was committed: the
/// batch that was being written is rolled back by the server, or found by begin().
class PostgresSink final : public Sink {
 public:
    PostgresSink(Host host, const Config& config, std::optional<std::string_view> receipt);
    static Status check(const Config& config);
    static std::string target(const Config& config) { return target_name(read_options(config.settings)); }

    Status begin(const Batch& batch) override;
    std::unique_ptr<Writer> open_writer(const Range& range) override;
    Status commit(std::uint64_t batch_id) override;
    Status abort(std::uint64_t batch_id) override;
    std::optional<std::string> initial_receipt() override;

 private:
    friend class RowWriter;

    /// What the server's answer means to a batch. A refused row: RETRY, and then find it.
    Status answer_to(const ServerError& error);

    Host host_;
    Options options_;
    RowPlan plan_;
    Memory memory_;
    std::optional<Target> target_;
    BatchId batch_;
    std::int64_t last_ = -1;  // newest batch that the checkpoint knows of
    std::atomic<std::uint64_t> records_{0};
    std::atomic<std::uint64_t> deletes_{0};
};

/// Makes rows of one range and hands them on in pieces. While a refused row is being looked for,
/// each row of a call is kept, refused by name, or put off until commit() before the call returns.
class RowWriter final : public Writer {
 public:
    RowWriter(PostgresSink& sink, const Range& range);
    Status write(Records records) override;
    Status close(bool keep) override;

 private:
    Status write_carefully(Records records);
    void put();

    /// Bytes; less where the sink holds more than it may.
    static constexpr std::size_t put_at = 256 * 1024;

    PostgresSink& sink_;
    std::uint32_t range_;
    RowEncoder encoder_;
    std::string rows_;
    Memory::Share held_;  // by rows_, or the rows of the call that is running
    std::uint64_t count_ = 0;
};

}  // namespace sluice::plugins::postgres
