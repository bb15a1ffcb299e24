#include "tests/simulation/broker.hpp"

#include <algorithm>

namespace sluice::simulation {

std::string to_string(const LogName& name) {
    return plan::to_string(name.topic_partition) + "(" + name.topic_id + ")";
}

Broker::Broker(World& world, const Shape& shape) : world_(world), shape_(shape) {
    for (int i = 0; i < shape_.topics; ++i) create("t" + std::to_string(i));
    // Some partitions have lost their head before anybody looked.
    for (const LogName& name : present_logs()) {
        if (world_.random.chance(3000)) at(name).earliest = world_.random.between(0, at(name).latest());
    }
}

void Broker::create(const std::string& topic) {
    const std::string id = "id" + std::to_string(++ids_);
    topic_ids_[topic] = id;
    const auto partitions = 1 + world_.random.below(static_cast<std::uint64_t>(shape_.partitions));
    for (std::size_t p = 0; p < partitions; ++p) {
        const LogName name{{topic, static_cast<std::int32_t>(p)}, id};
        logs_[name].epoch = static_cast<std::int32_t>(world_.random.below(3));
        append(name, world_.random.between(0, shape_.records));
    }
}

void Broker::append(const LogName& name, std::int64_t count) {
    Log& log = at(name);
    for (std::int64_t i = 0; i < count; ++i) {
        Value value = 0;
        if (!world_.random.chance(shape_.gaps)) {
            places_.push_back({name, log.latest()});
            value = places_.size();
        }
        log.values.push_back(value);
        log.epochs.push_back(log.epoch);
    }
}

std::vector<LogName> Broker::present_logs() const {
    std::vector<LogName> names;
    for (const auto& [name, log] : logs_) {
        if (log.exists) names.push_back(name);
    }
    return names;
}

void Broker::move() {
    const Faults& faults = world_.faults;
    if (world_.random.chance(faults.produce)) {
        if (const auto names = present_logs(); !names.empty()) {
            const LogName& name = world_.random.pick(names);
            append(name, world_.random.between(1, 12));
            world_.note("produced: " + to_string(name) + " ends at " + std::to_string(at(name).latest()));
        }
    }
    if (world_.random.chance(faults.retention)) {
        if (const auto names = present_logs(); !names.empty()) {
            const LogName& name = world_.random.pick(names);
            Log& log = at(name);
            log.earliest = world_.random.between(log.earliest, log.latest());
            world_.note("retention: " + to_string(name) + " begins at " + std::to_string(log.earliest));
        }
    }
    if (world_.random.chance(faults.new_leader)) {
        if (const auto names = present_logs(); !names.empty()) {
            const LogName& name = world_.random.pick(names);
            ++at(name).epoch;
            world_.note("new leader: " + to_string(name) + " epoch " + std::to_string(at(name).epoch));
        }
    }
    if (world_.random.chance(faults.new_partition) && !topic_ids_.empty()) {
        auto topic = topic_ids_.begin();
        std::advance(topic, static_cast<std::ptrdiff_t>(world_.random.below(topic_ids_.size())));
        LogName name{{topic->first, 0}, topic->second};
        while (logs_.contains(name)) ++name.topic_partition.partition;
        if (name.topic_partition.partition < 5) {
            logs_[name];
            append(name, world_.random.between(0, 8));
            if (world_.random.chance(2000)) at(name).earliest = world_.random.between(0, at(name).latest());
            world_.note("new partition: " + to_string(name) + " [" + std::to_string(at(name).earliest) +
                        ", " + std::to_string(at(name).latest()) + ")");
        }
    }
    if (world_.random.chance(faults.recreate)) {
        if (!deleted_.empty() && world_.random.coin()) {
            restore();
        } else if (!topic_ids_.empty()) {
            auto topic = topic_ids_.begin();
            std::advance(topic, static_cast<std::ptrdiff_t>(world_.random.below(topic_ids_.size())));
            const std::string name = topic->first;
            for (auto& [log_name, log] : logs_) {
                if (log_name.topic_id == topic->second) log.exists = false;
            }
            topic_ids_.erase(topic);
            if (world_.random.coin()) {
                create(name);
                world_.note("created anew: " + name + " is " + topic_ids_.at(name));
            } else {
                deleted_.push_back(name);
                world_.note("deleted: " + name);
            }
        }
    }
}

void Broker::restore() {
    for (const std::string& name : deleted_) {
        create(name);
        world_.note("created anew: " + name + " is " + topic_ids_.at(name));
    }
    deleted_.clear();
}

const Log* Broker::find(const LogName& name) const {
    const auto found = logs_.find(name);
    return found == logs_.end() ? nullptr : &found->second;
}

const Log* Broker::present(const TopicPartition& tp) const {
    const auto id = topic_ids_.find(tp.topic);
    return id == topic_ids_.end() ? nullptr : find({tp, id->second});
}

std::string Broker::present_id(const TopicPartition& tp) const {
    const auto id = topic_ids_.find(tp.topic);
    return id == topic_ids_.end() ? std::string() : id->second;
}

std::vector<plan::PartitionFacts> Broker::facts() const {
    std::vector<plan::PartitionFacts> facts;
    for (const auto& [name, log] : logs_) {
        if (!log.exists) continue;
        facts.push_back({name.topic_partition, log.earliest, log.latest(), name.topic_id, log.epoch});
    }
    return facts;
}

const Place* Broker::place_of(Value value) const {
    return value == 0 || value > places_.size() ? nullptr : &places_[value - 1];
}

// ---- the Source --------------------------------------------------------------------------------------

namespace {

class SimulatedSource final : public pipeline::Source {
 public:
    SimulatedSource(World& world, Broker& broker) : world_(world), broker_(broker) {}

    Result<std::string> cluster_id() override {
        SLUICE_CHECK(look_up("cluster id"));
        return std::string("cluster-1");
    }

    bool covers(const TopicPartition&) const override { return true; }

    Result<std::vector<plan::PartitionFacts>> facts(
        const std::map<TopicPartition, plan::Position>& known, const std::stop_token& stop) override {
        SLUICE_CHECK(look_up("facts"));
        if (stop.stop_requested()) return Error{ErrorCode::stopping, "stopped"};
        auto facts = broker_.facts();
        for (auto& fact : facts) {
            if (!world_.fault(world_.faults.stale_end)) continue;
            // An end below a position is asked for again by the real look-up; one above it is not.
            const auto position = known.find(fact.topic_partition);
            std::int64_t low = fact.earliest;
            if (position != known.end() && position->second.topic_id == fact.topic_id) {
                low = std::max(low, position->second.offset);
            }
            if (low < fact.latest) fact.latest = world_.random.between(low, fact.latest);
        }
        broker_.answered = facts;
        std::string text = "facts:";
        for (const auto& fact : facts) {
            text += " " + plan::to_string(fact.topic_partition) + "(" + fact.topic_id + ")[" +
                    std::to_string(fact.earliest) + "," + std::to_string(fact.latest) + ")";
        }
        world_.effect(text);
        return facts;
    }

    Result<std::map<std::string, std::string>> topic_ids(const std::set<std::string>& topics) override {
        SLUICE_CHECK(look_up("topic ids"));
        std::map<std::string, std::string> ids;
        std::string text = "topic ids:";
        for (const std::string& topic : topics) {
            const std::string id = broker_.present_id({topic, 0});
            if (id.empty()) continue;
            ids[topic] = id;
            text += " " + topic + " is " + id;
        }
        world_.effect(text);
        return ids;
    }

    Result<pipeline::InitialOffsets> initial_offsets(
        std::span<const plan::PartitionFacts> facts) override {
        SLUICE_CHECK(look_up("initial offsets"));
        pipeline::InitialOffsets initial;
        for (const auto& fact : facts) {
            initial.positions[fact.topic_partition] = {
                broker_.shape().from_latest ? fact.latest : fact.earliest, -1, fact.topic_id, -1};
        }
        initial.json = "{}";
        return initial;
    }

    Result<kafka::RangeCounts> read(const plan::PlannedRange& range, bool,
                                    const kafka::RecordHandler& handler,
                                    const std::stop_token& stop) override {
        const plan::OffsetRange& offsets = range.range;
        const TopicPartition& tp = offsets.topic_partition;
        const std::string name = plan::to_string(tp) + "(" + range.topic_id + ")";
        world_.effect("read " + name + " [" + std::to_string(offsets.from) + ", " +
                      std::to_string(offsets.until) + ")");
        kafka::RangeCounts counts;
        std::int64_t next = offsets.from;
        while (next < offsets.until) {
            if (stop.stop_requested()) return Error{ErrorCode::stopping, name + ": stopped"};
            if (world_.fault(world_.faults.read)) {
                if (world_.random.coin()) world_.clock.advance(Milliseconds{120'000});
                world_.note("read fails");
                return Error{ErrorCode::unavailable, name + ": nothing arrived", true};
            }
            const Log* log = broker_.present(tp);
            const bool other = log != nullptr && broker_.present_id(tp) != range.topic_id;
            if (log == nullptr || (other && !broker_.shape().silent_recreation) ||
                next < log->earliest || offsets.until > log->latest() ||
                world_.fault(world_.faults.false_range)) {
                world_.note("out of range");
                return Error{ErrorCode::out_of_range, name + ": out of range at " + std::to_string(next)};
            }
            SLUICE_CHECK(deliver(*log, tp, offsets.until, next, counts, handler));
            world_.effect("read up to " + std::to_string(next));
        }
        return counts;
    }

    Result<void> export_positions(const std::string&,
                                  const std::map<TopicPartition, plan::Position>&) override {
        return look_up("to export positions");
    }

    void release() override { world_.effect("source released"); }

 private:
    Result<void> look_up(const std::string& what) {
        world_.effect("look up " + what);
        if (!world_.fault(world_.faults.look_up)) return {};
        world_.clock.advance(Milliseconds{world_.random.between(0, 10'000)});
        world_.note("fails");
        return Error{ErrorCode::unavailable, "broker is down", true};
    }

    /// One chunk, of up to eight offsets.
    Result<void> deliver(const Log& log, const TopicPartition& tp, std::int64_t until, std::int64_t& next,
                         kafka::RangeCounts& counts, const kafka::RecordHandler& handler) {
        const std::int64_t end = std::min(until, next + world_.random.between(1, 8));
        std::vector<std::string> texts;
        std::vector<sluice_record> records;
        for (std::int64_t offset = next; offset < end; ++offset) {
            const Value value = log.values[static_cast<std::size_t>(offset)];
            if (value == 0) {
                ++counts.gaps;
                continue;
            }
            texts.push_back(std::to_string(value));
            sluice_record record{};
            record.topic = {tp.topic.data(), tp.topic.size()};
            record.partition = tp.partition;
            record.offset = offset;
            record.timestamp_ms = 1'000 + offset;
            records.push_back(record);
            counts.last_leader_epoch = log.epochs[static_cast<std::size_t>(offset)];
            counts.last_offset = offset;
            counts.last_timestamp_ms = record.timestamp_ms;
        }
        for (std::size_t i = 0; i < records.size(); ++i) {
            records[i].value = {reinterpret_cast<const std::uint8_t*>(texts[i].data()), texts[i].size()};
            counts.bytes += texts[i].size();
        }
        counts.polled += records.size();
        next = end;
        if (records.empty()) return {};
        return handler(records);
    }

    World& world_;
    Broker& broker_;
};

}  // namespace

std::unique_ptr<pipeline::Source> make_source(World& world, Broker& broker) {
    return std::make_unique<SimulatedSource>(world, broker);
}

}  // namespace sluice::simulation
