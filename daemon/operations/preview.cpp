#include "daemon/operations/preview.hpp"

#include <algorithm>
#include <set>
#include <span>
#include <stop_token>

#include "daemon/operations/json.hpp"
#include "daemon/pipeline/sizing.hpp"

namespace sluice::operations {
namespace {

/// The newest batches that say something of how fast and how large records are, newest first.
Result<std::vector<checkpoints::BatchSummary>> telling_batches(const Context& context, const std::string& pipeline) {
    // Beyond these the weight of a batch is below 0.7^64, far less than a rounding.
    constexpr std::size_t remembered = 64;
    // A batch may be in flight, and abandoned ones taught nothing: look a little further.
    SLUICE_TRY(auto batches, context.store.batches(pipeline, remembered + 8));
    std::erase_if(batches, [](const auto& batch) {
        return !batch.commit || batch.commit->state == checkpoints::BatchState::abandoned;
    });
    if (batches.size() > remembered) batches.resize(remembered);
    return batches;
}

pipeline::Observed learned_from(std::span<const checkpoints::BatchSummary> newest_first) {
    pipeline::Observed observed;
    for (auto batch = newest_first.rbegin(); batch != newest_first.rend(); ++batch) observed.learn(*batch->commit);
    return observed;
}

json::array advice_json(const std::vector<pipeline::Advice>& advice) {
    json::array array;
    for (const auto& one : advice) {
        array.push_back(json::object{{"option", one.option}, {"value", count_or_null(one.value)}, {"why", one.why}});
    }
    return array;
}

/// As the running pipeline has learned since its process started; of older batches it knows nothing.
pipeline::Observed observed_by(const std::vector<checkpoints::BatchSummary>& newest_first,
                               const pipeline::Status* live) {
    if (live == nullptr) return {};
    return learned_from(std::span(newest_first).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(live->batches_committed, newest_first.size()))));
}

/// Since the last trigger that ran in this process; very long when none did.
Result<Milliseconds> elapsed_since_last(const Context& context, const std::string& pipeline,
                                        const pipeline::Status* live) {
    if (live == nullptr || live->batches_committed == 0) return Milliseconds::max();
    SLUICE_TRY(const auto batches, context.store.batches(pipeline, 1));
    if (batches.empty()) return Milliseconds::max();
    return std::max(context.clock.wall() - batches.front().plan.planned_at, Milliseconds{0});
}

std::size_t partitions_of(const std::vector<plan::PlannedRange>& ranges) {
    std::set<plan::TopicPartition> partitions;
    for (const auto& range : ranges) partitions.insert(range.range.topic_partition);
    return partitions.size();
}

json::object shape(const std::string& pipeline, std::uint64_t batch, const char* decision,
                   const std::vector<plan::PlannedRange>& ranges) {
    return {{"pipeline", pipeline},
            {"batch", batch},
            {"decision", decision},
            {"planned_at", nullptr},
            {"first_start", false},
            {"ranges", to_json(ranges)},
            {"offsets", offsets_of(ranges)},
            {"backlog", nullptr},
            {"left", nullptr},
            {"partitions", partitions_of(ranges)},
            {"losses", json::array{}},
            {"limits", nullptr},
            {"advice", json::array{}},
            {"batches_seen", 0},
            {"notes", json::array{}}};
}

void add_advice(json::object& answer, std::span<const checkpoints::BatchSummary> batches, std::uint64_t backlog,
                const pipeline::Capacity& capacity) {
    answer["advice"] = advice_json(pipeline::advise({learned_from(batches), backlog, capacity}));
    answer["batches_seen"] = batches.size();
}

json::object limits_json(const plan::PlanOptions& options) {
    return {{"max_offsets", count_or_null(options.max_offsets)},
            {"min_offsets", count_or_null(options.min_offsets)},
            {"max_records_per_partition", count_or_null(options.split.max_records_per_partition)},
            {"min_partitions", count_or_null(options.split.min_partitions)}};
}

}  // namespace

Result<json::object> preview_trigger(const Context& context, const std::string& pipeline,
                                     const pipeline::Status* live) {
    SLUICE_TRY(const config::Pipeline* configuration, configured(context, pipeline));
    SLUICE_TRY(auto state, context.store.load(pipeline));
    SLUICE_TRY(const auto batches, telling_batches(context, pipeline));
    const pipeline::Capacity capacity{context.config.workers, context.config.memory_max};
    if (state.unfinished) {
        const auto& plan = *state.unfinished;
        json::object answer = shape(pipeline, plan.batch_id, "rerun", plan.ranges);
        // There is at least what the batch reads; what its trigger found, the running pipeline knows.
        const std::uint64_t backlog =
            std::max(offsets_of(plan.ranges), live == nullptr ? std::uint64_t{0} : live->backlog.value_or(0));
        add_advice(answer, batches, backlog, capacity);
        answer["planned_at"] = to_iso8601(plan.planned_at);
        const bool runs = live != nullptr && live->batch_id == plan.batch_id;
        answer["notes"].as_array().emplace_back(
            runs ? "this batch is being run now; what comes after it depends on what there is then"
                 : "this batch was planned and has no outcome: it is run as recorded before anything else");
        return answer;
    }
    const auto source = context.make_source(*configuration);
    std::erase_if(state.positions, [&](const auto& at) { return !source->covers(at.first); });
    SLUICE_TRY(auto facts, source->facts(state.positions, std::stop_token{}));
    if (const auto beyond = plan::askable_beyond_the_end(state.positions, facts); !beyond.empty()) {
        SLUICE_TRY(const auto truncations, source->truncations(beyond, std::stop_token{}));
        plan::note_truncations(facts, truncations);
    }
    const bool first_start = !state.initial_offsets;
    if (first_start) {
        SLUICE_TRY(const auto initial, source->initial_offsets(facts));
        state.positions = initial.positions;
    }
    const auto known_backlog = pipeline::known_backlog(state.positions, facts);
    const pipeline::Observed observed = observed_by(batches, live);
    SLUICE_TRY(const Milliseconds elapsed, elapsed_since_last(context, pipeline, live));
    const auto options =
        pipeline::plan_options(*configuration, known_backlog, capacity, observed);
    const plan::PlanInput input{state.positions, facts, nullptr, elapsed};
    SLUICE_TRY(const auto outcome, plan::plan_batch(input, options));

    const bool refused = !outcome.losses.empty() && configuration->source.fail_on_data_loss;
    const char* decision = refused                  ? "data_loss"
                           : outcome.waiting        ? "wait"
                           : outcome.ranges.empty() ? "nothing"
                                                    : "run";
    static const std::vector<plan::PlannedRange> none;
    const auto& ranges = refused ? none : outcome.ranges;
    json::object answer = shape(pipeline, state.next_batch_id, decision, ranges);
    answer["first_start"] = first_start;
    answer["backlog"] = outcome.backlog;
    answer["left"] = outcome.backlog - std::min(outcome.backlog, offsets_of(ranges));
    answer["limits"] = limits_json(options);
    add_advice(answer, batches, known_backlog, capacity);
    for (const auto& loss : outcome.losses) answer["losses"].as_array().push_back(to_json(loss));
    auto& notes = answer["notes"].as_array();
    if (refused) {
        notes.emplace_back("the pipeline stops here (failOnDataLoss: true); to record the loss and go on: "
                           "sluice losses accept " + pipeline + " --execute");
    }
    if (facts.empty()) {
        notes.emplace_back("no subscribed topic exists yet on this cluster");
    }
    if (state.run_state != checkpoints::RunState::running) {
        notes.emplace_back("the pipeline is " + std::string(checkpoints::name_of(state.run_state)) +
                           ": nothing runs before `sluice resume " + pipeline + "`");
    }
    return answer;
}

}  // namespace sluice::operations
