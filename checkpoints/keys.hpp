#pragma once
// Every key of the store, in one place; README.md has them byte by byte. A pipeline's entries go
// under a number, so that names may hold anything, keys stay short, and a rename touches one entry.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "checkpoints/backend.hpp"
#include "daemon/plan/data_loss.hpp"
#include "daemon/plan/types.hpp"

namespace sluice::checkpoints {

enum class PipelineId : std::uint32_t {};  ///< given out once, never again

namespace keys {

// meta
std::string format();                               ///< 'F'
std::string next_pipeline();                        ///< 'N'
std::string pipeline_name(std::string_view name);   ///< 'n' + name
std::string pipeline_names();                       ///< prefix of those
std::string pipeline_meta(PipelineId id);           ///< prefix 'p' + id
std::string cluster(PipelineId id);                 ///< … + 'c'
std::string next_batch(PipelineId id);              ///< … + 'b'
std::string receipt(PipelineId id);                 ///< … + 'r'
std::string first_name(PipelineId id);              ///< … + 'n'

/// Prefix of everything of one pipeline in every family but meta.
std::string pipeline(PipelineId id);

std::string batch(PipelineId id, std::uint64_t batch_id);  ///< plans and commits
std::string position(PipelineId id, const plan::TopicPartition& topic_partition);
/// (topic id, topic, partition, from, until). The topic is there for topics whose id is unknown.
std::string loss(PipelineId id, const plan::Loss& loss);
std::string losses(PipelineId id, const plan::Loss& loss);  ///< prefix of those of the same partition of the same log

// control
std::string run_state(PipelineId id);        ///< 's'
std::string initial_offsets(PipelineId id);  ///< 'i'
std::string refused(PipelineId id, std::uint64_t batch_id);  ///< 'q'
std::string audits(PipelineId id);           ///< prefix 'a'
std::string audit(PipelineId id, std::uint64_t number);

/// What the key of a plan or commit, of a position, of an audit entry says; nullopt: not such a key.
std::optional<std::uint64_t> batch_of(std::string_view key);
std::optional<plan::TopicPartition> partition_of(std::string_view key);
std::optional<std::uint64_t> audit_number_of(std::string_view key);
/// The name in a pipeline_name key.
std::string_view name_of(std::string_view key);

}  // namespace keys
}  // namespace sluice::checkpoints
