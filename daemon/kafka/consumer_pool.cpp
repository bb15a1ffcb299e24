#include "daemon/kafka/consumer_pool.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "daemon/base/log.hpp"
#include "daemon/kafka/close_together.hpp"
#include "daemon/kafka/consumer.hpp"

namespace sluice::kafka {
namespace {

/// The least that is asked for at once; a broker sends one batch of records whole all the same.
constexpr std::int32_t fetch_bytes_min = 16 << 10;
/// What is asked for at once of a partition where the user does not say. More makes compressed records slower: a million
/// of lz4 took 0.28 s, 0.30 with 1 MiB, 0.39 with 2; those that are not compressed are as fast with either.
constexpr std::int32_t fetch_bytes_default = 512 << 10;
/// The most, for who asks for more: a fetch is asked for when the last one is there, so brokers far away want it.
constexpr std::int32_t fetch_bytes_max = 8 << 20;
constexpr std::uint64_t spent_bytes_max = 8 << 20;

/// This many times more than its limit in a queue is too much to go on with.
constexpr double overshoot_max = 2;

/// A client that nothing is known of, and that was sent nothing for so long, does not answer just now: no reason
/// for others to keep its memory free.
constexpr Milliseconds unknown_patience{5'000};

/// For so long nobody is allowed more after somebody held too much.
constexpr Milliseconds caution{300'000};

/// What running leases learn of their records is told to nobody: who waits for memory looks again.
constexpr Milliseconds memory_look_interval{10};

std::int32_t fetch_bytes_wanted(const ClientSettings& settings) {
    std::int64_t wanted = fetch_bytes_default;
    // Two names of one property: librdkafka takes the last one.
    for (const char* const name : {"fetch.message.max.bytes", "max.partition.fetch.bytes"}) {
        const auto property = settings.properties.find(name);
        if (property == settings.properties.end()) continue;
        wanted = std::strtoll(property->second.c_str(), nullptr, 0);  // as librdkafka reads it, or refuses the client
    }
    return static_cast<std::int32_t>(std::clamp<std::int64_t>(wanted, 1, fetch_bytes_max));
}

/// What one client may hold, so that `capacity` of them stay within memory_max: its queue, the
/// ~330 bytes librdkafka keeps per queued record, and one fetch in flight, which may be many times as
/// large once it is decompressed.
ConsumerLimits limits_for(const PoolOptions& options, const ClientSettings& settings) {
    const std::uint64_t share = options.memory_max / std::max<std::size_t>(options.capacity, 1);
    ConsumerLimits limits;
    limits.queued_kbytes = static_cast<int>(std::clamp<std::uint64_t>(share / 2 / 1024, 64, 65536));
    limits.queued_messages =
        static_cast<int>(std::clamp<std::uint64_t>(share / 4 / 330, 100, 100'000));
    // The first fetches tell how much larger records become; where the share is small, even those count.
    const std::uint64_t part = share < (8ULL << 20) ? 128 : 32;
    limits.fetch_bytes = static_cast<int>(std::clamp<std::uint64_t>(share / part, fetch_bytes_min, fetch_bytes_max));
    limits.fetch_bytes = std::min(limits.fetch_bytes, fetch_bytes_wanted(settings));
    // Of 16 MiB: a fetch of one batch of a megabyte of small records, which take four times as much.
    limits.spent_bytes = std::min<std::uint64_t>(share / 32 * 9, spent_bytes_max);
    return limits;
}

}  // namespace

Lease::Lease(ConsumerPool& pool, std::unique_ptr<Consumer> consumer, std::int32_t leader_epoch)
    : pool_(&pool), consumer_(std::move(consumer)), leader_epoch_(leader_epoch) {}

Lease::Lease(Lease&& other) noexcept
    : pool_(other.pool_),
      consumer_(std::move(other.consumer_)),
      leader_epoch_(other.leader_epoch_),
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

Result<void> Lease::renew(const plan::TopicPartition& topic_partition, std::int64_t from, std::int32_t leader_epoch) {
    const auto lane = consumer_->lane;
    SLUICE_TRY(consumer_, pool_->replace(std::move(consumer_)));
    consumer_->lane = lane;
    return consumer_->assign(topic_partition, from, leader_epoch);
}

ConsumerPool::ConsumerPool(const PoolOptions& options, const Clock& clock)
    : options_(options), gate_(options.memory_max, options.capacity), clock_(clock) {}

ConsumerPool::~ConsumerPool() {
    {
        const std::lock_guard lock(mutex_);
        SLUICE_ASSERT(clients_ == idle_.size());
    }
    close_together(std::move(idle_));
}

std::unique_ptr<Consumer> ConsumerPool::take_idle(const ClientSettings& settings,
                                                  const plan::TopicPartition& topic_partition,
                                                  std::int64_t from, std::optional<std::size_t> lane,
                                                  Clients& aside) {
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
    for (auto idle = idle_.begin(); idle != idle_.end() && next > 0; --next) {
        const auto after = std::next(idle);
        if ((*idle)->is_assigned()) set_aside(idle, aside);
        idle = after;
    }
    return moved;
}

void ConsumerPool::share_among(std::size_t pipelines) {
    const std::lock_guard lock(mutex_);
    pipelines_ = pipelines;
    returned_.notify_all();
}

/// How many places stay free for others when `pipeline` takes one more; nullopt when it may not.
std::optional<std::size_t> ConsumerPool::kept_places(const std::string& pipeline) const {
    std::size_t leased = 0;
    for (const auto& [name, count] : leases_) leased += count;
    const std::size_t free = options_.capacity - std::min(options_.capacity, leased);
    if (free == 0) return std::nullopt;
    const auto own = leases_.find(pipeline);
    if (own == leases_.end()) return 0;
    const std::size_t without = pipelines_ - std::min(pipelines_, leases_.size());
    const std::size_t kept = std::min(without, options_.capacity / 2);
    if (free > kept) return kept;
    // Beside one that took all the others may have, each still gets its part of the rest.
    if (own->second < options_.capacity / 2 / leases_.size()) return 0;
    return std::nullopt;
}

bool ConsumerPool::has_place(const std::string& pipeline) const {
    return kept_places(pipeline) && (!idle_.empty() || clients_ < options_.capacity);
}

ClientMemory ConsumerPool::memory_of(const Consumer& consumer) const {
    ClientMemory memory{consumer.queued_bytes() + consumer.handed_bytes(), consumer.learned->most};
    if (const std::uint64_t own = consumer.most_held(); own > 0) {
        memory.most = std::max(memory.most.value_or(0), own);
    }
    if (!memory.most && clock_.steady() - *consumer.leased_since >= unknown_patience) memory.most = 0;
    return memory;
}

std::vector<ClientMemory> ConsumerPool::leased_memory() const {
    std::vector<ClientMemory> leased(making_.begin(), making_.end());
    for (const Consumer* consumer : all_) {
        if (consumer->leased_since) leased.push_back(memory_of(*consumer));
    }
    return leased;
}

std::shared_ptr<Learned> ConsumerPool::learned_of(const ClientSettings& settings) {
    std::shared_ptr<Learned>& learned = learned_[settings];
    if (!learned) learned = std::make_shared<Learned>();
    return learned;
}

/// A client's fetching thread and who reads from it wait for each other only where both run at a time. Where they take turns,
/// what is freed late has left the caches (four clients on two cores: 4 % more CPU).
void ConsumerPool::share_cores() {
    const auto leased = static_cast<std::size_t>(
        std::count_if(all_.begin(), all_.end(), [](const Consumer* consumer) { return consumer->leased_since.has_value(); }));
    for (Consumer* const consumer : all_) consumer->let_keep_spent(2 * leased <= options_.cores);
}

/// Not from clients that still ask for more at once than new ones will.
void ConsumerPool::learn() {
    for (const Consumer* consumer : all_) {
        Learned& learned = *consumer->learned;
        const std::uint64_t most = consumer->most_held();
        if (most == 0 || consumer->limits().fetch_bytes > learned.fetch_bytes) continue;
        learned.most = std::max(learned.most.value_or(0), most);
    }
}

bool ConsumerPool::is_held_up(const Turn& mine) const {
    std::optional<SteadyTime> first;
    for (const Turn& turn : turns_) {
        if (turn.memory_since && (!first || *turn.memory_since < *first)) first = turn.memory_since;
    }
    if (!first || may_pass(std::chrono::duration_cast<Milliseconds>(clock_.steady() - *first))) return false;
    const auto wait_of = [&](const Turn& turn) {
        return MemoryWait{leases_.contains(*turn.pipeline), turn.arrived};
    };
    return std::any_of(turns_.begin(), turns_.end(), [&](const Turn& other) {
        return &other != &mine && other.memory_since && gives_way(wait_of(mine), wait_of(other));
    });
}

bool ConsumerPool::has_memory(const ClientSettings& settings, const Turn& mine) {
    learn();
    const std::uint64_t kept = kept_memory(kept_places(settings.pipeline).value_or(0));
    return gate_.admits({0, learned_of(settings)->most}, leased_memory(), closing_bytes_, kept) && !is_held_up(mine);
}

/// For as many clients of pipelines that have no lease: as much as the largest of theirs is known to need, half of
/// all at most.
std::uint64_t ConsumerPool::kept_memory(std::size_t places) const {
    std::uint64_t each = gate_.share();
    for (const auto& [settings, learned] : learned_) {
        if (learned->most && !leases_.contains(settings.pipeline)) each = std::max(each, *learned->most);
    }
    return places == 0 ? 0 : std::min(places * std::min(each, options_.memory_max), options_.memory_max / 2);
}

/// Until there is a place for one more client, and memory for what it will fetch.
Result<void> ConsumerPool::await_turn(std::unique_lock<std::mutex>& lock, const ClientSettings& settings,
                                      const std::stop_token& stop) {
    const auto mine = turns_.insert(turns_.end(), Turn{&settings.pipeline, turn_count_++, std::nullopt});
    struct Leaving {
        std::list<Turn>& turns;
        std::list<Turn>::iterator mine;
        ~Leaving() { turns.erase(mine); }
    };
    const Leaving leaving{turns_, mine};
    const auto is_placed = [&] { return has_place(settings.pipeline); };
    const auto may_go_on = [&] { return is_placed() && has_memory(settings, *mine); };
    bool has_waited = false;
    bool goes_on = false;
    while (!goes_on) {
        if (!is_placed()) mine->memory_since.reset();  // it holds nobody up meanwhile
        if (!returned_.wait(lock, stop, is_placed)) break;
        goes_on = has_memory(settings, *mine);
        if (goes_on) break;
        if (!has_waited) ++stats_.waits_for_memory;
        has_waited = true;
        if (!mine->memory_since) mine->memory_since = clock_.steady();
        if (stop.stop_requested()) break;
        goes_on = returned_.wait_for(lock, stop, memory_look_interval, may_go_on);
    }
    // Whoever came after it waited for it to go first.
    if (has_waited) returned_.notify_all();
    if (goes_on) return {};
    return Error{ErrorCode::stopping, "stopped while waiting for a consumer"};
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
    Clients aside;
    Retired evicted;
    BeingMade::iterator place;
    {
        std::unique_lock lock(mutex_);
        SLUICE_CHECK(await_turn(lock, settings, stop));
        consumer = take_idle(settings, topic_partition, from, lane, aside);
        if (!consumer && clients_ >= options_.capacity) {  // all idle ones have other settings
            std::unique_ptr<Consumer> longest_idle = std::move(idle_.front());
            idle_.pop_front();
            retire(std::move(longest_idle), evicted);
            --clients_;
            ++stats_.evictions;
        }
        ++leases_[settings.pipeline];
        if (consumer) {
            consumer->begin_lease();
            consumer->leased_since = clock_.steady();
            consumer->learned = learned_of(settings);  // they may have been forgotten since it was made
            share_cores();
        } else {
            ++clients_;
            ++stats_.misses;
            place = making_.insert(making_.end(), ClientMemory{0, learned_of(settings)->most});
        }
        make_way(aside);
    }
    unassign(std::move(aside));
    close(std::move(evicted), 0);  // its place is taken already
    if (!consumer) {
        SLUICE_TRY(consumer, make(settings, place));
    }
    consumer->lane = lane;
    Lease lease(*this, std::move(consumer), leader_epoch);
    if (!lease.consumer().stands_at(topic_partition, from)) {
        SLUICE_CHECK(lease.consumer().assign(topic_partition, from, leader_epoch));
    }
    return lease;
}

/// A client for a place that is taken already.
Result<std::unique_ptr<Consumer>> ConsumerPool::make(const ClientSettings& settings, BeingMade::iterator place) {
    ConsumerLimits limits = limits_for(options_, settings);
    std::shared_ptr<Learned> learned;
    {
        const std::lock_guard lock(mutex_);
        learned = learned_of(settings);
        limits.fetch_bytes = std::min(limits.fetch_bytes, learned->fetch_bytes);
        limits.queued_messages = messages_queued(limits.queued_messages, limits.queued_kbytes, learned->uncounted);
    }
    auto made = Consumer::create(settings, limits);
    const std::lock_guard lock(mutex_);
    making_.erase(place);
    if (made) {
        Consumer& consumer = **made;
        consumer.made_at = clock_.steady();
        consumer.leased_since = consumer.made_at;
        consumer.learned = std::move(learned);
        all_.insert(&consumer);
        share_cores();
    } else {
        --clients_;
        count_returned(settings.pipeline);
        returned_.notify_all();
    }
    return made;
}

/// The next clients with these settings ask for as much less as this one was given too much.
void ConsumerPool::fetch_less(const Consumer& consumer) {
    const std::int32_t asked = consumer.limits().fetch_bytes;
    const auto less = static_cast<std::int32_t>(std::ceil(asked / std::max(consumer.overshoot(), 1.0)));
    Learned& learned = *consumer.learned;
    const std::int32_t before = learned.fetch_bytes;
    learned.held_too_much_at = clock_.steady();
    learned.fetch_bytes = std::max(fetch_bytes_min, std::min(before, less));
    const std::uint64_t expected =
        expected_of_fetch(consumer.most_held(), consumer.allowed_bytes(), asked, learned.fetch_bytes);
    learned.most = learned.fetch_bytes < before ? expected : std::max(learned.most.value_or(0), expected);
    log::debug("records are many times as large as they are fetched: less is fetched at once",
               {{"pipeline", consumer.settings().pipeline}, {"fetch_bytes", learned.fetch_bytes}});
}

/// Whether it was waiting for the broker while new ones with its settings might ask for more, or queue more. Not soon
/// after another one held too much, in whose place it would be tomorrow: partitions differ.
bool ConsumerPool::may_hold_more(const Consumer& consumer) const {
    const Learned& learned = *consumer.learned;
    if (learned.held_too_much_at && clock_.steady() - *learned.held_too_much_at < caution) return false;
    const ConsumerLimits most = limits_for(options_, consumer.settings());
    const ConsumerLimits& has = consumer.limits();
    const std::int32_t could_queue =
        messages_queued(most.queued_messages, most.queued_kbytes, consumer.uncounted_bytes());
    return (has.fetch_bytes < most.fetch_bytes || has.queued_messages < could_queue / 2) &&
           waited_for_fetches({consumer.lease_bytes(), consumer.most_held_since(), consumer.allowed_bytes()});
}

/// The records that made clients hold less are over.
void ConsumerPool::let_hold_more(const Consumer& consumer) {
    Learned& learned = *consumer.learned;
    learned.fetch_bytes = std::max(learned.fetch_bytes, std::min(consumer.limits().fetch_bytes, fetch_bytes_max) * 2);
    learned.uncounted = std::min(learned.uncounted, consumer.uncounted_bytes());
    log::debug("records are no larger than they are fetched: more is fetched at once",
               {{"pipeline", consumer.settings().pipeline}, {"fetch_bytes", learned.fetch_bytes}});
}

/// Another client in the place of one that has a lease. Idle ones that would queue as much too much stop fetching: each is
/// replaced when it is lent.
Result<std::unique_ptr<Consumer>> ConsumerPool::replace(std::unique_ptr<Consumer> consumer) {
    const ClientSettings settings = consumer->settings();
    Retired retired;
    Clients aside;
    BeingMade::iterator place;
    {
        const std::lock_guard lock(mutex_);
        Learned& learned = *learned_of(settings);
        learned.uncounted = std::max(learned.uncounted, consumer->uncounted_bytes());
        learned.held_too_much_at = clock_.steady();
        place = making_.insert(making_.end(), ClientMemory{0, learned.most});
        log::debug("much of the records is not counted in a queue: fewer are queued",
                   {{"pipeline", settings.pipeline}, {"uncounted_bytes", learned.uncounted}});
        for (auto idle = idle_.begin(); idle != idle_.end();) {
            const auto after = std::next(idle);
            const ConsumerLimits& limits = (*idle)->limits();
            if ((*idle)->settings() == settings && (*idle)->is_assigned() &&
                limits.queued_messages / 2 >
                    messages_queued(limits.queued_messages, limits.queued_kbytes, learned.uncounted)) {
                set_aside(idle, aside);
            }
            idle = after;
        }
        retire(std::move(consumer), retired);
    }
    unassign(std::move(aside));
    close(std::move(retired), 0);  // its place is taken already
    return make(settings, place);
}

void ConsumerPool::retire(std::unique_ptr<Consumer> consumer, Retired& to) {
    all_.erase(consumer.get());
    ++stats_.closed;
    stats_.lifetime += std::chrono::duration_cast<Milliseconds>(clock_.steady() - consumer->made_at);
    const std::uint64_t held = consumer->queued_bytes() + consumer->handed_bytes();
    closing_bytes_ += held;
    to.bytes += held;
    to.clients.push_back(std::move(consumer));
}

/// Gives up as many places as `places`, when they are closed.
void ConsumerPool::close(Retired retired, std::size_t places) {
    if (retired.clients.empty()) return;
    close_together(std::move(retired.clients));
    {
        const std::lock_guard lock(mutex_);
        closing_bytes_ -= retired.bytes;
        clients_ -= places;
    }
    returned_.notify_all();
}

void ConsumerPool::set_aside(Clients::iterator idle, Clients& to) {
    to.splice(to.end(), idle_, idle);
    ++aside_;
}

void ConsumerPool::unassign(Clients clients) {
    for (const auto& consumer : clients) consumer->unassign();
    put_back(std::move(clients));
}

void ConsumerPool::put_back(Clients clients) {
    if (clients.empty()) return;
    Retired forgotten;
    {
        const std::lock_guard lock(mutex_);
        aside_ -= clients.size();
        for (auto it = clients.begin(); it != clients.end();) {
            const auto known = learned_.find((*it)->settings());
            if (known != learned_.end() && known->second == (*it)->learned) {
                ++it;
                continue;
            }
            retire(std::move(*it), forgotten);
            it = clients.erase(it);
        }
        clients.merge(idle_, [](const auto& a, const auto& b) { return a->idle_since < b->idle_since; });
        idle_.swap(clients);
    }
    returned_.notify_all();
    const std::size_t places = forgotten.clients.size();
    close(std::move(forgotten), places);
}

/// What idle clients may come to hold makes room for what the others do, the longest idle first.
void ConsumerPool::make_way(Clients& aside) {
    std::uint64_t expected = closing_bytes_;
    for (const ClientMemory& leased : leased_memory()) expected += gate_.expected(leased);
    for (const auto& consumer : idle_) expected += consumer->expected_bytes();
    for (auto idle = idle_.begin(); idle != idle_.end() && expected > options_.memory_max;) {
        const auto after = std::next(idle);
        const std::uint64_t freed = (*idle)->expected_bytes();
        if (freed > 0) {
            set_aside(idle, aside);
            ++stats_.unassigned_for_memory;
            expected -= std::min(expected, freed);
        }
        idle = after;
    }
}

void ConsumerPool::give_back(std::unique_ptr<Consumer> consumer, bool reusable, bool read_on) {
    consumer->free_spent();
    const bool too_much = reusable && consumer->overshoot() > overshoot_max &&
                          consumer->limits().fetch_bytes > fetch_bytes_min;
    bool too_little = false;
    if (reusable && !too_much) {
        const std::lock_guard lock(mutex_);
        too_little = may_hold_more(*consumer);
        if (too_little) let_hold_more(*consumer);
    }
    const bool stays = reusable && !too_much && !too_little;
    if (stays && !read_on) consumer->unassign();
    Clients aside;
    Retired retired;
    {
        const std::lock_guard lock(mutex_);
        // What large records once took is believed an eighth less with each lease that needs less.
        if (std::optional<std::uint64_t>& most = consumer->learned->most; most && consumer->most_held() > 0) {
            most = std::max(consumer->most_held(), *most - *most / 8);
        }
        learn();
        count_returned(consumer->settings().pipeline);
        consumer->leased_since.reset();
        share_cores();
        if (too_much) fetch_less(*consumer);
        if (stays) {
            consumer->idle_since = clock_.steady();
            idle_.push_back(std::move(consumer));
            make_way(aside);
        } else {
            retire(std::move(consumer), retired);
        }
    }
    returned_.notify_all();  // who waits for its share, and who waits for any
    unassign(std::move(aside));
    const std::size_t places = retired.clients.size();
    close(std::move(retired), places);  // its place is given away when it is gone
}

void ConsumerPool::tidy() {
    Retired expired;
    Clients resting;
    Clients aside;
    {
        const std::lock_guard lock(mutex_);
        learn();
        const SteadyTime now = clock_.steady();
        for (auto it = idle_.begin(); it != idle_.end();) {
            const auto idle_for = now - (*it)->idle_since;
            const auto after = std::next(it);
            if (options_.idle_timeout.count() > 0 && idle_for >= options_.idle_timeout) {
                retire(std::move(*it), expired);
                idle_.erase(it);
                ++stats_.evictions;
            } else if (idle_for >= options_.unassign_after && !(*it)->is_resting()) {
                set_aside(it, resting);
            }
            it = after;
        }
        make_way(aside);
    }
    for (const auto& consumer : resting) consumer->rest();
    put_back(std::move(resting));
    unassign(std::move(aside));
    const std::size_t places = expired.clients.size();
    close(std::move(expired), places);
}

void ConsumerPool::forget(const ClientSettings& settings) {
    Retired dropped;
    {
        const std::lock_guard lock(mutex_);
        learned_.erase(settings);  // those aside are closed when they are put back
        for (auto it = idle_.begin(); it != idle_.end();) {
            const auto after = std::next(it);
            if ((*it)->settings() == settings) {
                retire(std::move(*it), dropped);
                idle_.erase(it);
            }
            it = after;
        }
    }
    const std::size_t places = dropped.clients.size();
    close(std::move(dropped), places);
}

PoolStats ConsumerPool::stats() const {
    const std::lock_guard lock(mutex_);
    PoolStats stats = stats_;
    stats.clients = clients_;
    stats.leased = clients_ - idle_.size() - aside_;
    stats.memory_max = options_.memory_max;
    for (const Consumer* consumer : all_) {
        stats.queued_bytes += consumer->queued_bytes();
        stats.handed_bytes += consumer->handed_bytes();
    }
    return stats;
}

}  // namespace sluice::kafka
