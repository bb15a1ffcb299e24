#include "daemon/kafka/chunk.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace sluice::kafka {

Chunk::Handle::Handle(Chunk& owner, rd_kafka_message_t* message) : chunk(&owner), source(message) {
    headers = &Chunk::parse_headers;
}

Chunk::Chunk(std::size_t records_max) {
    messages_.reserve(records_max);
    records_.reserve(records_max);
    handles_.reserve(records_max);
}

void Chunk::add(Message message, sluice_string topic) {
    SLUICE_ASSERT(handles_.size() < handles_.capacity());
    rd_kafka_message_t* const m = message.get();
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    const std::int64_t timestamp = rd_kafka_message_timestamp(m, &type);
    handles_.emplace_back(*this, m);
    sluice_record record{};
    record.key = {static_cast<const std::uint8_t*>(m->key), m->key_len};
    record.value = {static_cast<const std::uint8_t*>(m->payload), m->len};
    record.topic = topic;
    record.offset = m->offset;
    record.timestamp_ms = timestamp;
    record.partition = m->partition;
    record.timestamp_type = type == RD_KAFKA_TIMESTAMP_CREATE_TIME ? SLUICE_TIMESTAMP_CREATE
                            : type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME
                                ? SLUICE_TIMESTAMP_LOG_APPEND
                                : SLUICE_TIMESTAMP_NONE;
    record.handle = static_cast<const sink::RecordHandle*>(&handles_.back());
    records_.push_back(record);
    messages_.push_back(std::move(message));
    bytes_ += m->key_len + m->len;
}

void Chunk::clear(std::vector<Message>& spent) {
    records_.clear();
    handles_.clear();
    headers_.clear();
    std::move(messages_.begin(), messages_.end(), std::back_inserter(spent));
    messages_.clear();
    bytes_ = 0;
}

std::int32_t Chunk::first_leader_epoch() const {
    return messages_.empty() ? -1 : rd_kafka_message_leader_epoch(messages_.front().get());
}

std::int32_t Chunk::last_leader_epoch() const {
    return messages_.empty() ? -1 : rd_kafka_message_leader_epoch(messages_.back().get());
}

sluice_headers Chunk::parse_headers(const sink::RecordHandle* handle) noexcept {
    const auto& self = *static_cast<const Handle*>(handle);
    rd_kafka_headers_t* list = nullptr;
    if (rd_kafka_message_headers(self.source, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) return {};
    const std::size_t count = rd_kafka_header_cnt(list);
    sluice_header* const parsed = self.chunk->headers_.take(count);
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const auto code = rd_kafka_header_get_all(list, i, &name, &value, &size);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return {parsed, i};
        parsed[i] = {{name, std::strlen(name)}, {static_cast<const std::uint8_t*>(value), size}};
    }
    return {parsed, count};
}

}  // namespace sluice::kafka
