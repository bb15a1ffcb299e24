#pragma once
// Consumers are dear (a connection, four threads, a prefetched queue), so they are kept and leased.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/kafka/cluster.hpp"
#include "daemon/kafka/memory_gate.hpp"
#include "daemon/plan/types.hpp"

namespace sluice::kafka {

class Consumer;  // consumer.hpp: one librdkafka client

struct PoolOptions {
    std::size_t capacity = 16;               ///< `consumers.capacity`: clients at most, leased ones included
    Milliseconds idle_timeout{300'000};      ///< `consumers.idleTimeout`: then an idle client is closed
    Milliseconds unassign_after{15'000};     ///< then an idle client stops fetching
    std::uint64_t memory_max = 256ULL << 20; ///< bound on what all clients may hold together: MemoryGate
    std::size_t cores = std::thread::hardware_concurrency();
};

struct PoolStats {
    std::uint64_t hits_position = 0;    ///< the consumer stood at `from`, its data prefetched
    std::uint64_t hits_unassigned = 0;
    std::uint64_t hits_reassigned = 0;  ///< was parked elsewhere
    std::uint64_t misses = 0;           ///< a client had to be made
    std::uint64_t evictions = 0;        ///< closed to make room, or after the idle timeout
    std::uint64_t unassigned_for_memory = 0;  ///< gave up what they had fetched, so that memory_max holds
    std::uint64_t waits_for_memory = 0;  ///< leases that waited although there was a consumer for them
    std::uint64_t closed = 0;           ///< for whatever reason
    Milliseconds lifetime{0};           ///< of the closed ones together
    std::size_t clients = 0;
    std::size_t leased = 0;
    // Bytes held now, and what they are bounded by.
    std::uint64_t queued_bytes = 0;     ///< fetched and not read yet; estimated by the size of the last records
    std::uint64_t handed_bytes = 0;     ///< chunks that sinks are writing, and spent ones not freed yet
    std::uint64_t memory_max = 0;
};

class ConsumerPool;

/// One consumer, exclusively, assigned to one partition at `from`. Returns it to the pool when
/// destroyed: parked at `until` after finish(), closed otherwise (its state is not known after an
/// error). Confined to one thread at a time.
class Lease {
 public:
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    Consumer& consumer() const { return *consumer_; }

    /// The same place with a new client, which queues less (Consumer::outgrows_queue) and stands at `from`. Nothing that
    /// the old one handed out may be left. After an error there is no client.
    Result<void> renew(const plan::TopicPartition& topic_partition, std::int64_t from, std::int32_t leader_epoch);
    /// As leased; -1 unknown.
    [[nodiscard]] std::int32_t leader_epoch() const { return leader_epoch_; }

    /// The range was read to its end. `read_on`: the next range of this partition is likely to start
    /// at `until`, so the consumer stays assigned and goes on prefetching; otherwise it is unassigned.
    void finish(std::int64_t until, bool read_on);

 private:
    friend class ConsumerPool;
    Lease(ConsumerPool& pool, std::unique_ptr<Consumer> consumer, std::int32_t leader_epoch);

    ConsumerPool* pool_;
    std::unique_ptr<Consumer> consumer_;
    std::int32_t leader_epoch_;
    bool finished_ = false;
    bool read_on_ = false;
};

/// Process-wide. Safe for concurrent calls. Clients are shared only between identical settings.
/// Whatever waits for librdkafka (unassigning, making, closing) is done outside the lock: a client is then in
/// nobody's reach, and its place stays taken.
class ConsumerPool {
 public:
    explicit ConsumerPool(const PoolOptions& options, const Clock& clock = system_clock());
    ~ConsumerPool();  ///< every lease must have been returned. Closes all clients, at once

    /// Prefers, in order: a consumer whose position is `from`; an unassigned one (that of `lane` first);
    /// a new one while below capacity; the longest idle one parked elsewhere; waits for a return.
    /// Waits also while the clients that have leases may come to hold all of memory_max: a pipeline without a
    /// lease goes before one that has some, then in order of arrival (`gives_way`). What idle clients hold is
    /// no reason to wait: they give it up.
    /// `leader_epoch` (-1 unknown) lets the broker find a truncated log.
    /// Errors: `stopping`; those of make_conf and assign.
    Result<Lease> lease(const ClientSettings& settings, const plan::TopicPartition& topic_partition,
                        std::int64_t from, std::int32_t leader_epoch,
                        std::optional<std::size_t> lane, const std::stop_token& stop);

    /// How many pipelines there are (1). Of those consumers that are free, as many are kept for pipelines
    /// that have none, half of the capacity at most, so that one whose sink hangs does not take them all.
    void share_among(std::size_t pipelines);

    /// Unassigns and closes what has been idle for too long, and what holds too much. Called about once a
    /// second.
    void tidy();
    /// Closes the idle clients with these settings (credentials changed, pipeline stopped).
    void forget(const ClientSettings& settings);

    [[nodiscard]] PoolStats stats() const;

 private:
    friend class Lease;
    using Clients = std::list<std::unique_ptr<Consumer>>;
    using BeingMade = std::list<ClientMemory>;
    /// Taken out to be closed.
    struct Retired {
        Clients clients;
        std::uint64_t bytes = 0;  ///< that they hold until they are
    };
    /// One that waits in lease().
    struct Turn {
        const std::string* pipeline;
        std::uint64_t arrived;
        std::optional<SteadyTime> memory_since;  ///< when it began to wait for memory; nullopt: it does not
    };

    void give_back(std::unique_ptr<Consumer> consumer, bool reusable, bool read_on);
    Result<std::unique_ptr<Consumer>> make(const ClientSettings& settings, BeingMade::iterator place);
    Result<std::unique_ptr<Consumer>> replace(std::unique_ptr<Consumer> consumer);
    // Outside the lock: what was taken out under it.
    void unassign(Clients clients);
    void put_back(Clients clients);
    void close(Retired retired, std::size_t places);
    // With the lock held.
    Result<void> await_turn(std::unique_lock<std::mutex>& lock, const ClientSettings& settings,
                            const std::stop_token& stop);
    [[nodiscard]] std::optional<std::size_t> kept_places(const std::string& pipeline) const;
    [[nodiscard]] bool has_place(const std::string& pipeline) const;
    [[nodiscard]] std::uint64_t kept_memory(std::size_t places) const;
    [[nodiscard]] bool has_memory(const ClientSettings& settings, const Turn& mine);
    [[nodiscard]] bool is_held_up(const Turn& mine) const;
    [[nodiscard]] ClientMemory memory_of(const Consumer& consumer) const;
    [[nodiscard]] std::vector<ClientMemory> leased_memory() const;
    std::shared_ptr<Learned> learned_of(const ClientSettings& settings);
    void learn();
    void share_cores();
    void count_returned(const std::string& pipeline);
    void retire(std::unique_ptr<Consumer> consumer, Retired& to);
    void set_aside(Clients::iterator idle, Clients& to);
    void make_way(Clients& aside);
    void fetch_less(const Consumer& consumer);
    [[nodiscard]] bool may_hold_more(const Consumer& consumer) const;
    void let_hold_more(const Consumer& consumer);
    std::unique_ptr<Consumer> take_idle(const ClientSettings& settings,
                                        const plan::TopicPartition& topic_partition, std::int64_t from,
                                        std::optional<std::size_t> lane, Clients& aside);

    const PoolOptions options_;
    const MemoryGate gate_;
    const Clock& clock_;
    mutable std::mutex mutex_;
    std::condition_variable_any returned_;
    Clients idle_;                         ///< longest idle first
    std::set<Consumer*> all_;        ///< idle, aside and leased
    /// Of settings that leases were asked for with; shared with the clients that have them.
    std::map<ClientSettings, std::shared_ptr<Learned>> learned_;
    std::list<Turn> turns_;                ///< the earliest first
    std::uint64_t turn_count_ = 0;
    BeingMade making_;                     ///< what clients count for that are not in all_ yet
    std::uint64_t closing_bytes_ = 0;      ///< held by those that are being closed
    std::size_t aside_ = 0;                ///< idle ones out of reach, while they let go of what they have
    std::size_t clients_ = 0;              ///< idle, aside, leased, being made and being closed
    std::size_t pipelines_ = 1;
    std::map<std::string, std::size_t> leases_;  ///< by pipeline, of those that have any
    PoolStats stats_;
};

}  // namespace sluice::kafka
