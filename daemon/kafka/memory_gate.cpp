#include "daemon/kafka/memory_gate.hpp"

#include <algorithm>

namespace sluice::kafka {

MemoryGate::MemoryGate(std::uint64_t memory_max, std::size_t capacity)
    : memory_max_(memory_max),
      // Never 0: who has a lease counts for something.
      share_(std::max<std::uint64_t>(memory_max / std::max<std::size_t>(capacity, 1), 1)) {}

std::uint64_t MemoryGate::expected(const ClientMemory& client) const {
    return std::max({share_, client.held, client.most ? *client.most : unknown_shares * share_});
}

bool MemoryGate::admits(const ClientMemory& client, std::span<const ClientMemory> leased,
                        std::uint64_t closing, std::uint64_t kept) const {
    if (leased.empty() && closing == 0) return true;
    std::uint64_t taken = closing + kept;
    bool is_one_unknown = false;
    for (const ClientMemory& other : leased) {
        taken += expected(other);
        if (!other.most) is_one_unknown = true;
    }
    const auto fits = [&](std::uint64_t bytes) { return taken <= memory_max_ && bytes <= memory_max_ - taken; };
    return fits(expected(client)) || (!client.most && !is_one_unknown && fits(share_));
}

bool may_pass(Milliseconds waited) { return (waited / memory_turn) % 2 != 0; }

bool gives_way(const MemoryWait& mine, const MemoryWait& other) {
    return other.has_lease == mine.has_lease ? other.arrived < mine.arrived : mine.has_lease;
}

std::uint64_t expected_of_fetch(std::uint64_t most, std::uint64_t allowed, std::int32_t asked,
                                std::int32_t fetch_bytes) {
    if (most <= allowed || fetch_bytes >= asked) return most;
    const double part = static_cast<double>(fetch_bytes) / static_cast<double>(asked);
    return allowed + static_cast<std::uint64_t>(static_cast<double>(most - allowed) * part);
}

bool waited_for_fetches(const LeaseUse& use) {
    return use.most > 0 && use.most < use.allowed / 4 && use.read >= 2 * use.allowed;
}

std::int32_t messages_queued(std::int32_t queued_messages, std::int32_t queued_kbytes, std::uint64_t uncounted) {
    if (uncounted == 0) return queued_messages;
    const std::uint64_t fit = (static_cast<std::uint64_t>(queued_kbytes) << 10) / uncounted;
    return static_cast<std::int32_t>(std::clamp<std::uint64_t>(fit, 1, static_cast<std::uint64_t>(queued_messages)));
}

}  // namespace sluice::kafka
