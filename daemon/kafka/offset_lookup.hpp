#pragma once
// ListOffsets: earliest, latest and offsets by time of many partitions at once.
// Included by daemon/kafka/*.cpp only.

#include <cstdint>
#include <map>

#include "daemon/base/clock.hpp"
#include "daemon/kafka/handles.hpp"
#include "daemon/plan/types.hpp"

namespace sluice::kafka {

struct OffsetAnswer {
    std::int64_t offset = -1;  ///< -1 without an error: no record is that young
    std::int32_t leader_epoch = -1;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
};

/// An answer, or the code why there is none. `_NOENT`: no partition has a leader, or none exists.
struct OffsetsAnswer {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    std::map<plan::TopicPartition, OffsetAnswer> partitions;
};

/// One request to each leader. The offset of each element of `list` (not empty) says what is asked
/// for: a time in ms, or -1 latest, -2 earliest; all for `isolation`.
///
/// Not by rd_kafka_offsets_for_times: there the error of one partition is the answer for all, so
/// that one that was deleted could not be told from all of them being gone; and a leader that has
/// moved is asked again and again while librdkafka's cache still has it.
OffsetsAnswer list_offsets(rd_kafka_t* client, const rd_kafka_topic_partition_list_t& list,
                           rd_kafka_IsolationLevel_t isolation, Milliseconds timeout);

/// The partition does not exist.
bool is_missing(rd_kafka_resp_err_t code) noexcept;

}  // namespace sluice::kafka
