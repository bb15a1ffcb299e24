#pragma once
// The table in its database: transactions, staging tables, the book of batches. One per sink.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/postgres/connection.hpp"
#include "plugins/postgres/options.hpp"
#include "plugins/postgres/sql.hpp"
#include "sluice/sink.hpp"

namespace sluice::plugins::postgres {

struct BatchId {
    std::int64_t id = 0;
    std::string plan;  ///< which ranges: two batches with one number differ by it
};

/// A row that the server refused: its place among the rows of the call, and the server's words.
using RefusedRow = std::pair<std::size_t, std::string>;

/// begin() … commit() or abort(); put() and put_carefully() are safe for concurrent calls between
/// them.
///
/// With one connection rows go straight into the table (upsert: into a temporary one), in the
/// transaction that also notes the batch. With several, each fills an unlogged staging table, and
/// one transaction moves all of them and notes the batch. Either way a batch is there with its row
/// in sluice_batches, or not at all.
///
/// The session holds an advisory lock for (pipeline, table). The lock goes only when the session
/// has ended, and its transaction with it: so whoever has the lock sees how the last commit went.
class Target {
 public:
    /// Connects, checks the table and finds the batches of this pipeline.
    Target(const Options& options, Host host, std::string_view pipeline, std::string_view cluster);
    ~Target();

    /// Newest batch in the database; -1: none.
    std::int64_t newest_batch();

    /// True: the batch is there already. `last` is the newest one that the checkpoint knows of.
    bool begin(const BatchId& batch, std::int64_t last);
    /// Whole rows; `lane` spreads writers over connections.
    void put(std::size_t lane, std::string_view rows);
    /// Row by row where it must be: refused rows are named, all others kept. `ends` are the ends of
    /// the rows in `rows`.
    std::vector<RefusedRow> put_carefully(std::string_view rows,
                                          const std::vector<std::size_t>& ends);
    void commit(const BatchId& batch, std::int64_t last, std::uint64_t records, bool has_deletes);
    void abort() noexcept;

    /// From the next begin() on, until a batch is committed.
    void be_careful() { careful_next_ = true; }
    /// Whether the batch that was begun is written by put_carefully().
    [[nodiscard]] bool is_careful() const { return careful_; }

 private:
    struct Lane;

    void connect();
    void take_lock();
    void prepare_table();
    void create_once(const std::string& name, const std::string& sql);
    void check_cluster();
    void drop_staging();
    void open_lanes();
    void begin_transaction();
    void attempt(std::string_view rows);
    /// Throws when it was not the rows: `refused` are all of a large call.
    void check_table_takes_any(const std::vector<RefusedRow>& refused, bool by_trigger);
    void note(const BatchId& batch, std::int64_t last, std::uint64_t records);
    [[nodiscard]] bool is_direct() const { return careful_ || options_.connections == 1; }

    const Options& options_;
    Host host_;
    std::string pipeline_;
    std::string cluster_;
    std::optional<Sql> sql_;
    Connection main_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::string session_;  // part of the names of staging tables
    std::mutex mutex_;     // main_, while writers run
    std::optional<ServerError> broken_;
    bool in_transaction_ = false;
    bool careful_ = false;
    std::atomic<bool> careful_next_{false};
};

}  // namespace sluice::plugins::postgres
