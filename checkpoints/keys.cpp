#include "checkpoints/keys.hpp"

#include <algorithm>

#include "checkpoints/wire.hpp"

namespace sluice::checkpoints::keys {
namespace {

constexpr std::size_t id_bytes = 4;

Writer begin(PipelineId id) {
    Writer writer;
    writer.fixed32(static_cast<std::uint32_t>(id));
    return writer;
}

std::string meta_of(PipelineId id, char what) {
    std::string key = pipeline_meta(id);
    key += what;
    return key;
}

}  // namespace

std::string format() { return "F"; }
std::string next_pipeline() { return "N"; }
std::string pipeline_name(std::string_view name) { return pipeline_names() + std::string(name); }
std::string pipeline_names() { return "n"; }
std::string pipeline_meta(PipelineId id) { return "p" + pipeline(id); }
std::string cluster(PipelineId id) { return meta_of(id, 'c'); }
std::string next_batch(PipelineId id) { return meta_of(id, 'b'); }
std::string receipt(PipelineId id) { return meta_of(id, 'r'); }
std::string first_name(PipelineId id) { return meta_of(id, 'n'); }

std::string pipeline(PipelineId id) { return begin(id).take(); }

std::string batch(PipelineId id, std::uint64_t batch_id) { return begin(id).fixed64(batch_id).take(); }

std::string position(PipelineId id, const plan::TopicPartition& topic_partition) {
    return begin(id)
        .text(topic_partition.topic)
        .fixed32(static_cast<std::uint32_t>(topic_partition.partition))
        .take();
}

std::string losses(PipelineId id, const plan::Loss& loss) {
    return begin(id)
        .text(loss.topic_id)
        .text(loss.topic_partition.topic)
        .fixed32(static_cast<std::uint32_t>(loss.topic_partition.partition))
        .take();
}

std::string loss(PipelineId id, const plan::Loss& loss) {
    return losses(id, loss) +
           Writer()
               .fixed64(static_cast<std::uint64_t>(loss.from))
               .fixed64(static_cast<std::uint64_t>(loss.until))
               .take();
}

std::string run_state(PipelineId id) { return begin(id).byte('s').take(); }
std::string initial_offsets(PipelineId id) { return begin(id).byte('i').take(); }
std::string refused(PipelineId id, std::uint64_t batch_id) {
    return begin(id).byte('q').fixed64(batch_id).take();
}
std::string audits(PipelineId id) { return begin(id).byte('a').take(); }
std::string audit(PipelineId id, std::uint64_t number) {
    return begin(id).byte('a').fixed64(number).take();
}

std::optional<std::uint64_t> batch_of(std::string_view key) {
    Reader reader(key);
    reader.fixed32();
    const std::uint64_t batch_id = reader.fixed64();
    if (!reader.finish().empty()) return std::nullopt;
    return batch_id;
}

std::optional<plan::TopicPartition> partition_of(std::string_view key) {
    Reader reader(key);
    reader.fixed32();
    const std::string_view topic = reader.text();
    const std::uint32_t partition = reader.fixed32();
    if (!reader.finish().empty() || partition > 0x7FFFFFFF) return std::nullopt;
    return plan::TopicPartition{std::string(topic), static_cast<std::int32_t>(partition)};
}

std::optional<std::uint64_t> audit_number_of(std::string_view key) {
    Reader reader(key.substr(std::min(key.size(), id_bytes)));
    const bool is_audit = reader.byte() == 'a';
    const std::uint64_t number = reader.fixed64();
    if (!is_audit || !reader.finish().empty()) return std::nullopt;
    return number;
}

std::string_view name_of(std::string_view key) { return key.substr(1); }

}  // namespace sluice::checkpoints::keys
