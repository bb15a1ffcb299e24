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
#include "plugins/postgres/memory.hpp"
#include "plugins/postgres/options.hpp"
#include "plugins/postgres/sql.hpp"
#include "sluice/sink.hpp"

namespace sluice::plugins::postgres {

struct BatchId {
    std::int64_t id = 0;
    std::string plan;  ///< which ranges: two batches with one number differ by it
};

/// Which record a row was made of: `range` is its place in the batch.
struct RecordName {
    std::uint32_t range = 0;
    std::int64_t offset = 0;
};

/// Encoded rows, where each one ends, and whose it is.
struct NamedRows {
    std::string bytes;
    std::vector<std::size_t> ends;
    std::vector<RecordName> names;

    [[nodiscard]] std::size_t size() const { return ends.size(); }
    /// The bytes of `count` rows from `at` on.
    [[nodiscard]] std::string_view part(std::size_t at, std::size_t count) const;
    void add(std::string_view row, RecordName name);
    [[nodiscard]] std::size_t memory() const;
};

/// A row that the server refused: its place among the rows of the call, and the server's words.
using RefusedRow = std::pair<std::size_t, std::string>;
/// The same of a row of any call.
using RefusedRecord = std::pair<RecordName, std::string>;

/// How a batch is written. What finds more costs more.
enum class Care {
    none,      ///< a row that is refused fails the batch
    rows,      ///< calls in savepoints: refused rows are named
    deferred,  ///< the same, and what the table defers to COMMIT is checked at once
};

/// begin() … commit() or abort(); put() and put_carefully() are safe for concurrent calls between
/// them.
///
/// With one connection rows go straight into the table (upsert: into a temporary one), in the
/// transaction that also notes the batch. With several, each fills an unlogged staging table, and
/// one transaction moves all of them and notes the batch. Either way a batch is there with its row
/// in sluice_batches, or not at all.
///
/// With care, everything goes over one connection into the table itself, an upsert too, call by call:
/// each one finds there what those before it have brought.
///
/// The session holds an advisory lock for (pipeline, table). The lock goes only when the session
/// has ended, and its transaction with it: so whoever has the lock sees how the last commit went.
class Target {
 public:
    /// Connects, checks the table and finds the batches of this pipeline.
    /// `options`, `host` and `memory` outlive it.
    Target(const Options& options, Host host, std::string_view pipeline, std::string_view cluster,
           Memory& memory);
    ~Target();

    /// Newest batch in the database; -1: none.
    std::int64_t newest_batch();

    /// True: the batch is there already. `last` is the newest one that the checkpoint knows of.
    bool begin(const BatchId& batch, std::int64_t last);
    /// Whole rows; `lane` spreads writers over connections.
    void put(std::size_t lane, std::string_view rows);
    /// Row by row where it must be: refused rows are named, all others kept. Those that other rows had
    /// a say in count as kept: they are tried again by settle().
    std::vector<RefusedRow> put_carefully(const NamedRows& rows);
    /// Before commit(), once all rows are in: those that are refused still. None may be, for commit().
    std::vector<RefusedRecord> settle();
    void commit(const BatchId& batch, std::int64_t last, std::uint64_t records, bool has_deletes);
    void abort() noexcept;

    /// From the next begin() on, until a batch is committed. False: there is no more care to take.
    bool be_more_careful();
    /// Whether the batch that was begun is written by put_carefully().
    [[nodiscard]] bool is_careful() const { return care_ != Care::none; }

 private:
    struct Lane;
    struct Refusal {
        std::size_t row = 0;
        std::string reason;
        std::string sqlstate;
    };

    void connect();
    void take_lock();
    void prepare_table();
    void create_once(const std::string& name, const std::string& sql);
    void check_cluster();
    void drop_staging();
    void open_lanes();
    void begin_transaction();
    void attempt(std::string_view rows);
    /// Writes all of them but those it returns, ascending.
    std::vector<Refusal> try_rows(const NamedRows& rows);
    /// Throws when it was not the rows: `refused` are all of a large call.
    void check_table_takes_any(const std::vector<Refusal>& refused);
    /// Throws when too many wait already.
    void try_later(std::string_view row, RecordName name, const std::string& reason);
    void note(const BatchId& batch, std::int64_t last, std::uint64_t records);
    [[nodiscard]] bool is_direct() const { return is_careful() || options_.connections == 1; }

    const Options& options_;
    Host host_;
    std::string pipeline_;
    std::string cluster_;
    std::optional<Sql> sql_;
    Memory& memory_;
    Connection main_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::string session_;  // part of the names of staging tables
    std::mutex mutex_;     // main_, while writers run
    std::optional<ServerError> broken_;
    bool in_transaction_ = false;
    NamedRows late_;  // refused, and tried again behind all others
    Memory::Share late_held_;
    Care care_ = Care::none;
    std::atomic<Care> care_next_{Care::none};
};

}  // namespace sluice::plugins::postgres
