#include "checkpoints/keyed_store.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "checkpoints/codec.hpp"
#include "checkpoints/ledger.hpp"
#include "checkpoints/memory_backend.hpp"
#include "daemon/base/text.hpp"
#include "daemon/plan/plan_losses.hpp"

namespace sluice::checkpoints {
namespace {

constexpr std::size_t name_bytes_max = 1024;
constexpr std::uint64_t key_bytes = 12;  ///< of a plan or commit

/// Names come from configuration and command lines: validated, not asserted.
Result<void> check_name(const std::string& name) {
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    if (!name.empty() && name.size() <= name_bytes_max && is_valid_utf8(name) &&
        std::none_of(name.begin(), name.end(), is_control)) {
        return {};
    }
    return Error{ErrorCode::invalid_argument,
                 "pipeline name " + json_quoted(name.substr(0, 100)) +
                     ": a name is 1 to 1024 bytes of UTF-8 without control characters"};
}

Error not_found(const std::string& name) {
    return {ErrorCode::not_found, "pipeline '" + name + "' has no checkpoints"};
}

void assert_plan(const Plan& plan) {
    for (const plan::PlannedRange& planned : plan.ranges) {
        SLUICE_ASSERT(planned.range.from >= 0);
        SLUICE_ASSERT(planned.range.from <= planned.range.until);
        SLUICE_ASSERT(planned.range.topic_partition.partition >= 0);
        SLUICE_ASSERT(planned.leader_epoch >= -1);
    }
}

void assert_positions(const std::map<plan::TopicPartition, plan::Position>& positions) {
    for (const auto& [partition, position] : positions) {
        SLUICE_ASSERT(partition.partition >= 0);
        SLUICE_ASSERT(position.offset >= 0);
        SLUICE_ASSERT(position.leader_epoch >= -1);
        SLUICE_ASSERT(position.last_advanced >= -1);
    }
}

void assert_losses(const std::vector<LossEntry>& losses) {
    for (const LossEntry& entry : losses) {
        SLUICE_ASSERT(entry.loss.topic_partition.partition >= 0);
        SLUICE_ASSERT(entry.loss.from >= 0);
        SLUICE_ASSERT(entry.loss.from <= entry.loss.until);
        SLUICE_ASSERT(entry.loss.adjusted_start >= -1);
    }
}

std::string batch_name(const std::string& pipeline, std::uint64_t batch_id) {
    return pipeline + "/" + std::to_string(batch_id);
}

}  // namespace

Result<std::unique_ptr<Store>> KeyedStore::over(std::unique_ptr<Backend> backend) {
    std::unique_ptr<KeyedStore> store(new KeyedStore(std::move(backend)));
    SLUICE_TRY(const auto next,
               store->entry(Family::meta, keys::next_pipeline(), decode_number));
    if (next.value_or(0) > 0xFFFFFFFF) {
        return store->unreadable(Family::meta, keys::next_pipeline(), "a number out of bounds");
    }
    store->next_pipeline_ = static_cast<std::uint32_t>(next.value_or(0));
    SLUICE_CHECK(store->backend_->scan(
        Family::meta, keys::pipeline_names(), {}, Order::ascending,
        [&](std::string_view key, std::string_view value) -> Result<Step> {
            const auto id = decode_number(value);
            if (!id) return store->unreadable(Family::meta, key, id.error().message);
            if (*id >= store->next_pipeline_) {
                return store->unreadable(Family::meta, key, "a pipeline number never given out");
            }
            store->registry_.emplace(keys::name_of(key),
                                     PipelineId{static_cast<std::uint32_t>(*id)});
            return Step::next;
        }));
    return std::unique_ptr<Store>(std::move(store));
}

Error KeyedStore::unreadable(Family family, std::string_view key, std::string_view why) const {
    return checkpoints::unreadable(*backend_, family, key, why);
}

std::shared_mutex& KeyedStore::mutex_of(const std::string& name) const {
    return pipeline_mutexes_[std::hash<std::string>{}(name) % pipeline_mutexes_.size()];
}

std::optional<PipelineId> KeyedStore::find(const std::string& name) const {
    const std::lock_guard lock(registry_mutex_);
    const auto found = registry_.find(name);
    if (found == registry_.end()) return std::nullopt;
    return found->second;
}

KeyedStore::Read KeyedStore::begin_read(const std::string& name) const {
    Read read;
    read.pipeline_lock = std::shared_lock(mutex_of(name));
    read.id = find(name);
    return read;
}

Result<KeyedStore::Write> KeyedStore::begin_write(const std::string& name) {
    SLUICE_CHECK(check_name(name));
    Write write;
    write.name = name;
    write.pipeline_lock = std::unique_lock(mutex_of(name));
    write.registry_lock = std::unique_lock(registry_mutex_);
    if (const auto found = registry_.find(name); found != registry_.end()) {
        write.id = found->second;
        write.registry_lock.unlock();
        return write;
    }
    // The name becomes known in the same write as its first entry: no pipeline is ever half there.
    SLUICE_ASSERT(next_pipeline_ < 0xFFFFFFFF);
    write.is_new = true;
    write.id = PipelineId{next_pipeline_};
    write.batch.put(Family::meta, keys::pipeline_name(name), encode_number(next_pipeline_));
    write.batch.put(Family::meta, keys::next_pipeline(),
                    encode_number(std::uint64_t{next_pipeline_} + 1));
    return write;
}

Result<void> KeyedStore::finish(Write& write) {
    SLUICE_CHECK(backend_->write(write.batch));
    if (write.is_new) {
        registry_.emplace(write.name, write.id);
        ++next_pipeline_;
    }
    return {};
}

Result<void> KeyedStore::bind_cluster(const std::string& pipeline, const std::string& cluster_id) {
    // A broker that doesn't say which cluster it is gives nothing to remember or to compare.
    if (cluster_id.empty()) return {};
    SLUICE_TRY(Write write, begin_write(pipeline));
    SLUICE_TRY(const auto known, entry(Family::meta, keys::cluster(write.id), decode_text));
    if (known && *known != cluster_id) {
        return Error{ErrorCode::configuration,
                     "pipeline '" + pipeline + "': its checkpoints belong to cluster " + *known +
                         ", but the brokers are those of cluster " + cluster_id +
                         ". Offsets of one mean nothing in the other: correct "
                         "kafka.bootstrap.servers, give the pipeline another name, or drop its "
                         "checkpoints with `sluice forget " + pipeline + "`"};
    }
    if (known) return {};
    write.batch.put(Family::meta, keys::cluster(write.id), encode_text(cluster_id));
    return finish(write);
}

Result<void> KeyedStore::put_initial(const std::string& pipeline, const std::string& offsets_json,
                                     const Positions& positions) {
    assert_positions(positions);
    SLUICE_TRY(Write write, begin_write(pipeline));
    SLUICE_TRY(const auto known,
               entry(Family::control, keys::initial_offsets(write.id), decode_text));
    SLUICE_TRY(const Positions stored, positions_of(write.id));
    if (known || !stored.empty()) {
        return Error{ErrorCode::exists,
                     "pipeline '" + pipeline + "' has initial positions already"};
    }
    write.batch.put(Family::control, keys::initial_offsets(write.id), encode_text(offsets_json));
    add_changed(write, {}, positions);
    return finish(write);
}

Result<void> KeyedStore::put_initial_receipt(const std::string& pipeline, const Receipt& receipt) {
    SLUICE_TRY(Write write, begin_write(pipeline));
    SLUICE_TRY(const auto known, entry(Family::meta, keys::receipt(write.id), decode_receipt));
    // One of another sink may not be handed to this one anyway: it protects nothing.
    if (known && known->plugin == receipt.plugin && known->target == receipt.target) {
        return Error{ErrorCode::exists, "pipeline '" + pipeline + "' has a receipt of " +
                                            receipt.plugin + " already"};
    }
    write.batch.put(Family::meta, keys::receipt(write.id), encode(receipt));
    return finish(write);
}

Result<void> KeyedStore::put_plan(const std::string& pipeline, const Plan& plan,
                                  const std::vector<LossEntry>& losses) {
    assert_plan(plan);
    assert_losses(losses);
    SLUICE_TRY(Write write, begin_write(pipeline));
    SLUICE_TRY(const std::uint64_t next, next_batch_id(write.id));
    if (plan.batch_id < next) {
        return Error{ErrorCode::exists, "batch " + batch_name(pipeline, plan.batch_id) +
                                            " is planned already: is there a second writer?"};
    }
    SLUICE_ASSERT(plan.batch_id == next);
    SLUICE_TRY(const auto open, unfinished(write.id, next));
    if (open) {
        return Error{ErrorCode::exists,
                     "batch " + batch_name(pipeline, open->batch_id) +
                         " has no outcome yet: it is committed or abandoned before the next plan"};
    }

    Positions begins;  // where each partition's first range begins
    for (const plan::PlannedRange& planned : plan.ranges) {
        const auto [at, added] = begins.try_emplace(planned.range.topic_partition);
        std::int64_t& offset = at->second.offset;
        offset = added ? planned.range.from : std::min(offset, planned.range.from);
    }
    SLUICE_TRY(const Positions stored, stored_positions(write.id, begins));
    for (const auto& [partition, position] : stored) {
        SLUICE_TRY(const bool plan_reads_nothing_twice,
                   may_move(write.id, partition, position, begins.at(partition).offset, losses));
        SLUICE_ASSERT(plan_reads_nothing_twice);
    }

    std::string bytes = encode(plan);
    const std::uint64_t size = key_bytes + bytes.size();
    write.batch.put(Family::plans, keys::batch(write.id, plan.batch_id), std::move(bytes));
    write.batch.put(Family::meta, keys::next_batch(write.id), encode_number(plan.batch_id + 1));
    SLUICE_CHECK(add_losses(write, losses));
    SLUICE_CHECK(finish(write));
    history_grew(size);
    return {};
}

Result<void> KeyedStore::put_commit(const std::string& pipeline, const Commit& commit,
                                    const Positions& positions,
                                    const std::optional<Receipt>& receipt,
                                    const std::vector<LossEntry>& losses) {
    SLUICE_ASSERT(commit.state == BatchState::committed || commit.state == BatchState::recovered);
    assert_positions(positions);
    assert_losses(losses);
    SLUICE_TRY(Write write, begin_write(pipeline));
    SLUICE_TRY(const auto plan, plan_of(write.id, commit.batch_id));
    if (!plan) {
        return Error{ErrorCode::not_found,
                     "batch " + batch_name(pipeline, commit.batch_id) + " has no plan to commit"};
    }
    SLUICE_TRY(const auto known, commit_of(write.id, commit.batch_id));
    if (known) {
        return Error{ErrorCode::exists, "batch " + batch_name(pipeline, commit.batch_id) + " is " +
                                            std::string(name_of(known->state)) +
                                            " already: is there a second writer?"};
    }
    const std::size_t books = commit.state == BatchState::committed ? plan->ranges.size() : 0;
    SLUICE_ASSERT(commit.books.size() == books);

    SLUICE_TRY(const Positions stored, stored_positions(write.id, positions));
    for (const auto& [partition, position] : stored) {
        SLUICE_TRY(const bool position_never_goes_back,
                   may_move(write.id, partition, position, positions.at(partition).offset, losses));
        SLUICE_ASSERT(position_never_goes_back);
    }

    std::string bytes = encode(commit);
    const std::uint64_t size = key_bytes + bytes.size();
    write.batch.put(Family::commits, keys::batch(write.id, commit.batch_id), std::move(bytes));
    add_changed(write, stored, positions);
    if (receipt) write.batch.put(Family::meta, keys::receipt(write.id), encode(*receipt));
    SLUICE_CHECK(add_losses(write, losses));
    SLUICE_CHECK(finish(write));
    history_grew(size);
    return {};
}

Result<void> KeyedStore::put_refused(const std::string& pipeline, std::uint64_t batch_id,
                                     const std::vector<RefusedRecord>& records) {
    SLUICE_TRY(Write write, begin_write(pipeline));
    SLUICE_TRY(const auto plan, plan_of(write.id, batch_id));
    SLUICE_TRY(const auto outcome, commit_of(write.id, batch_id));
    if (!plan || outcome) {
        return Error{plan ? ErrorCode::exists : ErrorCode::not_found,
                     "batch " + batch_name(pipeline, batch_id) +
                         (plan ? " has its outcome already" : " has no plan") +
                         ": its refused records can't be written down"};
    }
    write.batch.put(Family::control, keys::refused(write.id, batch_id), encode(records));
    return finish(write);
}

Result<void> KeyedStore::put_losses(const std::string& pipeline,
                                    const std::vector<LossEntry>& losses) {
    assert_losses(losses);
    SLUICE_TRY(Write write, begin_write(pipeline));
    const std::size_t before = write.batch.changes.size();
    SLUICE_CHECK(add_losses(write, losses));
    if (write.batch.changes.size() == before) return {};
    return finish(write);
}

Result<void> KeyedStore::put_move(const std::string& pipeline, const Move& move) {
    assert_positions(move.positions);
    assert_losses(move.accept);
    SLUICE_TRY(Write write, begin_write(pipeline));
    SLUICE_TRY(const std::uint64_t next, next_batch_id(write.id));
    SLUICE_TRY(const auto open, unfinished(write.id, next));
    if (move.abandons && (!open || open->batch_id != *move.abandons)) {
        return Error{ErrorCode::exists,
                     "batch " + batch_name(pipeline, *move.abandons) + " is not open" +
                         (open ? ", batch " + batch_name(pipeline, open->batch_id) + " is" : "") +
                         ": nothing was changed. Look again, and decide anew"};
    }
    if (move.abandons) {
        Commit outcome;
        outcome.batch_id = open->batch_id;
        outcome.state = BatchState::abandoned;
        outcome.committed_at = move.audit.at;
        outcome.attempts = 0;
        write.batch.put(Family::commits, keys::batch(write.id, open->batch_id), encode(outcome));
    } else if (open) {
        // Its commit would write its own positions over those the operator just set.
        for (const plan::PlannedRange& planned : open->ranges) {
            const plan::TopicPartition& partition = planned.range.topic_partition;
            const bool moved = move.positions.contains(partition) ||
                               std::find(move.forget.begin(), move.forget.end(), partition) !=
                                   move.forget.end();
            if (!moved) continue;
            return Error{ErrorCode::invalid_argument,
                         to_string(partition) + " is being read by batch " +
                             batch_name(pipeline, open->batch_id) +
                             ", which has no outcome yet: let it commit, or abandon it with the move"};
        }
    }
    SLUICE_TRY(const Positions stored, stored_positions(write.id, move.positions));
    add_changed(write, stored, move.positions);
    for (const plan::TopicPartition& partition : move.forget) {
        SLUICE_ASSERT(!move.positions.contains(partition));
        write.batch.erase(Family::positions, keys::position(write.id, partition));
    }
    std::vector<LossEntry> accept = move.accept;
    for (LossEntry& loss : accept) loss.accepted = true;
    SLUICE_CHECK(add_losses(write, accept));
    SLUICE_CHECK(add_audit(write, move.audit));
    return finish(write);
}

void Store::Move::abandon(const PipelineState& state) {
    SLUICE_ASSERT(state.unfinished);
    abandons = state.unfinished->batch_id;
    for (const auto& [partition, start] : plan::starts_of(state.unfinished->ranges)) {
        const bool is_known = state.positions.contains(partition) ||
                              std::find(forget.begin(), forget.end(), partition) != forget.end();
        if (!is_known) positions.try_emplace(partition, start);
    }
}

Result<void> KeyedStore::put_run_state(const std::string& pipeline, RunState state,
                                       const ControlEntry& audit) {
    SLUICE_TRY(Write write, begin_write(pipeline));
    write.batch.put(Family::control, keys::run_state(write.id), encode(state));
    SLUICE_CHECK(add_audit(write, audit));
    return finish(write);
}

Result<bool> KeyedStore::may_move(PipelineId id, const plan::TopicPartition& partition,
                                  const plan::Position& from, std::int64_t to,
                                  const std::vector<LossEntry>& losses) const {
    if (to >= from.offset) return true;
    // Offsets that went back, and a topic created anew, are losses at the position itself.
    plan::Loss at_position;
    at_position.topic_partition = partition;
    at_position.topic_id = from.topic_id;
    at_position.from = from.offset;
    at_position.until = from.offset;
    const std::string key = keys::loss(id, at_position);
    const auto explains = [&](const LossEntry& known) {
        return known.loss.adjusted_start >= 0 && known.loss.adjusted_start <= to;
    };
    for (const LossEntry& given : losses) {
        if (keys::loss(id, given.loss) == key && explains(given)) return true;
    }
    SLUICE_TRY(const auto known, entry(Family::losses, key, decode_loss));
    return known && explains(*known);
}

Result<void> KeyedStore::add_losses(Write& write, const std::vector<LossEntry>& losses) const {
    std::map<std::string, LossEntry> changed;  // one loss may be named twice in one call
    for (const LossEntry& given : losses) {
        std::string key = keys::loss(write.id, given.loss);
        std::optional<LossEntry> known;
        if (const auto again = changed.find(key); again != changed.end()) {
            known = again->second;
        } else {
            SLUICE_TRY(known, entry(Family::losses, key, decode_loss));
        }
        if (known && (known->accepted || !given.accepted)) continue;
        LossEntry kept = known ? *known : given;
        kept.accepted = given.accepted;
        changed.insert_or_assign(std::move(key), std::move(kept));
    }
    for (const LossEntry& given : losses) {
        if (given.accepted) SLUICE_CHECK(settle_older(write.id, given.loss, changed));
    }
    for (const auto& [key, entry_] : changed) write.batch.put(Family::losses, key, encode(entry_));
    return {};
}

/// A loss that was noted while the pipeline waited may have grown since: its entry would wait for ever.
Result<void> KeyedStore::settle_older(PipelineId id, const plan::Loss& accepted,
                                      std::map<std::string, LossEntry>& changed) const {
    return backend_->scan(
        Family::losses, keys::losses(id, accepted), {}, Order::ascending,
        [&](std::string_view key, std::string_view value) -> Result<Step> {
            auto older = decode_loss(value);
            if (!older) return unreadable(Family::losses, key, older.error().message);
            if (older->accepted || !settles(accepted, older->loss)) return Step::next;
            older->accepted = true;
            changed.insert_or_assign(std::string(key), std::move(older).value());
            return Step::next;
        });
}

Result<void> KeyedStore::add_audit(Write& write, const ControlEntry& audit) const {
    std::uint64_t number = 0;
    SLUICE_CHECK(backend_->scan(
        Family::control, keys::audits(write.id), {}, Order::descending,
        [&](std::string_view key, std::string_view) -> Result<Step> {
            const auto last = keys::audit_number_of(key);
            if (!last) return unreadable(Family::control, key, "the key of no audit entry");
            number = *last + 1;
            return Step::stop;
        }));
    write.batch.put(Family::control, keys::audit(write.id, number), encode(audit));
    return {};
}

void KeyedStore::add_changed(Write& write, const Positions& stored, const Positions& positions) {
    for (const auto& [partition, position] : positions) {
        const auto known = stored.find(partition);
        if (known != stored.end() && known->second == position) continue;
        write.batch.put(Family::positions, keys::position(write.id, partition), encode(position));
    }
}

Result<void> KeyedStore::rename(const std::string& from, const std::string& to) {
    SLUICE_CHECK(check_name(to));
    // Both names, in one order for everybody; two names may share a mutex.
    std::shared_mutex* first = &mutex_of(from);
    std::shared_mutex* second = &mutex_of(to);
    if (std::less<>{}(second, first)) std::swap(first, second);
    const std::unique_lock first_lock(*first);
    std::unique_lock<std::shared_mutex> second_lock;
    if (second != first) second_lock = std::unique_lock(*second);
    const std::lock_guard registry_lock(registry_mutex_);

    const auto old = registry_.find(from);
    if (old == registry_.end()) return not_found(from);
    if (registry_.contains(to)) {
        return Error{ErrorCode::exists, "pipeline '" + to + "' has checkpoints of its own: '" + from +
                                            "' can't be renamed to it. `sluice forget " + to +
                                            "` drops them"};
    }
    const PipelineId id = old->second;
    Batch batch;
    batch.erase(Family::meta, keys::pipeline_name(from));
    batch.put(Family::meta, keys::pipeline_name(to), encode_number(static_cast<std::uint32_t>(id)));
    SLUICE_TRY(const auto first_name, entry(Family::meta, keys::first_name(id), decode_text));
    if (!first_name) batch.put(Family::meta, keys::first_name(id), encode_text(from));
    SLUICE_CHECK(backend_->write(batch));
    registry_.erase(old);
    registry_.emplace(to, id);
    return {};
}

Result<void> KeyedStore::forget(const std::string& pipeline) {
    const std::unique_lock pipeline_lock(mutex_of(pipeline));
    const std::lock_guard registry_lock(registry_mutex_);
    const auto found = registry_.find(pipeline);
    if (found == registry_.end()) return not_found(pipeline);
    Batch batch;
    batch.erase(Family::meta, keys::pipeline_name(pipeline));
    batch.erase_prefix(Family::meta, keys::pipeline_meta(found->second));
    for (const Family family : all_families) {
        if (family != Family::meta) batch.erase_prefix(family, keys::pipeline(found->second));
    }
    SLUICE_CHECK(backend_->write(batch));
    registry_.erase(found);
    const std::lock_guard history_lock(history_mutex_);
    history_bytes_.reset();  // counted anew by the next trim
    return {};
}

std::unique_ptr<Store> make_memory_store() {
    auto store = KeyedStore::over(make_memory_backend());
    SLUICE_ASSERT(store.has_value());  // an empty map can't fail to be read
    return std::move(store).value();
}

}  // namespace sluice::checkpoints
