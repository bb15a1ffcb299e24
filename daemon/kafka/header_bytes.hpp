#pragma once
// Included by daemon/kafka/*.cpp only.

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <cstring>

namespace sluice::kafka {

/// Names and values of a message's headers together; librdkafka counts them nowhere. Parses them, once for each message.
inline std::uint64_t header_bytes_of(const rd_kafka_message_t& message) {
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return 0;
    std::uint64_t bytes = 0;
    const std::size_t count = rd_kafka_header_cnt(headers);
    for (std::size_t i = 0; i < count; ++i) {
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR) break;
        bytes += std::strlen(name) + size;
    }
    return bytes;
}

}  // namespace sluice::kafka
