#include "daemon/kafka/offset_lookup.hpp"

#include <array>

namespace sluice::kafka {

OffsetsAnswer list_offsets(rd_kafka_t* client, const rd_kafka_topic_partition_list_t& list,
                           rd_kafka_IsolationLevel_t isolation, Milliseconds timeout) {
    const int timeout_ms = static_cast<int>(timeout.count());
    const AdminOptions options{rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_LISTOFFSETS)};
    std::array<char, 256> text{};
    const auto set = rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms,
                                                               text.data(), text.size());
    if (set != RD_KAFKA_RESP_ERR_NO_ERROR) return {set, {}};
    if (const ErrorHandle error{
            rd_kafka_AdminOptions_set_isolation_level(options.get(), isolation)}) {
        return {rd_kafka_error_code(error.get()), {}};
    }

    const Queue queue{rd_kafka_queue_new(client)};
    const PartitionList copy{rd_kafka_topic_partition_list_copy(&list)};
    rd_kafka_ListOffsets(client, copy.get(), options.get(), queue.get());
    // The request's own timeout ends it; the allowance is for its event to travel.
    const Event event{rd_kafka_queue_poll(queue.get(), timeout_ms + 100)};
    if (!event) return {RD_KAFKA_RESP_ERR__TIMED_OUT, {}};
    if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return {code, {}};
    }
    const auto* const result = rd_kafka_event_ListOffsets_result(event.get());
    if (result == nullptr) return {RD_KAFKA_RESP_ERR__FAIL, {}};

    OffsetsAnswer answer;
    std::size_t count = 0;
    const auto* const infos = rd_kafka_ListOffsets_result_infos(result, &count);
    for (std::size_t i = 0; i < count; ++i) {
        const rd_kafka_topic_partition_t& partition =
            *rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        OffsetAnswer& entry = answer.partitions[{partition.topic, partition.partition}];
        entry = {partition.offset, rd_kafka_topic_partition_get_leader_epoch(&partition),
                 partition.err};
        // What a broker that went away left unanswered has neither an offset nor an error.
        if (entry.error == RD_KAFKA_RESP_ERR_NO_ERROR && entry.offset == RD_KAFKA_OFFSET_INVALID) {
            entry.error = RD_KAFKA_RESP_ERR__TRANSPORT;
        }
    }
    return answer;
}

bool is_missing(rd_kafka_resp_err_t code) noexcept {
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

}  // namespace sluice::kafka
