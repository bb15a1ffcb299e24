#pragma once
// A Kafka and a sink in memory, which do what they are told and remember what was asked of them.

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "daemon/pipeline/dead_letters.hpp"
#include "daemon/pipeline/source.hpp"
#include "daemon/sink/plugin.hpp"

namespace sluice::pipeline::testing {

using plan::TopicPartition;

inline const TopicPartition orders0{"orders", 0};

/// The machine's time, moved on by leaps.
class LeapingClock final : public Clock {
 public:
    WallTime wall() const override { return system_clock().wall() + Milliseconds{ahead_ms_.load()}; }
    SteadyTime steady() const override { return system_clock().steady() + Milliseconds{ahead_ms_.load()}; }
    void leap(Milliseconds time) { ahead_ms_ += time.count(); }

 private:
    std::atomic<std::int64_t> ahead_ms_{0};
};

/// Partitions with offsets; a record at each but those in `invisible`.
struct FakeKafka {
    std::map<TopicPartition, plan::PartitionFacts> partitions;
    std::set<std::pair<TopicPartition, std::int64_t>> invisible;
    std::function<Result<void>(const plan::PlannedRange&)> before_read;
    std::function<void(kafka::RangeCounts&)> amend_counts;  ///< what a reader says of a range instead of the truth
    std::function<Result<void>()> before_facts;
    std::function<Result<void>()> before_ids;  ///< asked before the sink commits
    /// What a look-up says instead of the truth, given the positions it may not be below.
    std::function<void(std::vector<plan::PartitionFacts>&, const std::map<TopicPartition, plan::Position>&)>
        amend_facts;
    std::mutex mutex;
    std::map<std::string, std::map<TopicPartition, std::int64_t>> groups;
    std::function<Result<void>()> before_export;
    std::size_t chunk_records = 1;  ///< handed over together
    bool tells_epochs = false;
    std::map<TopicPartition, std::int64_t> truncated_at;  ///< under the epochs before the present one

    void set(const std::string& topic, std::int32_t partition, std::int64_t earliest,
             std::int64_t latest, const std::string& id = "id-1") {
        const TopicPartition tp{topic, partition};
        partitions[tp] = {tp, earliest, latest, id, 0};
    }
};

class FakeSource final : public Source {
 public:
    explicit FakeSource(FakeKafka& kafka) : kafka_(kafka) {}

    Result<std::string> cluster_id() override { return std::string("cluster-1"); }
    bool covers(const TopicPartition&) const override { return true; }

    Result<std::vector<plan::PartitionFacts>> facts(
        const std::map<TopicPartition, plan::Position>& known, const std::stop_token&) override {
        if (kafka_.before_facts) SLUICE_CHECK(kafka_.before_facts());
        std::vector<plan::PartitionFacts> facts;
        for (const auto& [tp, fact] : kafka_.partitions) facts.push_back(fact);
        if (kafka_.amend_facts) kafka_.amend_facts(facts, known);
        return facts;
    }

    Result<std::map<TopicPartition, std::int64_t>> truncations(
        const std::map<TopicPartition, plan::Position>& positions, const std::stop_token&) override {
        std::map<TopicPartition, std::int64_t> found;
        for (const auto& [tp, position] : positions) {
            if (is_cut_below(tp, position.offset, position.leader_epoch)) found[tp] = kafka_.truncated_at.at(tp);
        }
        return found;
    }

    Result<std::map<std::string, std::string>> topic_ids(const std::set<std::string>& topics) override {
        if (kafka_.before_ids) SLUICE_CHECK(kafka_.before_ids());
        std::map<std::string, std::string> ids;
        for (const auto& [tp, fact] : kafka_.partitions) {
            if (topics.contains(tp.topic)) ids[tp.topic] = fact.topic_id;
        }
        return ids;
    }

    Result<InitialOffsets> initial_offsets(std::span<const plan::PartitionFacts> facts) override {
        InitialOffsets initial;
        for (const auto& fact : facts) {
            initial.positions[fact.topic_partition] = {fact.earliest, -1, fact.topic_id, -1};
        }
        initial.json = "{}";
        return initial;
    }

    Result<kafka::RangeCounts> read(const plan::PlannedRange& range, bool,
                                    const kafka::RecordHandler& handler,
                                    const std::stop_token&) override {
        const TopicPartition& tp = range.range.topic_partition;
        kafka::RangeCounts counts;
        {
            const std::lock_guard lock(kafka_.mutex);  // a hook may take partitions away under other readers
            if (kafka_.before_read) SLUICE_CHECK(kafka_.before_read(range));
            const auto found = kafka_.partitions.find(tp);
            if (found == kafka_.partitions.end() || range.range.from < found->second.earliest ||
                range.range.until > found->second.latest ||
                is_cut_below(tp, range.range.from, range.leader_epoch)) {
                return Error{ErrorCode::out_of_range, plan::to_string(tp) + ": out of range"};
            }
            if (kafka_.tells_epochs) counts.last_leader_epoch = found->second.leader_epoch;
        }
        std::vector<sluice_record> chunk;
        for (std::int64_t offset = range.range.from; offset < range.range.until; ++offset) {
            if (kafka_.invisible.contains({tp, offset})) {
                ++counts.gaps;
                continue;
            }
            sluice_record record{};
            record.topic = {tp.topic.data(), tp.topic.size()};
            record.partition = tp.partition;
            record.offset = offset;
            chunk.push_back(record);
            if (chunk.size() >= kafka_.chunk_records) {
                SLUICE_CHECK(handler(chunk));
                chunk.clear();
            }
            counts.last_offset = offset;
            counts.last_timestamp_ms = 1000 + offset;
            ++counts.polled;
        }
        if (!chunk.empty()) SLUICE_CHECK(handler(chunk));
        if (kafka_.amend_counts) kafka_.amend_counts(counts);
        return counts;
    }

    Result<void> export_positions(const std::string& group,
                                  const std::map<TopicPartition, plan::Position>& positions) override {
        if (kafka_.before_export) SLUICE_CHECK(kafka_.before_export());
        for (const auto& [tp, position] : positions) kafka_.groups[group][tp] = position.offset;
        return {};
    }

    void release() override {}

 private:
    bool is_cut_below(const TopicPartition& tp, std::int64_t offset, std::int32_t epoch) const {
        const auto cut = kafka_.truncated_at.find(tp);
        return cut != kafka_.truncated_at.end() && cut->second < offset && epoch >= 0 &&
               epoch < kafka_.partitions.at(tp).leader_epoch;
    }

    FakeKafka& kafka_;
};

/// What a sink was given, and how it shall answer. Survives the sink, as a target does.
struct FakeTarget {
    using Records = std::multiset<std::pair<TopicPartition, std::int64_t>>;
    Records visible;
    std::map<std::uint64_t, Records> committed;
    Records staged;
    std::vector<std::string> calls;
    std::function<sink::Reply(const std::string& call)> answer;  ///< asked first at every call
    std::function<sink::WriteReply(const sluice_record&)> write;
    std::atomic<const std::atomic<bool>*> stopping{nullptr};  ///< what the last sink opened was given; its pipeline's
    std::set<std::int64_t> bad;  ///< offsets that are refused, as `refusal` says
    std::int32_t refusal = SLUICE_REJECT_WHICH;
    std::string refused_late;  ///< "close_writer" or "commit": they are taken first, and refused there
    std::mutex mutex;

    /// What a call answers that may refuse what was taken before (all of it is of the first range).
    sink::Reply ask_late(const std::string& call) {
        sink::Reply reply = ask(call);
        if (refused_late.empty() || !call.starts_with(refused_late)) return reply;
        const std::lock_guard lock(mutex);
        for (const auto& [tp, offset] : staged) {
            if (!bad.contains(offset)) continue;
            reply.status = sink::Status::reject;
            reply.message = "came late";
            reply.refused.push_back({0, offset, "not a number"});
        }
        return reply;
    }

    sink::Reply ask(const std::string& call) {
        const std::lock_guard lock(mutex);
        calls.push_back(call);
        return answer ? answer(call) : sink::Reply{};
    }
};

class FakeSink final : public sink::Sink {
 public:
    explicit FakeSink(FakeTarget& target) : target_(target) {}

    sink::Reply begin(const sink::Batch& batch) override {
        sink::Reply reply = target_.ask("begin " + std::to_string(batch.id) + (batch.is_rerun ? " again" : ""));
        target_.staged.clear();
        if (reply.status == sink::Status::ok && target_.committed.contains(batch.id)) {
            return {sink::Status::already_committed, "", "receipt " + std::to_string(batch.id)};
        }
        return reply;
    }
    sink::WriterReply open_writer(const sink::Range&) override {
        return {target_.ask("open_writer"), std::make_unique<FakeWriter>(target_)};
    }
    sink::Reply commit(std::uint64_t id) override {
        sink::Reply reply = target_.ask_late("commit " + std::to_string(id));
        if (reply.status != sink::Status::ok) return reply;
        target_.committed[id] = target_.staged;
        target_.visible.insert(target_.staged.begin(), target_.staged.end());
        reply.receipt = "receipt " + std::to_string(id);
        return reply;
    }
    sink::Reply abort(std::uint64_t id) override {
        target_.staged.clear();
        return target_.ask("abort " + std::to_string(id));
    }

 private:
    class FakeWriter final : public sink::Writer {
     public:
        explicit FakeWriter(FakeTarget& target) : target_(target) {}
        sink::WriteReply write(std::span<const sluice_record> records) override {
            const sink::WriteReply refused = refuse(records);
            if (refused.status != sink::Status::ok && refused.reject_kind != SLUICE_REJECT_WHICH) {
                return refused;
            }
            for (const sluice_record& record : records) {
                if (target_.refused_late.empty() && target_.bad.contains(record.offset)) continue;
                if (target_.write) {
                    sink::WriteReply reply = target_.write(record);
                    if (reply.status != sink::Status::ok) return reply;
                }
                const std::lock_guard lock(target_.mutex);
                target_.staged.insert({{{record.topic.data, record.topic.size}, record.partition},
                                       record.offset});
            }
            return refused;
        }
        sink::Reply close(bool keep) override {
            return keep ? target_.ask_late("close_writer") : target_.ask("close_writer");
        }

     private:
        [[nodiscard]] sink::WriteReply refuse(std::span<const sluice_record> records) const {
            sink::WriteReply reply;
            if (!target_.refused_late.empty()) return reply;
            for (std::size_t i = 0; i < records.size(); ++i) {
                if (!target_.bad.contains(records[i].offset)) continue;
                reply.status = sink::Status::reject;
                reply.reject_kind = target_.refusal;
                if (target_.refusal != SLUICE_REJECT_ALL) reply.rejects.push_back({i, "not a number"});
            }
            return reply;
        }
        FakeTarget& target_;
    };
    FakeTarget& target_;
};

/// What dead letters there are; survives its pipeline.
struct FakeLetters {
    std::map<std::uint64_t, std::multiset<std::int64_t>> settled;  ///< offsets by batch
    std::multiset<std::int64_t> written;                           ///< since begin()
    std::vector<std::string> reasons;
    std::uint64_t batch = 0;
    std::function<Result<void>()> on_settle;
    std::mutex mutex;
};

class FakeDeadLetters final : public DeadLetters {
 public:
    explicit FakeDeadLetters(FakeLetters& letters) : letters_(letters) {}
    Result<void> begin(std::uint64_t batch_id) override {
        letters_.batch = batch_id;
        letters_.written.clear();
        return {};
    }
    Result<void> add(const sluice_record& record, sluice_headers, const std::string& reason,
                     const std::stop_token&) override {
        const std::lock_guard lock(letters_.mutex);
        letters_.written.insert(record.offset);
        letters_.reasons.push_back(reason);
        return {};
    }
    Result<void> settle(const std::stop_token&) override {
        if (letters_.on_settle) SLUICE_CHECK(letters_.on_settle());
        if (!letters_.written.empty()) letters_.settled[letters_.batch] = letters_.written;
        return {};
    }

 private:
    FakeLetters& letters_;
};

class FakePlugin final : public sink::Plugin {
 public:
    explicit FakePlugin(FakeTarget& target) : target_(target) {}
    const std::string& name() const override { return name_; }
    const std::string& version() const override { return name_; }
    const std::string& sentence() const override { return name_; }
    sink::Guarantee guarantee() const override { return sink::Guarantee::exactly_once; }
    bool ordered() const override { return false; }
    const std::vector<sink::Option>& options() const override { return options_; }
    const std::filesystem::path& file() const override { return file_; }
    Result<void> check(const std::string&, const sink::Settings&) const override { return {}; }
    sink::OpenReply open(const sink::SinkContext& context, const sink::Settings&,
                         const std::atomic<bool>& stopping) const override {
        target_.stopping = &stopping;
        sink::Reply reply = target_.ask("open " + context.receipt.value_or("without receipt"));
        if (reply.status != sink::Status::ok) return {reply, nullptr};
        return {reply, std::make_unique<FakeSink>(target_)};
    }

 private:
    FakeTarget& target_;
    const std::string name_ = "fake";
    const std::vector<sink::Option> options_;
    const std::filesystem::path file_;
};

}  // namespace sluice::pipeline::testing
