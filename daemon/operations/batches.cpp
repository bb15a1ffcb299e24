#include "daemon/operations/batches.hpp"

#include <algorithm>

#include "daemon/operations/json.hpp"

namespace sluice::operations {
namespace {

json::object summary(const std::string& pipeline, const checkpoints::BatchSummary& batch) {
    json::object object;
    object["pipeline"] = pipeline;
    object["batch"] = batch.plan.batch_id;
    object["state"] = checkpoints::name_of(batch.commit ? batch.commit->state
                                                        : checkpoints::BatchState::planned);
    object["planned_at"] = to_iso8601(batch.plan.planned_at);
    object["committed_at"] = nullptr;
    object["ranges"] = batch.plan.ranges.size();
    object["offsets"] = offsets_of(batch.plan.ranges);
    object["attempts"] = nullptr;
    object["total_ms"] = nullptr;
    object["books"] = nullptr;
    if (batch.commit) {
        object["committed_at"] = to_iso8601(batch.commit->committed_at);
        object["attempts"] = batch.commit->attempts;
        object["total_ms"] = batch.commit->phases.total.count();
        if (!batch.commit->books.empty()) object["books"] = to_json(sum_of(batch.commit->books));
    }
    return object;
}

}  // namespace

json::object to_json(const std::string& pipeline, const checkpoints::BatchSummary& batch) {
    json::object object = summary(pipeline, batch);
    json::array ranges = to_json(batch.plan.ranges);
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        json::object& range = ranges[i].as_object();
        range["token"] = pipeline + "/" + std::to_string(batch.plan.batch_id) + "/" + std::to_string(i);
        range["books"] = nullptr;
        if (batch.commit && i < batch.commit->books.size()) {
            range["books"] = to_json(batch.commit->books[i]);
        }
    }
    object["ranges"] = std::move(ranges);
    object["phases"] = nullptr;
    if (batch.commit) {
        const auto& phases = batch.commit->phases;
        object["phases"] = {{"read_and_write_ms", phases.read_and_write.count()},
                            {"sink_commit_ms", phases.sink_commit.count()},
                            {"total_ms", phases.total.count()}};
    }
    return object;
}

Result<json::object> list_batches(const Context& context, const std::string& pipeline,
                                  std::size_t limit) {
    SLUICE_CHECK(known(context, pipeline));
    SLUICE_TRY(const auto batches,
               context.store.batches(pipeline, std::min(limit, batches_listed_max)));
    json::array list;
    for (const auto& batch : batches) {
        json::object object = summary(pipeline, batch);
        object.erase("pipeline");
        list.push_back(std::move(object));
    }
    return json::object{{"pipeline", pipeline}, {"batches", std::move(list)}};
}

Result<json::object> show_batch(const Context& context, const std::string& pipeline,
                                std::uint64_t batch_id) {
    SLUICE_CHECK(known(context, pipeline));
    SLUICE_TRY(const auto batch, context.store.batch(pipeline, batch_id));
    SLUICE_TRY(const auto refused, context.store.refused(pipeline, batch_id));
    json::object object = to_json(pipeline, batch);
    json::array records;
    for (std::size_t i = 0; i < std::min(refused.size(), refused_listed_max); ++i) {
        records.push_back(json::object{{"topic", refused[i].topic_partition.topic},
                                       {"partition", refused[i].topic_partition.partition},
                                       {"offset", refused[i].offset},
                                       {"reason", refused[i].reason}});
    }
    object["refused"] = std::move(records);
    return object;
}

Result<json::object> find_batch(const Context& context, const std::string& pipeline,
                                const plan::TopicPartition& partition, std::int64_t offset) {
    SLUICE_CHECK(known(context, pipeline));
    SLUICE_TRY(const auto batch, context.store.find_batch(pipeline, partition, offset));
    json::object object = to_json(pipeline, batch);
    json::object found{{"topic", partition.topic},
                       {"partition", partition.partition},
                       {"offset", offset},
                       {"range", nullptr}};
    const auto& ranges = batch.plan.ranges;
    const auto range = std::find_if(ranges.begin(), ranges.end(), [&](const auto& planned) {
        return planned.range.topic_partition == partition && planned.range.from <= offset &&
               offset < planned.range.until;
    });
    if (range != ranges.end()) found["range"] = range - ranges.begin();
    object["found"] = std::move(found);
    return object;
}

}  // namespace sluice::operations
