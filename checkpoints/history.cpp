// Trimming: the oldest batches go first, over all pipelines, until age and size are within the limit.
// Memory is bounded by the number of pipelines, not by the history: a million small batches is a
// normal month, so a window of each pipeline's oldest batches is looked at, never all of them.

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "checkpoints/codec.hpp"
#include "checkpoints/keyed_store.hpp"

namespace sluice::checkpoints {
namespace {

constexpr std::size_t window_batches_max = 64;
constexpr std::size_t changes_max = 4096;  ///< of one write, which everyone waits for

struct Kept {
    std::uint64_t batch_id = 0;
    WallTime at{};            ///< when it ended, or was planned when it did not end
    std::uint64_t bytes = 0;  ///< of its plan and commit, keys included
};

/// One pipeline's batches, oldest first, a window at a time.
struct Queue {
    PipelineId id{};
    std::uint64_t next_from = 0;  ///< where the next window begins
    std::size_t window_batches = 1;  ///< of the next window; most of the time the oldest one may stay
    bool exhausted = false;
    std::deque<Kept> window;
    std::uint64_t newest = 0;                      ///< never trimmed
    std::optional<std::uint64_t> last_delivered;  ///< never trimmed
};

Result<std::uint64_t> id_in(const Backend& backend, Family family, std::string_view key) {
    if (const auto batch_id = keys::batch_of(key)) return *batch_id;
    return unreadable(backend, family, key, "the key of no batch");
}

Result<void> refill(const Backend& backend, Queue& queue) {
    SLUICE_CHECK(backend.scan(
        Family::plans, keys::pipeline(queue.id), keys::batch(queue.id, queue.next_from),
        Order::ascending, [&](std::string_view key, std::string_view value) -> Result<Step> {
            SLUICE_TRY(const std::uint64_t batch_id, id_in(backend, Family::plans, key));
            const auto planned_at = decode_planned_at(value);
            if (!planned_at) {
                return unreadable(backend, Family::plans, key, planned_at.error().message);
            }
            queue.window.push_back({batch_id, *planned_at, key.size() + value.size()});
            return queue.window.size() < queue.window_batches ? Step::next : Step::stop;
        }));
    if (queue.window.size() < queue.window_batches) queue.exhausted = true;
    queue.window_batches = std::min(queue.window_batches * 2, window_batches_max);
    if (queue.window.empty()) return {};
    queue.next_from = queue.window.back().batch_id + 1;
    auto kept = queue.window.begin();
    return backend.scan(
        Family::commits, keys::pipeline(queue.id), keys::batch(queue.id, kept->batch_id),
        Order::ascending, [&](std::string_view key, std::string_view value) -> Result<Step> {
            SLUICE_TRY(const std::uint64_t batch_id, id_in(backend, Family::commits, key));
            while (kept != queue.window.end() && kept->batch_id < batch_id) ++kept;
            if (kept == queue.window.end()) return Step::stop;
            if (kept->batch_id != batch_id) return Step::next;
            const auto outcome = decode_outcome(value);
            if (!outcome) return unreadable(backend, Family::commits, key, outcome.error().message);
            kept->at = outcome->committed_at;
            kept->bytes += key.size() + value.size();
            return Step::next;
        });
}

/// What must stay: the newest plan, finished or not, and the last batch that delivered.
Result<void> find_protected(const Backend& backend, Queue& queue) {
    SLUICE_CHECK(backend.scan(
        Family::plans, keys::pipeline(queue.id), {}, Order::descending,
        [&](std::string_view key, std::string_view) -> Result<Step> {
            SLUICE_TRY(queue.newest, id_in(backend, Family::plans, key));
            return Step::stop;
        }));
    return backend.scan(
        Family::commits, keys::pipeline(queue.id), {}, Order::descending,
        [&](std::string_view key, std::string_view value) -> Result<Step> {
            const auto outcome = decode_outcome(value);
            if (!outcome) return unreadable(backend, Family::commits, key, outcome.error().message);
            if (outcome->state == BatchState::abandoned) return Step::next;
            SLUICE_TRY(queue.last_delivered, id_in(backend, Family::commits, key));
            return Step::stop;
        });
}

Result<std::uint64_t> bytes_in(const Backend& backend, Family family) {
    std::uint64_t bytes = 0;
    SLUICE_CHECK(backend.scan(family, {}, {}, Order::ascending,
                              [&](std::string_view key, std::string_view value) -> Result<Step> {
                                  bytes += key.size() + value.size();
                                  return Step::next;
                              }));
    return bytes;
}

}  // namespace

Result<std::uint64_t> KeyedStore::history_bytes() const {
    {
        const std::lock_guard lock(history_mutex_);
        if (history_bytes_) return *history_bytes_;
    }
    // What is written while this counts may be counted twice or not at all: it is a limit on disk
    // space, not a promise.
    SLUICE_TRY(const std::uint64_t plan_bytes, bytes_in(*backend_, Family::plans));
    SLUICE_TRY(const std::uint64_t commit_bytes, bytes_in(*backend_, Family::commits));
    const std::lock_guard lock(history_mutex_);
    history_bytes_ = plan_bytes + commit_bytes;
    return *history_bytes_;
}

void KeyedStore::history_grew(std::uint64_t bytes) {
    const std::lock_guard lock(history_mutex_);
    if (history_bytes_) *history_bytes_ += bytes;
}

Result<void> KeyedStore::trim_history(const HistoryLimit& limit, WallTime now) {
    SLUICE_TRY(std::uint64_t bytes, history_bytes());
    std::uint64_t removed = 0;  // by the write being put together

    std::vector<Queue> queues;
    {
        const std::lock_guard lock(registry_mutex_);
        for (const auto& [name, id] : registry_) {
            queues.emplace_back();
            queues.back().id = id;
        }
    }
    const auto fill = [&](Queue& queue) -> Result<void> {
        if (!queue.window.empty() || queue.exhausted) return {};
        return refill(*backend_, queue);
    };

    Batch batch;
    const auto write = [&]() -> Result<void> {
        if (batch.changes.empty()) return {};
        // Nobody may see a plan whose commit went away between two looks: it would seem unfinished.
        std::vector<std::unique_lock<std::shared_mutex>> locks;
        for (std::shared_mutex& mutex : pipeline_mutexes_) locks.emplace_back(mutex);
        SLUICE_CHECK(backend_->write(batch));
        batch.changes.clear();
        const std::lock_guard lock(history_mutex_);
        if (history_bytes_) *history_bytes_ -= std::min(*history_bytes_, removed);
        removed = 0;
        return {};
    };
    std::multimap<WallTime, Queue*> oldest;  // of each pipeline that has any to give
    const auto line_up = [&](Queue& queue) -> Result<void> {
        SLUICE_CHECK(fill(queue));
        while (!queue.window.empty() && queue.window.front().batch_id == queue.last_delivered) {
            queue.window.pop_front();
            SLUICE_CHECK(fill(queue));
        }
        // Plans newer than the newest known here were written meanwhile: not ours to judge.
        if (queue.window.empty() || queue.window.front().batch_id >= queue.newest) return {};
        oldest.emplace(queue.window.front().at, &queue);
        return {};
    };
    for (Queue& queue : queues) {
        SLUICE_CHECK(find_protected(*backend_, queue));
        SLUICE_CHECK(line_up(queue));
    }
    while (!oldest.empty()) {
        const auto [at, queue] = *oldest.begin();
        if (now - at <= limit.age && bytes <= limit.size) break;
        oldest.erase(oldest.begin());
        const Kept kept = queue->window.front();
        queue->window.pop_front();
        batch.erase(Family::plans, keys::batch(queue->id, kept.batch_id));
        batch.erase(Family::commits, keys::batch(queue->id, kept.batch_id));
        batch.erase(Family::control, keys::refused(queue->id, kept.batch_id));
        bytes -= std::min(bytes, kept.bytes);
        removed += kept.bytes;
        if (batch.changes.size() >= changes_max) SLUICE_CHECK(write());
        SLUICE_CHECK(line_up(*queue));
    }
    return write();
}

}  // namespace sluice::checkpoints
