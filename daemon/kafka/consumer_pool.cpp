#include "daemon/kafka/consumer_pool.hpp"

#include <algorithm>

#include "daemon/base/log.hpp"
#include "daemon/kafka/consumer.hpp"

namespace sluice::kafka {
namespace {

/// What one client may hold, so that `capacity` of them stay within memory_max: its queue, the
/// ~330 bytes librdkafka keeps per queued record, and one fetch in flight.
ConsumerLimits limits_for(const PoolOptions& options) {
    const std::uint64_t share = options.memory_max / std::max<std::size_t>(options.capacity, 1);
    ConsumerLimits limits;
    limits.queued_kbytes = static_cast<int>(std::clamp<std::uint64_t>(share / 2 / 1024, 64, 65536));
    limits.queued_messages =
        static_cast<int>(std::clamp<std::uint64_t>(share / 4 / 330, 100, 100'000));
    limits.fetch_bytes =
        static_cast<int>(std::clamp<std::uint64_t>(share / 8, 64ULL << 10, 1ULL << 20));
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
    if (found != idle_.end()) return take(found, stats_.hits_reassigned);
    return nullptr;
}

Result<Lease> ConsumerPool::lease(const ClientSettings& settings,
                                  const plan::TopicPartition& topic_partition, std::int64_t from,
                                  std::int32_t leader_epoch, std::optional<std::size_t> lane,
                                  const std::stop_token& stop) {
    std::unique_ptr<Consumer> consumer;
    std::unique_ptr<Consumer> evicted;  // closed outside the lock: closing waits for threads
    {
        std::unique_lock lock(mutex_);
        while (true) {
            consumer = take_idle(settings, topic_partition, from, lane);
            if (consumer || clients_ < options_.capacity) break;
            if (!idle_.empty()) {  // all of them with other settings
                evicted = std::move(idle_.front());
                idle_.pop_front();
                --clients_;
                ++stats_.evictions;
                break;
            }
            if (!returned_.wait(lock, stop, [&] { return !idle_.empty() || clients_ < options_.capacity; })) {
                return Error{ErrorCode::stopping, "stopped while waiting for a consumer"};
            }
        }
        if (!consumer) {
            ++clients_;
            ++stats_.misses;
        }
    }
    evicted.reset();
    if (!consumer) {
        auto created = Consumer::create(settings, limits_for(options_));
        if (!created) {
            const std::lock_guard lock(mutex_);
            --clients_;
            returned_.notify_one();
            return std::move(created).error();
        }
        consumer = *std::move(created);
    }
    consumer->lane = lane;
    Lease lease(*this, std::move(consumer));
    if (!lease.consumer().stands_at(topic_partition, from)) {
        SLUICE_CHECK(lease.consumer().assign(topic_partition, from, leader_epoch));
    }
    return lease;
}

void ConsumerPool::give_back(std::unique_ptr<Consumer> consumer, bool reusable, bool read_on) {
    if (reusable && !read_on) consumer->unassign();
    {
        const std::lock_guard lock(mutex_);
        if (reusable) {
            consumer->idle_since = clock_.steady();
            idle_.push_back(std::move(consumer));
        }
    }
    if (!reusable) {
        consumer.reset();  // before its place is given away, and outside the lock
        const std::lock_guard lock(mutex_);
        --clients_;
    }
    returned_.notify_one();
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
                expired.splice(expired.end(), idle_, it);
            } else if (idle_for >= options_.unassign_after && (*it)->is_assigned()) {
                (*it)->unassign();
            }
            it = next;
        }
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
        for (auto it = idle_.begin(); it != idle_.end();) {
            const auto next = std::next(it);
            if ((*it)->settings() == settings) dropped.splice(dropped.end(), idle_, it);
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
    return stats;
}

}  // namespace sluice::kafka
