#include "daemon/kafka/consumer_pool.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "daemon/base/log.hpp"
#include "daemon/kafka/consumer.hpp"

namespace sluice::kafka {
namespace {

/// The least that is asked for at once; a broker sends one batch of records whole all the same.
constexpr std::int32_t fetch_bytes_min = 16 << 10;
/// The most: more than this makes nothing faster.
constexpr std::int32_t fetch_bytes_max = 8 << 20;

/// This many times more than its limit in a queue is too much to go on with.
constexpr double overshoot_max = 2;

/// What one client may hold, so that `capacity` of them stay within memory_max: its queue, the
/// ~330 bytes librdkafka keeps per queued record, and one fetch in flight, which may be many times as
/// large once it is decompressed.
ConsumerLimits limits_for(const PoolOptions& options) {
    const std::uint64_t share = options.memory_max / std::max<std::size_t>(options.capacity, 1);
    ConsumerLimits limits;
    limits.queued_kbytes = static_cast<int>(std::clamp<std::uint64_t>(share / 2 / 1024, 64, 65536));
    limits.queued_messages =
        static_cast<int>(std::clamp<std::uint64_t>(share / 4 / 330, 100, 100'000));
    // The first fetches tell how much larger records become; where the share is small, even those count.
    const std::uint64_t part = share < (8ULL << 20) ? 128 : 32;
    limits.fetch_bytes =
        static_cast<int>(std::clamp<std::uint64_t>(share / part, fetch_bytes_min, fetch_bytes_max));
    return limits;
}

}  // namespace

Lease::Lease(ConsumerPool& pool, std::unique_ptr<Consumer> consumer)
    : pool_(&pool), consumer_(std::move(consumer)) {}

Lease::Lease(Lease&& other) noexcept
    : pool_(other.pool_),
      consumer_(std::move(other.consumer_)),
      finished_(other.finished_),
      read_on_(other.read_on_) {}

Lease::~Lease() {
    if (consumer_) pool_->give_back(std::move(consumer_), finished_, read_on_);
}

void Lease::finish(std::int64_t until, bool read_on) {
    consumer_->park_at(until);
    finished_ = true;
    read_on_ = read_on;
}

ConsumerPool::ConsumerPool(const PoolOptions& options, const Clock& clock)
    : options_(options), clock_(clock) {}

ConsumerPool::~ConsumerPool() {
    const std::lock_guard lock(mutex_);
    SLUICE_ASSERT(clients_ == idle_.size());
}

std::unique_ptr<Consumer> ConsumerPool::take_idle(const ClientSettings& settings,
                                                  const plan::TopicPartition& topic_partition,
                                                  std::int64_t from,
                                                  std::optional<std::size_t> lane) {
    const auto take = [&](auto found, std::uint64_t& counter) {
        std::unique_ptr<Consumer> consumer = std::move(*found);
        idle_.erase(found);
        ++counter;
        return consumer;
    };
    const auto find = [&](auto matches) {
        return std::find_if(idle_.begin(), idle_.end(), [&](const auto& consumer) {
            return consumer->settings() == settings && matches(*consumer);
        });
    };
    auto found = find([&](const Consumer& c) { return c.stands_at(topic_partition, from); });
    if (found != idle_.end()) return take(found, stats_.hits_position);

    found = find([&](const Consumer& c) { return !c.is_assigned() && lane && c.lane == lane; });
    if (found == idle_.end()) found = find([](const Consumer& c) { return !c.is_assigned(); });
    if (found != idle_.end()) return take(found, stats_.hits_unassigned);

    if (clients_ < options_.capacity) return nullptr;  // a new one is cheaper than a long poll's end

    found = find([](const Consumer&) { return true; });
    if (found == idle_.end()) return nullptr;
    auto moved = take(found, stats_.hits_reassigned);
    // There are more partitions than clients, and moving one waits until the fetch that it has under way
    // is over. Those that would be moved next are let go of theirs now.
    std::size_t next = idle_.size() / 2;
    for (auto idle = idle_.begin(); idle != idle_.end() && next > 0; ++idle, --next) {
        if ((*idle)->is_assigned()) (*idle)->unassign();
    }
    return moved;
}

void ConsumerPool::share_among(std::size_t pipelines) {
    const std::lock_guard lock(mutex_);
    pipelines_ = pipelines;
    returned_.notify_all();
}

bool ConsumerPool::may_lease(const std::string& pipeline) const {
    std::size_t leased = 0;
    for (const auto& [name, count] : leases_) leased += count;
    const std::size_t free = options_.capacity - std::min(options_.capacity, leased);
    const auto own = leases_.find(pipeline);
    if (own == leases_.end()) return free > 0;
    const std::size_t without = pipelines_ - std::min(pipelines_, leases_.size());
    const std::size_t kept = std::min(without, options_.capacity / 2);
    // Beside one that took all the others may have, each still gets its part of the rest.
    return free > kept || (free > 0 && own->second < options_.capacity / 2 / leases_.size());
}

void ConsumerPool::count_returned(const std::string& pipeline) {
    const auto found = leases_.find(pipeline);
    if (--found->second == 0) leases_.erase(found);
}

Result<Lease> ConsumerPool::lease(const ClientSettings& settings,
                                  const plan::TopicPartition& topic_partition, std::int64_t from,
                                  std::int32_t leader_epoch, std::optional<std::size_t> lane,
                                  const std::stop_token& stop) {
    std::unique_ptr<Consumer> consumer;
    std::unique_ptr<Consumer> evicted;  // closed outside the lock: closing waits for threads
    {
        std::unique_lock lock(mutex_);
        const auto may_go_on = [&] {
            return may_lease(settings.pipeline) && (!idle_.empty() || clients_ < options_.capacity);
        };
        while (true) {
            if (!returned_.wait(lock, stop, may_go_on)) {
                return Error{ErrorCode::stopping, "stopped while waiting for a consumer"};
            }
            consumer = take_idle(settings, topic_partition, from, lane);
            if (consumer || clients_ < options_.capacity) break;
            // All idle ones have other settings.
            evicted = std::move(idle_.front());
            retire(*evicted);
            idle_.pop_front();
            --clients_;
            ++stats_.evictions;
        }
        ++leases_[settings.pipeline];
        if (!consumer) {
            ++clients_;
            ++stats_.misses;
        }
    }
    evicted.reset();
    if (!consumer) {
        SLUICE_TRY(consumer, make(settings));
    }
    consumer->lane = lane;
    Lease lease(*this, std::move(consumer));
    if (!lease.consumer().stands_at(topic_partition, from)) {
        SLUICE_CHECK(lease.consumer().assign(topic_partition, from, leader_epoch));
    }
    return lease;
}

/// A client for a place that is taken already.
Result<std::unique_ptr<Consumer>> ConsumerPool::make(const ClientSettings& settings) {
    ConsumerLimits limits;
    {
        const std::lock_guard lock(mutex_);
        limits = limits_of(settings);
    }
    auto made = Consumer::create(settings, limits);
    const std::lock_guard lock(mutex_);
    if (made) {
        (*made)->made_at = clock_.steady();
        all_.insert(made->get());
    } else {
        --clients_;
        count_returned(settings.pipeline);
        returned_.notify_all();
    }
    return made;
}

ConsumerLimits ConsumerPool::limits_of(const ClientSettings& settings) const {
    ConsumerLimits limits = limits_for(options_);
    if (const auto less = fetch_bytes_.find(settings); less != fetch_bytes_.end()) {
        limits.fetch_bytes = std::min(limits.fetch_bytes, less->second);
    }
    return limits;
}

/// The next clients with these settings ask for as much less as this one was given too much.
void ConsumerPool::fetch_less(const Consumer& consumer) {
    const auto less = static_cast<std::int32_t>(
        std::ceil(consumer.limits().fetch_bytes / std::max(consumer.overshoot(), 1.0)));
    const auto [entry, is_new] = fetch_bytes_.emplace(consumer.settings(), less);
    entry->second = std::max(fetch_bytes_min, std::min(entry->second, less));
    log::debug("records are many times as large as they are fetched: less is fetched at once",
               {{"pipeline", consumer.settings().pipeline}, {"fetch_bytes", entry->second}});
}

void ConsumerPool::retire(const Consumer& consumer) {
    all_.erase(&consumer);
    ++stats_.closed;
    stats_.lifetime += std::chrono::duration_cast<Milliseconds>(clock_.steady() - consumer.made_at);
}

/// What idle clients may come to hold makes room for what the others do, the longest idle first.
void ConsumerPool::keep_within_memory() {
    std::uint64_t held = 0;
    for (const Consumer* consumer : all_) held += consumer->queued_bytes() + consumer->handed_bytes();
    for (const auto& consumer : idle_) {
        const std::uint64_t expected = consumer->expected_bytes();
        held += expected - std::min(expected, consumer->queued_bytes());
    }
    for (auto idle = idle_.begin(); idle != idle_.end() && held > options_.memory_max; ++idle) {
        const std::uint64_t freed = (*idle)->expected_bytes();
        if (freed == 0) continue;
        (*idle)->unassign();
        ++stats_.unassigned_for_memory;
        held -= std::min(held, freed);
    }
}

void ConsumerPool::give_back(std::unique_ptr<Consumer> consumer, bool reusable, bool read_on) {
    const bool too_much = reusable && consumer->overshoot() > overshoot_max &&
                          consumer->limits().fetch_bytes > fetch_bytes_min;
    if (reusable && !too_much && !read_on) consumer->unassign();
    {
        const std::lock_guard lock(mutex_);
        count_returned(consumer->settings().pipeline);
        if (too_much) {
            fetch_less(*consumer);
            reusable = false;
        }
        if (reusable) {
            consumer->idle_since = clock_.steady();
            idle_.push_back(std::move(consumer));
            keep_within_memory();
        } else {
            retire(*consumer);
        }
    }
    if (!reusable) {
        consumer.reset();  // before its place is given away, and outside the lock
        const std::lock_guard lock(mutex_);
        --clients_;
    }
    returned_.notify_all();  // who waits for its share, and who waits for any
}

void ConsumerPool::tidy() {
    std::list<std::unique_ptr<Consumer>> expired;
    {
        const std::lock_guard lock(mutex_);
        const SteadyTime now = clock_.steady();
        for (auto it = idle_.begin(); it != idle_.end();) {
            const auto idle_for = now - (*it)->idle_since;
            const auto next = std::next(it);
            if (options_.idle_timeout.count() > 0 && idle_for >= options_.idle_timeout) {
                retire(**it);
                expired.splice(expired.end(), idle_, it);
            } else if (idle_for >= options_.unassign_after && !(*it)->is_resting()) {
                (*it)->rest();
            }
            it = next;
        }
        keep_within_memory();
    }
    const std::size_t closed = expired.size();
    expired.clear();
    if (closed > 0) {
        const std::lock_guard lock(mutex_);
        clients_ -= closed;
        stats_.evictions += closed;
        returned_.notify_all();
    }
}

void ConsumerPool::forget(const ClientSettings& settings) {
    std::list<std::unique_ptr<Consumer>> dropped;
    {
        const std::lock_guard lock(mutex_);
        fetch_bytes_.erase(settings);
        for (auto it = idle_.begin(); it != idle_.end();) {
            const auto next = std::next(it);
            if ((*it)->settings() == settings) {
                retire(**it);
                dropped.splice(dropped.end(), idle_, it);
            }
            it = next;
        }
    }
    const std::size_t closed = dropped.size();
    dropped.clear();
    const std::lock_guard lock(mutex_);
    clients_ -= closed;
    returned_.notify_all();
}

PoolStats ConsumerPool::stats() const {
    const std::lock_guard lock(mutex_);
    PoolStats stats = stats_;
    stats.clients = clients_;
    stats.leased = clients_ - idle_.size();
    stats.memory_max = options_.memory_max;
    for (const Consumer* consumer : all_) {
        stats.queued_bytes += consumer->queued_bytes();
        stats.handed_bytes += consumer->handed_bytes();
    }
    return stats;
}

}  // namespace sluice::kafka
