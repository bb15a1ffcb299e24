#pragma once
// Writes records to one topic: dead letters. Not on the path of ordinary records.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/kafka/cluster.hpp"

namespace sluice::kafka {

struct ProducedHeader {
    std::string_view name;
    std::optional<std::string_view> value;  ///< nullopt: Kafka's null
};

struct ProducedRecord {
    std::optional<std::string_view> key;    ///< nullopt: Kafka's null
    std::optional<std::string_view> value;
    std::int64_t timestamp_ms = -1;         ///< -1: now
    std::span<const ProducedHeader> headers;
};

/// What a producer may hold of records that nobody has acknowledged, those that are sent once more included; in bytes.
struct ProducerMemory {
    std::uint64_t max = 16ULL << 20;             ///< one record is taken all the same, however large
    std::atomic<std::uint64_t>* held = nullptr;  ///< where it says how much it holds; outlives it
};

/// An idempotent producer (acks=all) to one topic, over the pipeline's own `kafka.*` connection
/// settings. Confined to one thread at a time.
///
/// A record whose timestamp the topic refuses (message.timestamp.after.max.ms and the like) is sent once
/// more under the current time, its own in the header `sluice.errors.timestamp`, behind the others.
class Producer {
 public:
    virtual ~Producer() = default;

    /// Hands a record over; copies it. Waits while it holds too much, until `stop`.
    /// Errors: `stopping`; what the broker said of an earlier record since the last flush(); `fatal`
    /// for a record that is too large, with the setting or the command that raises the limit.
    virtual Result<void> produce(const ProducedRecord& record, const std::stop_token& stop) = 0;

    /// Waits until every record handed over is acknowledged by all in-sync replicas. Errors: the first
    /// failure since the last flush(); `unavailable` (retriable) after `timeout`.
    virtual Result<void> flush(Milliseconds timeout, const std::stop_token& stop) = 0;
};

/// Creates the client, and the topic when it does not exist (one partition, the broker's own
/// replication factor, as Kafka Connect does for its dead letter queue; records as large as a broker
/// takes in one request, where the cluster allows that). Errors: `unavailable`; `denied` for a login
/// that is refused, and for a missing ACL, which it names.
Result<std::unique_ptr<Producer>> open_producer(const ClientSettings& settings, const std::string& topic,
                                                const ProducerMemory& memory, Milliseconds timeout);

}  // namespace sluice::kafka
