#pragma once
// Whether there is memory for one more client that fetches. Pure: the pool gathers the facts, and waits.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include "daemon/base/clock.hpp"

namespace sluice::kafka {

/// What a client with a lease holds, and what it is known to come to hold, in bytes.
struct ClientMemory {
    std::uint64_t held = 0;             ///< queued, and handed over
    std::optional<std::uint64_t> most;  ///< that it, or one like it, ever held; nullopt: none of them saw a record
};

/// What clients with the same settings found out about the records they read.
struct Learned {
    /// What a new one asks for at once, at most.
    std::int32_t fetch_bytes = std::numeric_limits<std::int32_t>::max();
    std::optional<SteadyTime> held_too_much_at;  ///< when one of them last turned out to hold too much
    std::uint64_t uncounted = 0;  ///< bytes of a record that librdkafka's queue does not count: key and headers
    std::optional<std::uint64_t> most;  ///< what one that asks for no more held; nullopt: none saw a record
};

/// Lets clients fetch as long as what they are expected to hold together stays within `memory_max`.
///
/// A client counts as the most of its share (`memory_max / capacity`), what it holds, and what it or others with
/// the same settings ever held. Where nobody has seen a record, it counts as `unknown_shares`: the records of one
/// fetch may be a hundred times as large as they were on the wire. The first one that arrives tells.
///
/// So clients that stay within their share never wait: `capacity` shares fit. One stays within it that reads
/// records which are not compressed: with memoryMax of 512 MiB the pool has 256, 16 clients have 16 each, and one
/// holds at most 14.5 (client_conf's limits: 8 of payload or 4 of librdkafka's own; 330 bytes for each record
/// on top; one fetch of 0.5, which is up to 10 where records are of 10 bytes; a chunk of 2 handed over). Where there are
/// cores enough, up to 4.5 with what is spent and freed later (Consumer::take_back), which takes such small or medium records to 19 or
/// 17: one that held that counts as that, and 13 or 15 fetch at once.
/// Records compressed to a tenth come to about 20: 12 clients at once.
class MemoryGate {
 public:
    /// Before anything is known: four of them fill the memory of 16 clients.
    static constexpr std::uint64_t unknown_shares = 4;

    MemoryGate(std::uint64_t memory_max, std::size_t capacity);

    [[nodiscard]] std::uint64_t share() const { return share_; }
    [[nodiscard]] std::uint64_t expected(const ClientMemory& client) const;

    /// Whether `client` may fetch beside those that are `leased`, and beside `closing` bytes of clients
    /// that are being closed. `kept`: so many bytes stay free for pipelines that have no lease.
    /// Always where nobody is leased nor closing, however little memory there is. Of clients that nothing is
    /// known of, one at a time needs no more room than its share: what is too much then is that one alone.
    [[nodiscard]] bool admits(const ClientMemory& client, std::span<const ClientMemory> leased,
                              std::uint64_t closing, std::uint64_t kept) const;

 private:
    std::uint64_t memory_max_;
    std::uint64_t share_;
};

/// One that waits for memory.
struct MemoryWait {
    bool has_lease = false;      ///< its pipeline has another one
    std::uint64_t arrived = 0;   ///< the smaller the earlier
};

/// For so long those that wait hold up all behind them, then these may pass for as long, and so on: leases end, and
/// there is room soon, even for one that needs much; but where a sink hangs, not everybody is to hang with it.
constexpr Milliseconds memory_turn{5'000};
/// One clock for all of them, so that there is a time for who fits: `waited` is how long the first one has.
bool may_pass(Milliseconds waited);

/// Whether `mine` has to let `other` go first: a pipeline without a lease comes before one that has some, and
/// the earlier one before the later.
bool gives_way(const MemoryWait& mine, const MemoryWait& other);

/// What a client will hold that asks for `fetch_bytes` at once, where one that asked for `asked` held `most`:
/// beyond what it is `allowed` to queue it is all from one fetch.
std::uint64_t expected_of_fetch(std::uint64_t most, std::uint64_t allowed, std::int32_t asked,
                                std::int32_t fetch_bytes);

/// How one lease went, in bytes.
struct LeaseUse {
    std::uint64_t read = 0;     ///< handed over in all
    std::uint64_t most = 0;     ///< queued and handed over at once, at most, of what came during it; 0 unknown
    std::uint64_t allowed = 0;  ///< what its client is to queue, beside one fetch
};

/// Whether its client was waiting for fetches: it read twice what it may queue, so all of these but the last were full,
/// and never had a quarter of that. Where they are smaller than they need be, twice as large ones leave it within its part.
bool waited_for_fetches(const LeaseUse& use);

/// How many records a client may queue that each have so many bytes which its queue does not count, of `queued_messages`
/// and `queued_kbytes` that it has otherwise. One at least.
std::int32_t messages_queued(std::int32_t queued_messages, std::int32_t queued_kbytes, std::uint64_t uncounted);

}  // namespace sluice::kafka
