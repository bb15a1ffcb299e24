#pragma once
// The checkpoint store: plans before they run, commits after the sink's own, positions, losses,
// operator actions. RocksDB underneath (rocksdb_store.cpp); README.md has the format byte by byte.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/plan/planner.hpp"
#include "daemon/plan/types.hpp"

namespace sluice::checkpoints {

/// A batch as it was decided, before anything was read. Never changes once written.
struct Plan {
    std::uint64_t batch_id = 0;
    WallTime planned_at{};
    std::vector<plan::PlannedRange> ranges;  ///< a range's index is its place here
    bool operator==(const Plan&) const = default;
};

/// What became of one range: counted, not derived.
struct RangeBooks {
    std::uint64_t polled = 0;         ///< records the reader saw inside [from, until)
    std::uint64_t gaps = 0;           ///< offsets without a visible record, counted by the reader
    std::uint64_t accepted = 0;       ///< records the writer kept
    std::uint64_t filtered = 0;
    std::uint64_t dead_lettered = 0;
    std::uint64_t lost = 0;
    std::uint64_t bytes = 0;          ///< keys + values polled
    bool operator==(const RangeBooks&) const = default;
};

enum class BatchState {
    planned,     ///< a plan without an outcome: in flight, or to be re-run at the next start
    committed,
    recovered,   ///< the sink had it after a crash and it can't be read any more to be recounted
    abandoned,   ///< given up by an operator; its ranges are planned again under a new id
};
std::string_view name_of(BatchState state) noexcept;

/// Time spent in each phase of a batch.
struct Phases {
    Milliseconds read_and_write{0};
    Milliseconds sink_commit{0};
    Milliseconds total{0};
    bool operator==(const Phases&) const = default;
};

/// The outcome of a batch, written once.
struct Commit {
    std::uint64_t batch_id = 0;
    BatchState state = BatchState::committed;
    WallTime committed_at{};
    std::uint32_t attempts = 1;      ///< runs of this batch by this process, the last one included
    std::vector<RangeBooks> books;   ///< one per range of the plan; empty when recovered or abandoned
    Phases phases;
    bool operator==(const Commit&) const = default;
};

/// The sink's opaque word, with whom it may be handed back to.
struct Receipt {
    std::string plugin;
    std::string target;  ///< what identifies the target among the plugin's (its canonical settings)
    std::string bytes;
    bool operator==(const Receipt&) const = default;
};

/// One entry of the loss ledger; created once under (pipeline, topic id, partition, from, until).
struct LossEntry {
    plan::Loss loss;
    std::optional<std::uint64_t> batch_id;  ///< the plan or commit that stepped over it
    WallTime detected_at{};
    bool accepted = false;  ///< false only while a pipeline with failOnDataLoss waits for an operator
    bool operator==(const LossEntry&) const = default;
};

/// A record of a batch that its sink refused: it goes to the dead letters instead.
struct RefusedRecord {
    plan::TopicPartition topic_partition;
    std::int64_t offset = 0;
    std::string reason;
    bool operator==(const RefusedRecord&) const = default;
};

/// An operator's action, or a state that outlives the process (paused, stopped).
struct ControlEntry {
    WallTime at{};
    std::string action;  ///< "pause", "offsets set", …
    std::string detail;  ///< JSON or text
    bool operator==(const ControlEntry&) const = default;
};

enum class RunState { running, paused, stopped };
std::string_view name_of(RunState state) noexcept;

struct BatchSummary {
    Plan plan;
    std::optional<Commit> commit;
};

/// Everything a pipeline needs to start, read in one go.
struct PipelineState {
    std::map<plan::TopicPartition, plan::Position> positions;
    std::optional<Plan> unfinished;       ///< the last plan when it has no commit
    std::uint64_t next_batch_id = 0;      ///< never used before
    std::optional<Receipt> receipt;
    std::optional<std::string> initial_offsets;  ///< startingOffsets as counted at the first start (JSON)
    RunState run_state = RunState::running;
    std::string cluster_id;               ///< of the source; empty before the first contact
    /// The name that its sinks know it by: the first it had. Under another one they would not find again
    /// what they have noted of its batches.
    std::string sink_name;
};

struct HistoryLimit {
    Milliseconds age{31LL * 24 * 3600 * 1000};
    std::uint64_t size = 256ULL << 20;
};

/// Checkpoints of every pipeline of one daemon. Safe for concurrent calls; each call blocks on disk.
/// Every write is atomic, and synced before it returns; a crash loses nothing that returned.
/// Errors: `storage` (disk full, unwritable, corrupt: which file, what to do), `exists` where an entry
/// must be created and is there (a second writer), `not_found`.
class Store {
 public:
    virtual ~Store() = default;

    [[nodiscard]] virtual Result<PipelineState> load(const std::string& pipeline) const = 0;
    /// Names of all pipelines that have entries, those no longer configured included.
    [[nodiscard]] virtual Result<std::vector<std::string>> pipelines() const = 0;

    /// First contact: remembers the source's cluster id; another one later is `configuration`.
    virtual Result<void> bind_cluster(const std::string& pipeline, const std::string& cluster_id) = 0;

    /// The first start: initial positions and what startingOffsets said. `exists` when there are some.
    virtual Result<void> put_initial(const std::string& pipeline, const std::string& offsets_json,
                                     const std::map<plan::TopicPartition, plan::Position>& positions) = 0;

    /// The receipt of open(), stored before the first plan; replaces none.
    virtual Result<void> put_initial_receipt(const std::string& pipeline, const Receipt& receipt) = 0;

    /// Creates PLAN `plan.batch_id` (must be next_batch_id) with the losses it steps over, one write.
    virtual Result<void> put_plan(const std::string& pipeline, const Plan& plan,
                                  const std::vector<LossEntry>& losses) = 0;

    /// COMMIT + positions + receipt + losses, one write. The plan must be there, without a commit.
    virtual Result<void> put_commit(const std::string& pipeline, const Commit& commit,
                                    const std::map<plan::TopicPartition, plan::Position>& positions,
                                    const std::optional<Receipt>& receipt,
                                    const std::vector<LossEntry>& losses) = 0;

    /// The refused records of the batch that is being run, all of them, in place of those known before:
    /// written before the sink commits, so that a re-run leaves out and counts the same. Bounded by the
    /// caller. They go with the batch when history is trimmed.
    virtual Result<void> put_refused(const std::string& pipeline, std::uint64_t batch_id,
                                     const std::vector<RefusedRecord>& records) = 0;
    [[nodiscard]] virtual Result<std::vector<RefusedRecord>> refused(const std::string& pipeline,
                                                                     std::uint64_t batch_id) const = 0;

    /// Losses seen while no plan or commit steps over them: an operator has to accept them, or the batch
    /// that will step over them is still to be run. Known ones are kept.
    virtual Result<void> put_losses(const std::string& pipeline, const std::vector<LossEntry>& losses) = 0;

    /// An operator moves positions (offsets set/reset/skip, losses accept): positions + audit entry,
    /// and the open batch that `abandons` names becomes abandoned in the same write: `exists` when another
    /// one is open by now, or none.
    /// `accept` marks those ledger entries accepted, and with each, as wherever a loss is written accepted, the
    /// older ones that it covers (ledger.hpp: settles). Partitions not named keep their position; those in
    /// `forget` lose theirs.
    struct Move {
        std::map<plan::TopicPartition, plan::Position> positions;
        std::vector<plan::TopicPartition> forget;
        std::optional<std::uint64_t> abandons;
        std::vector<LossEntry> accept;
        ControlEntry audit;

        /// Gives up the unfinished plan of `state`. Partitions that it was the first to read keep the place where
        /// it began: with none they would be read from wherever they begin by then, and nobody would know what is
        /// missing. Called when `positions` and `forget` are complete.
        void abandon(const PipelineState& state);
    };
    virtual Result<void> put_move(const std::string& pipeline, const Move& move) = 0;

    virtual Result<void> put_run_state(const std::string& pipeline, RunState state,
                                       const ControlEntry& audit) = 0;

    /// Newest first, at most `limit`.
    [[nodiscard]] virtual Result<std::vector<BatchSummary>> batches(const std::string& pipeline,
                                                                    std::size_t limit) const = 0;
    [[nodiscard]] virtual Result<BatchSummary> batch(const std::string& pipeline,
                                                     std::uint64_t batch_id) const = 0;
    /// The batch whose plan covers this offset; `not_found` when none kept does.
    [[nodiscard]] virtual Result<BatchSummary> find_batch(const std::string& pipeline,
                                                          const plan::TopicPartition& partition,
                                                          std::int64_t offset) const = 0;
    [[nodiscard]] virtual Result<std::vector<LossEntry>> losses(const std::string& pipeline) const = 0;
    [[nodiscard]] virtual Result<std::vector<ControlEntry>> audit(const std::string& pipeline) const = 0;

    /// Removes old plans and commits together, never the newest of a pipeline, never losses or audit.
    virtual Result<void> trim_history(const HistoryLimit& limit, WallTime now) = 0;

    /// All entries under `from` become those of `to` in one write (`renamedFrom`); `sink_name` stays. `exists`
    /// when `to` has any. Nobody may be using either name.
    virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
    /// Removes a pipeline's entries, losses and audit included (`sluice forget`).
    virtual Result<void> forget(const std::string& pipeline) = 0;
};

/// Who holds a data directory.
struct LockOwner {
    std::int64_t pid = 0;
    std::string host;
    std::string control_socket;  ///< path; empty when the holder is an offline command
};

/// The directory's lock, held until destroyed; freed by the kernel when the process dies.
class DirectoryLock {
 public:
    /// Creates `data_dir` with mode 0700 when it is missing. Errors: `locked`, naming the owner's pid,
    /// host and control socket; `storage` when the directory can't be made or written.
    static Result<DirectoryLock> acquire(const std::filesystem::path& data_dir, const LockOwner& me);
    /// nullopt when nobody holds it.
    static Result<std::optional<LockOwner>> owner(const std::filesystem::path& data_dir);

    DirectoryLock(DirectoryLock&& other) noexcept;
    DirectoryLock& operator=(DirectoryLock&& other) noexcept;
    ~DirectoryLock();

 private:
    explicit DirectoryLock(int fd) : fd_(fd) {}
    int fd_ = -1;
};

/// Opens (creating when missing) the store below `data_dir`/checkpoints. The caller holds the lock.
/// Errors: `storage` (corrupt or truncated, naming the file and the way back), `configuration` for a
/// newer format, naming the version that wrote it.
Result<std::unique_ptr<Store>> open_store(const std::filesystem::path& data_dir);

/// The same for reading, without a lock; every write answers `storage`. `not_found` when there is none.
Result<std::unique_ptr<Store>> open_store_for_reading(const std::filesystem::path& data_dir);

/// A store in memory with the same rules: for tests and the simulation.
std::unique_ptr<Store> make_memory_store();

}  // namespace sluice::checkpoints
