#pragma once
// Messages of librdkafka as records of the plugin ABI, without copying a byte of them.
// Included by daemon/kafka/*.cpp only.

#include <cstdint>
#include <span>
#include <vector>

#include "daemon/base/assert.hpp"
#include "daemon/kafka/handles.hpp"
#include "daemon/kafka/header_arena.hpp"
#include "daemon/sink/record.hpp"
#include "sluice/sink.h"

namespace sluice::kafka {

/// Records and the messages they point into; reused from chunk to chunk, so that the hot path
/// allocates nothing once it is warm, for records with headers nothing but librdkafka's own list of them.
/// Confined to one thread.
class Chunk {
 public:
    explicit Chunk(std::size_t records_max);
    Chunk(const Chunk&) = delete;
    Chunk& operator=(const Chunk&) = delete;

    void add(Message message, sluice_string topic);
    /// Spans from records() end here. The messages go to the end of `spent`.
    void clear(std::vector<Message>& spent);

    [[nodiscard]] bool empty() const { return records_.empty(); }
    [[nodiscard]] std::size_t size() const { return records_.size(); }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
    [[nodiscard]] std::span<const sluice_record> records() const { return records_; }
    /// Of the first and the last record; -1 when unknown.
    [[nodiscard]] std::int32_t first_leader_epoch() const;
    [[nodiscard]] std::int32_t last_leader_epoch() const;

 private:
    /// What a record's `handle` points to: headers are parsed when a sink asks for them.
    struct Handle : sink::RecordHandle {
        Handle(Chunk& owner, rd_kafka_message_t* message);
        Chunk* chunk;
        rd_kafka_message_t* source;
    };
    static sluice_headers parse_headers(const sink::RecordHandle* handle) noexcept;

    std::vector<Message> messages_;
    std::vector<sluice_record> records_;
    std::vector<Handle> handles_;  ///< never grows beyond what was reserved: records point into it
    HeaderArena headers_;  ///< of the records that were asked for theirs
    std::uint64_t bytes_ = 0;
};

}  // namespace sluice::kafka
