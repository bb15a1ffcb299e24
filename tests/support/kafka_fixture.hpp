#pragma once
// A Kafka client for tests: creates topics and records, on the embedded broker or on a real one.
// Whatever fails throws std::runtime_error with the operation and librdkafka's text.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/plan/types.hpp"

namespace sluice::test {

using Properties = std::map<std::string, std::string>;

struct Record {
    std::int32_t partition = 0;
    std::optional<std::string> key;
    std::optional<std::string> value;  ///< nullopt = a tombstone
    std::vector<std::pair<std::string, std::optional<std::string>>> headers;
    std::int64_t timestamp_ms = 0;  ///< 0 = now
};
/// The i-th record, from 0.
using MakeRecord = std::function<Record(std::int64_t i)>;

struct Watermarks {
    std::int64_t low = 0;
    std::int64_t high = 0;
    bool operator==(const Watermarks&) const = default;
};

/// Who has a partition, as the cluster sees it now.
struct Leadership {
    int leader = -1;  ///< the broker's id; -1 while there is none
    int replicas = 0;
    int in_sync = 0;
};

/// One client of one cluster. Confined to one thread.
class Kafka {
 public:
    /// Waits up to 60 s until the cluster answers. `properties` are of the producer, which asks too.
    explicit Kafka(std::string bootstrap, const Properties& properties = {});
    ~Kafka();

    /// The real broker that ctest started ($SLUICE_TEST_KAFKA, else <build>/kafka/bootstrap).
    /// Throws, saying how to get one, when there is none: such a test fails, it is never skipped.
    static Kafka& real();

    [[nodiscard]] const std::string& bootstrap() const;

    /// `name` with a suffix that no other test and no other run has.
    static std::string unique(const std::string& name);

    /// Each waits until the cluster shows the effect.
    void create_topic(const std::string& topic, int partitions, const Properties& configs = {});
    /// One partition, on these brokers; the first is to lead it.
    void create_topic_on(const std::vector<std::int32_t>& brokers, const std::string& topic,
                         const Properties& configs = {});
    void delete_topic(const std::string& topic);
    void create_partitions(const std::string& topic, int total);
    /// Raises the low watermark to `before`.
    void delete_records(const std::string& topic, std::int32_t partition, std::int64_t before);

    /// Sends `count` records and waits until all are acknowledged. In order within a partition.
    void produce(const std::string& topic, std::int64_t count, const MakeRecord& make,
                 const Properties& properties = {});
    /// The same with value "0", "1", … to one partition.
    void produce_numbers(const std::string& topic, std::int32_t partition, std::int64_t count);

    /// Waits until every transaction in `topic` is decided, and its markers are in the log: they come a moment after the
    /// coordinator has answered.
    void await_decided(const std::string& topic, int partitions);

    [[nodiscard]] Leadership leadership(const std::string& topic, std::int32_t partition);
    [[nodiscard]] Watermarks watermarks(const std::string& topic, std::int32_t partition);

    /// As a member that is no part of the group any more, which is how admin tools do it.
    void commit_group_offsets(const std::string& group,
                              const std::map<plan::TopicPartition, std::int64_t>& offsets);
    /// -1 when the group has none for it.
    std::int64_t committed(const std::string& group, const plan::TopicPartition& partition);

 private:
    friend class Transaction;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// An open transaction of `kafka`, which outlives it; aborted when it was neither committed nor
/// aborted before it goes. Several may be open at once.
class Transaction {
 public:
    explicit Transaction(Kafka& kafka);
    ~Transaction();
    /// Waits until the records are in the log.
    void produce(const std::string& topic, std::int64_t count, const MakeRecord& make);
    void commit();
    void abort();

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Asks until `condition` holds; false when it did not within `limit`.
bool wait_until(const std::function<bool()>& condition,
                std::chrono::milliseconds limit = std::chrono::seconds{20});

}  // namespace sluice::test
