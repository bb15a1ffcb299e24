#pragma once
// A simulated Kafka: topics that are deleted and created anew, partitions whose head expires, offsets
// without a record, and a Source over it that fails in every way a cluster does.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/pipeline/source.hpp"
#include "tests/simulation/world.hpp"

namespace sluice::simulation {

using plan::TopicPartition;

/// A partition of one topic id: another id is another log, under the same name.
struct LogName {
    TopicPartition topic_partition;
    std::string topic_id;
    auto operator<=>(const LogName&) const = default;
};
std::string to_string(const LogName& name);

/// 0 where an offset has no record (compacted, aborted, a control record); else what the record holds,
/// which no other record does.
using Value = std::uint64_t;

struct Log {
    std::vector<Value> values;  ///< by offset, from 0
    std::vector<std::int32_t> epochs;
    std::int64_t earliest = 0;
    std::int32_t epoch = 0;
    bool exists = true;  ///< false once its topic was deleted
    [[nodiscard]] std::int64_t latest() const { return static_cast<std::int64_t>(values.size()); }
};

/// Where a record is, by what it holds.
struct Place {
    LogName log;
    std::int64_t offset = 0;
};

struct Shape {
    int topics = 1;
    int partitions = 2;
    int records = 30;  ///< of a partition at the start, at most
    int gaps = 0;      ///< of 10,000
    bool silent_recreation = false;  ///< readers do not notice that a topic was created anew
    bool from_latest = false;        ///< startingOffsets
};

class Broker {
 public:
    Broker(World& world, const Shape& shape);

    /// The rest of the world moves, now and then.
    void move();
    /// Topics that are missing come back: without them there is nothing to catch up with.
    void restore();

    [[nodiscard]] const Log* find(const LogName& name) const;
    /// The log that has the name now; nullptr when the topic is deleted or has no such partition.
    [[nodiscard]] const Log* present(const TopicPartition& tp) const;
    [[nodiscard]] std::string present_id(const TopicPartition& tp) const;
    [[nodiscard]] std::vector<plan::PartitionFacts> facts() const;
    [[nodiscard]] const Place* place_of(Value value) const;
    [[nodiscard]] bool any_topic() const { return !topic_ids_.empty(); }
    [[nodiscard]] const Shape& shape() const { return shape_; }
    /// What facts() answered last: decisions are judged by what was known.
    std::vector<plan::PartitionFacts> answered;

 private:
    void create(const std::string& topic);
    void append(const LogName& name, std::int64_t count);
    Log& at(const LogName& name) { return logs_.at(name); }
    [[nodiscard]] std::vector<LogName> present_logs() const;

    World& world_;
    const Shape shape_;
    std::map<LogName, Log> logs_;  ///< all there ever were
    std::map<std::string, std::string> topic_ids_;  ///< of those that exist
    std::vector<std::string> deleted_;
    std::vector<Place> places_;  ///< by value, from 1
    int ids_ = 0;
};

std::unique_ptr<pipeline::Source> make_source(World& world, Broker& broker);

}  // namespace sluice::simulation
