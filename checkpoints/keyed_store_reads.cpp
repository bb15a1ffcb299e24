#include <algorithm>
#include <tuple>
#include <utility>

#include "checkpoints/codec.hpp"
#include "checkpoints/keyed_store.hpp"

namespace sluice::checkpoints {
namespace {

/// Above this many positions one pass over the family is cheaper than looking each one up.
constexpr std::size_t lookups_max = 1000;

bool covers(const Plan& plan, const plan::TopicPartition& partition, std::int64_t offset) {
    return std::any_of(plan.ranges.begin(), plan.ranges.end(), [&](const auto& planned) {
        return planned.range.topic_partition == partition && planned.range.from <= offset &&
               offset < planned.range.until;
    });
}

}  // namespace

Result<PipelineState> KeyedStore::load(const std::string& pipeline) const {
    const Read read = begin_read(pipeline);
    PipelineState state;
    state.sink_name = pipeline;
    if (!read.id) return state;
    const PipelineId id = *read.id;
    SLUICE_TRY(state.positions, positions_of(id));
    SLUICE_TRY(state.next_batch_id, next_batch_id(id));
    SLUICE_TRY(state.unfinished, unfinished(id, state.next_batch_id));
    SLUICE_TRY(state.receipt, entry(Family::meta, keys::receipt(id), decode_receipt));
    SLUICE_TRY(state.initial_offsets,
               entry(Family::control, keys::initial_offsets(id), decode_text));
    SLUICE_TRY(const auto run_state,
               entry(Family::control, keys::run_state(id), decode_run_state));
    state.run_state = run_state.value_or(RunState::running);
    SLUICE_TRY(auto cluster, entry(Family::meta, keys::cluster(id), decode_text));
    state.cluster_id = std::move(cluster).value_or("");
    SLUICE_TRY(auto first_name, entry(Family::meta, keys::first_name(id), decode_text));
    if (first_name) state.sink_name = *std::move(first_name);
    return state;
}

Result<std::vector<std::string>> KeyedStore::pipelines() const {
    const std::lock_guard lock(registry_mutex_);
    std::vector<std::string> names;
    for (const auto& [name, id] : registry_) names.push_back(name);
    return names;
}

Result<std::uint64_t> KeyedStore::next_batch_id(PipelineId id) const {
    const std::string key = keys::next_batch(id);
    SLUICE_TRY(const auto stored, entry(Family::meta, key, decode_number));
    const std::uint64_t next = stored.value_or(0);
    // An id that was given out must never be given out again, even by damaged checkpoints.
    SLUICE_CHECK(backend_->scan(
        Family::plans, keys::pipeline(id), {}, Order::descending,
        [&](std::string_view newest, std::string_view) -> Result<Step> {
            const auto batch_id = keys::batch_of(newest);
            if (!batch_id) return unreadable(Family::plans, newest, "the key of no plan");
            if (*batch_id >= next) {
                return unreadable(Family::meta, key, "it says " + std::to_string(next) +
                                                         ", but there is a plan " +
                                                         std::to_string(*batch_id));
            }
            return Step::stop;
        }));
    return next;
}

Result<std::optional<Plan>> KeyedStore::plan_of(PipelineId id, std::uint64_t batch_id) const {
    const std::string key = keys::batch(id, batch_id);
    SLUICE_TRY(auto plan, entry(Family::plans, key, decode_plan));
    if (plan && plan->batch_id != batch_id) {
        return unreadable(Family::plans, key, "it is that of batch " +
                                                  std::to_string(plan->batch_id));
    }
    return plan;
}

Result<std::optional<Commit>> KeyedStore::commit_of(PipelineId id, std::uint64_t batch_id) const {
    const std::string key = keys::batch(id, batch_id);
    SLUICE_TRY(auto commit, entry(Family::commits, key, decode_commit));
    if (commit && commit->batch_id != batch_id) {
        return unreadable(Family::commits, key, "it is that of batch " +
                                                    std::to_string(commit->batch_id));
    }
    return commit;
}

Result<std::optional<Plan>> KeyedStore::unfinished(PipelineId id,
                                                   std::uint64_t next_batch_id) const {
    if (next_batch_id == 0) return std::optional<Plan>{};
    const std::uint64_t newest = next_batch_id - 1;
    const std::string key = keys::batch(id, newest);
    SLUICE_TRY(const auto outcome, backend_->get(Family::commits, key));
    if (outcome) return std::optional<Plan>{};
    SLUICE_TRY(auto plan, plan_of(id, newest));
    // The newest plan is never trimmed: without it nobody knows what was in flight.
    if (!plan) return unreadable(Family::plans, key, "the newest plan is missing");
    return plan;
}

Result<BatchSummary> KeyedStore::summary(PipelineId id, Plan plan) const {
    BatchSummary summary;
    SLUICE_TRY(summary.commit, commit_of(id, plan.batch_id));
    if (summary.commit && summary.commit->state == BatchState::committed &&
        summary.commit->books.size() != plan.ranges.size()) {
        return unreadable(Family::commits, keys::batch(id, plan.batch_id),
                          "it has books of " + std::to_string(summary.commit->books.size()) +
                              " ranges, its plan has " + std::to_string(plan.ranges.size()));
    }
    summary.plan = std::move(plan);
    return summary;
}

Result<KeyedStore::Positions> KeyedStore::positions_of(PipelineId id) const {
    Positions positions;
    SLUICE_CHECK(backend_->scan(
        Family::positions, keys::pipeline(id), {}, Order::ascending,
        [&](std::string_view key, std::string_view value) -> Result<Step> {
            auto partition = keys::partition_of(key);
            if (!partition) return unreadable(Family::positions, key, "the key of no position");
            auto position = decode_position(value);
            if (!position) return unreadable(Family::positions, key, position.error().message);
            positions.emplace(*std::move(partition), std::move(position).value());
            return Step::next;
        }));
    return positions;
}

Result<KeyedStore::Positions> KeyedStore::stored_positions(PipelineId id,
                                                           const Positions& wanted) const {
    if (wanted.size() > lookups_max) {
        SLUICE_TRY(Positions all, positions_of(id));
        std::erase_if(all, [&](const auto& stored) { return !wanted.contains(stored.first); });
        return all;
    }
    Positions stored;
    for (const auto& [partition, unused] : wanted) {
        SLUICE_TRY(auto position,
                   entry(Family::positions, keys::position(id, partition), decode_position));
        if (position) stored.emplace(partition, *std::move(position));
    }
    return stored;
}

Result<void> KeyedStore::visit_plans(PipelineId id, std::optional<std::uint64_t> newest,
                                     const std::function<Step(Plan)>& visit) const {
    return backend_->scan(Family::plans, keys::pipeline(id),
                          newest ? keys::batch(id, *newest) : std::string(), Order::descending,
                          [&](std::string_view key, std::string_view value) -> Result<Step> {
                              auto plan = decode_plan(value);
                              if (!plan) {
                                  return unreadable(Family::plans, key, plan.error().message);
                              }
                              if (keys::batch_of(key) != plan->batch_id) {
                                  return unreadable(Family::plans, key, "it is another batch's");
                              }
                              return visit(std::move(plan).value());
                          });
}

Result<std::vector<BatchSummary>> KeyedStore::batches(const std::string& pipeline,
                                                      std::size_t limit) const {
    const Read read = begin_read(pipeline);
    std::vector<BatchSummary> found;
    if (!read.id || limit == 0) return found;
    SLUICE_CHECK(visit_plans(*read.id, {}, [&](Plan plan) {
        found.push_back({std::move(plan), {}});
        return found.size() < limit ? Step::next : Step::stop;
    }));
    for (BatchSummary& one : found) {
        SLUICE_TRY(one, summary(*read.id, std::move(one.plan)));
    }
    return found;
}

Result<BatchSummary> KeyedStore::batch(const std::string& pipeline, std::uint64_t batch_id) const {
    const Read read = begin_read(pipeline);
    if (read.id) {
        SLUICE_TRY(auto plan, plan_of(*read.id, batch_id));
        if (plan) return summary(*read.id, *std::move(plan));
    }
    return Error{ErrorCode::not_found, "batch " + pipeline + "/" + std::to_string(batch_id) +
                                           " is not in the history kept (see `history`)"};
}

Result<BatchSummary> KeyedStore::find_batch(const std::string& pipeline,
                                            const plan::TopicPartition& partition,
                                            std::int64_t offset) const {
    const Read read = begin_read(pipeline);
    std::optional<BatchSummary> found;
    std::optional<std::uint64_t> newest;
    while (read.id) {
        std::optional<Plan> covering;
        SLUICE_CHECK(visit_plans(*read.id, newest, [&](Plan plan) {
            if (!covers(plan, partition, offset)) return Step::next;
            covering = std::move(plan);
            return Step::stop;
        }));
        if (!covering) break;
        const std::uint64_t batch_id = covering->batch_id;
        SLUICE_TRY(BatchSummary one, summary(*read.id, *std::move(covering)));
        // An abandoned batch delivered nothing: it answers only when no other one does.
        const bool delivers = !one.commit || one.commit->state != BatchState::abandoned;
        if (delivers || !found) found = std::move(one);
        if (delivers || batch_id == 0) break;
        newest = batch_id - 1;
    }
    if (found) return *std::move(found);
    return Error{ErrorCode::not_found, "no batch of pipeline '" + pipeline + "' that is kept covers " +
                                           to_string(partition) + " offset " +
                                           std::to_string(offset)};
}

Result<std::vector<RefusedRecord>> KeyedStore::refused(const std::string& pipeline,
                                                       std::uint64_t batch_id) const {
    const Read read = begin_read(pipeline);
    if (!read.id) return std::vector<RefusedRecord>{};
    SLUICE_TRY(auto records,
               entry(Family::control, keys::refused(*read.id, batch_id), decode_refused));
    return records ? *std::move(records) : std::vector<RefusedRecord>{};
}

Result<std::vector<LossEntry>> KeyedStore::losses(const std::string& pipeline) const {
    const Read read = begin_read(pipeline);
    std::vector<LossEntry> entries;
    if (!read.id) return entries;
    SLUICE_CHECK(backend_->scan(
        Family::losses, keys::pipeline(*read.id), {}, Order::ascending,
        [&](std::string_view key, std::string_view value) -> Result<Step> {
            auto loss = decode_loss(value);
            if (!loss) return unreadable(Family::losses, key, loss.error().message);
            if (keys::loss(*read.id, loss->loss) != key) {
                return unreadable(Family::losses, key, "it is another loss's");
            }
            entries.push_back(std::move(loss).value());
            return Step::next;
        }));
    std::stable_sort(entries.begin(), entries.end(), [](const LossEntry& a, const LossEntry& b) {
        return std::tie(a.detected_at, a.loss.topic_partition, a.loss.from) <
               std::tie(b.detected_at, b.loss.topic_partition, b.loss.from);
    });
    return entries;
}

Result<std::vector<ControlEntry>> KeyedStore::audit(const std::string& pipeline) const {
    const Read read = begin_read(pipeline);
    std::vector<ControlEntry> entries;
    if (!read.id) return entries;
    SLUICE_CHECK(backend_->scan(
        Family::control, keys::audits(*read.id), {}, Order::ascending,
        [&](std::string_view key, std::string_view value) -> Result<Step> {
            auto one = decode_control(value);
            if (!one) return unreadable(Family::control, key, one.error().message);
            entries.push_back(std::move(one).value());
            return Step::next;
        }));
    return entries;
}

}  // namespace sluice::checkpoints
