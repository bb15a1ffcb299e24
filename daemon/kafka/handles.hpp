#pragma once
// Owners for librdkafka's handles. Included by daemon/kafka/*.cpp only.

#include <librdkafka/rdkafka.h>

#include <memory>
#include <string_view>

#include "daemon/base/error.hpp"

namespace sluice::kafka {

template <auto Destroy>
struct Deleter {
    template <class T>
    void operator()(T* handle) const noexcept {
        Destroy(handle);
    }
};

using Conf = std::unique_ptr<rd_kafka_conf_t, Deleter<rd_kafka_conf_destroy>>;
using Client = std::unique_ptr<rd_kafka_t, Deleter<rd_kafka_destroy>>;
using Topic = std::unique_ptr<rd_kafka_topic_t, Deleter<rd_kafka_topic_destroy>>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Deleter<rd_kafka_queue_destroy>>;
using Message = std::unique_ptr<rd_kafka_message_t, Deleter<rd_kafka_message_destroy>>;
using PartitionList = std::unique_ptr<rd_kafka_topic_partition_list_t,
                                      Deleter<rd_kafka_topic_partition_list_destroy>>;
using Event = std::unique_ptr<rd_kafka_event_t, Deleter<rd_kafka_event_destroy>>;
using ErrorHandle = std::unique_ptr<rd_kafka_error_t, Deleter<rd_kafka_error_destroy>>;
using AdminOptions = std::unique_ptr<rd_kafka_AdminOptions_t, Deleter<rd_kafka_AdminOptions_destroy>>;

/// Who was refused, and what: for the remedy. Empty where it isn't known.
struct Refused {
    std::string_view principal = {};  ///< ClientSettings.principal
    std::string_view topic = {};
    std::string_view group = {};
    /// As kafka-acls.sh has it; empty: Read of a topic, Describe of a group or of the cluster.
    std::string_view operation = {};
};

/// An error of librdkafka as ours: "context: Broker: Unknown topic (UNKNOWN_TOPIC_OR_PART)". Whether to
/// retry comes from one table (error.cpp). What is refused (`denied`) is worth a retry with a new client
/// and fresh credentials: an operator puts it right meanwhile, with the command in the text. Secrets in
/// `detail` are blotted out.
Error to_error(std::string_view context, rd_kafka_resp_err_t code, std::string_view detail = {},
               const Refused& refused = {});

}  // namespace sluice::kafka
