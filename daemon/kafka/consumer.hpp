#pragma once
// One librdkafka consumer, assigned to at most one partition. Included by daemon/kafka/*.cpp only.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/kafka/client_conf.hpp"
#include "daemon/kafka/cluster.hpp"
#include "daemon/kafka/complaint.hpp"
#include "daemon/kafka/handles.hpp"
#include "daemon/kafka/memory_gate.hpp"

namespace sluice::kafka {

/// Confined to its lease's thread; idle ones to the pool's mutex.
class Consumer {
 public:
    static Result<std::unique_ptr<Consumer>> create(const ClientSettings& settings,
                                                    const ConsumerLimits& limits);
    ~Consumer();
    Consumer(const Consumer&) = delete;
    Consumer& operator=(const Consumer&) = delete;

    /// Drops whatever was fetched and goes to `from` of another (or the same) partition. A topic that
    /// this client does not know yet is asked for first, for 5 s at most: a round trip.
    Result<void> assign(const plan::TopicPartition& topic_partition, std::int64_t from,
                        std::int32_t leader_epoch);
    void unassign();
    /// Unassigns, and forgets its topic, which costs a metadata request a second while it is known.
    void rest();
    [[nodiscard]] bool is_resting() const { return !assigned_ && !topic_; }

    /// True when the next record delivered is the first one at or after `from`, without seeking.
    [[nodiscard]] bool stands_at(const plan::TopicPartition& topic_partition,
                                 std::int64_t from) const {
        return assigned_ && *assigned_ == topic_partition && position_ == from;
    }
    [[nodiscard]] bool is_assigned() const { return assigned_.has_value(); }
    [[nodiscard]] const ClientSettings& settings() const { return settings_; }

    /// Fills `batch` with up to `count` messages and events: what was left over first, then the
    /// queue, waiting up to `timeout` for it. What it holds is the caller's to destroy.
    Result<void> consume(std::vector<Message>& batch, std::size_t count, Milliseconds timeout);

    /// librdkafka's own position: moves past control records too, but only as the queue is served.
    /// nullopt when there is none, right after an end-of-partition (it may then be one too high), and
    /// while it may be left over from an earlier assignment.
    [[nodiscard]] std::optional<std::int64_t> position() const;

    /// The end of the partition that was reached last, -1 when none: everything below it has been
    /// handed over. librdkafka says so once for each end, so the next range must still know.
    [[nodiscard]] std::int64_t end() const { return end_; }
    void reached_end(std::int64_t offset) { end_ = offset; }

    /// Remembers what a batch returned beyond the range, for the next one; goes before what is left over.
    void keep(std::vector<Message> left_over);
    /// The next range is expected to start here. Never a position read from librdkafka.
    void park_at(std::int64_t until) { position_ = until; }

    /// Why the cluster refuses this client, when it does; forgotten when a record arrives.
    [[nodiscard]] std::optional<Error> refusal(std::string_view context) const;

    /// Whether its queue may fill with much more than it is to hold, by what consume() just gave: librdkafka counts
    /// the values of what it has queued, neither keys nor headers. Then no more may be fetched by this client: destroy
    /// what it handed out, and take one with a smaller queue. Errors: those of consume().
    Result<bool> outgrows_queue(const std::vector<Message>& batch);
    /// Of a record in its last lease, in the mean of the worst batch: what librdkafka does not count of it.
    [[nodiscard]] std::uint64_t uncounted_bytes() const { return uncounted_bytes_; }
    /// How many records come to about `bytes`, by those handed over last: 1 … `most`. 1 while none was.
    [[nodiscard]] std::uint64_t records_in(std::uint64_t bytes, std::uint64_t most) const;
    /// These records are somebody's now, until take_back(). Notes how large records are, and how much is
    /// queued behind them.
    void hand_over(std::size_t records, std::uint64_t bytes);
    /// Where the messages of a chunk that is done with go, before take_back().
    [[nodiscard]] std::vector<Message>& spent() { return spent_; }
    /// Frees what is spent, or keeps it until consume() finds less queued than it asks for.
    ///
    /// To free a message takes the lock of the malloc arena from which the fetching thread has the next ones. Freed one chunk
    /// after the other, while that thread parses, each waits for the other, and what is free lies in pieces. Freed together
    /// when that thread has just queued what it parsed, and sends and receives, neither does, and it finds one large piece
    /// (one partition: 1.2 times as fast, with three quarters of the CPU). Where another chunk would come to
    /// more than the limit, all of it is freed, and each chunk after it at once: a record keeps the whole fetch it came with in
    /// memory, or the whole batch decompressed.
    void take_back();
    void free_spent();
    /// Whether take_back() may keep any. From any thread.
    void let_keep_spent(bool may) { may_keep_spent_ = may; }
    /// What it held in leases before counts no more: most_held().
    void begin_lease();

    // What it holds, in bytes, with librdkafka's own for each record. From any thread.
    [[nodiscard]] std::uint64_t handed_bytes() const { return handed_bytes_; }  ///< what is spent and not freed, too
    [[nodiscard]] std::uint64_t queued_bytes() const;  ///< estimated by the size of the records seen last
    /// What its queue may come to hold while it stands where it stands: as much as it ever did.
    [[nodiscard]] std::uint64_t expected_bytes() const;
    /// How many times more than its limit was queued at once: what one fetch brings is queued whole, and
    /// compressed records only become large then. 1 and less is as it should be.
    [[nodiscard]] double overshoot() const;
    /// The most that was queued and handed over at once in its last lease; 0 before there were enough records to tell.
    [[nodiscard]] std::uint64_t most_held() const { return most_held_; }
    /// The same without what had been queued before the lease began.
    [[nodiscard]] std::uint64_t most_held_since() const { return most_held_since_; }
    /// Handed over in its last lease, in bytes of payload.
    [[nodiscard]] std::uint64_t lease_bytes() const { return lease_bytes_; }
    /// Its limit, with librdkafka's own for each record: what it is to queue, beside one fetch.
    [[nodiscard]] std::uint64_t allowed_bytes() const;
    [[nodiscard]] const ConsumerLimits& limits() const { return limits_; }

    // The pool's, under its mutex, except `lane`.
    std::optional<std::size_t> lane;         ///< where it was used last
    std::optional<SteadyTime> leased_since;  ///< nullopt: it has no lease
    SteadyTime idle_since{};
    SteadyTime made_at{};
    /// Owned together with the pool, which forgets it when it forgets the settings, lent clients or not.
    std::shared_ptr<Learned> learned;

 private:
    Consumer(ClientSettings settings, const ConsumerLimits& limits, std::unique_ptr<Complaint> complaint,
             Client client, Queue queue)
        : settings_(std::move(settings)),
          limits_(limits),
          complaint_(std::move(complaint)),
          client_(std::move(client)),
          queue_(std::move(queue)) {}

    const ClientSettings settings_;
    const ConsumerLimits limits_;
    std::unique_ptr<Complaint> complaint_;  // the client's callback writes here: outlives it
    Client client_;
    Queue queue_;
    Topic topic_;  ///< known to the client as long as this is kept
    std::optional<plan::TopicPartition> assigned_;
    std::int64_t position_ = -1;
    void know(const std::string& topic);
    void drop_left_over();
    [[nodiscard]] std::optional<std::int64_t> raw_position() const;

    std::int64_t end_ = -1;
    std::optional<std::int64_t> position_at_assign_;
    bool served_since_assign_ = false;
    bool end_was_served_ = false;
    std::vector<Message> spent_;
    std::atomic<bool> may_keep_spent_{true};
    bool keeps_spent_ = true;        ///< not what was queued at once and comes to too much
    std::uint64_t chunk_bytes_ = 0;  ///< handed over last, with librdkafka's own for each record
    std::vector<Message> left_over_;
    std::atomic<std::size_t> left_over_records_{0};  ///< of left_over_, for other threads
    std::atomic<std::uint64_t> handed_bytes_{0};
    std::atomic<std::uint64_t> record_bytes_{0};  ///< of one record, payload alone; 0 = none seen
    std::atomic<std::uint64_t> most_queued_{0};
    std::atomic<std::uint64_t> most_held_{0};
    std::uint64_t sample_records_ = 0;  ///< handed over since the queue was judged last
    std::uint64_t sample_bytes_ = 0;    ///< of these
    std::uint64_t lease_bytes_ = 0;
    std::uint64_t gathered_bytes_ = 0;      ///< queued when the lease began
    std::uint64_t most_held_since_ = 0;
    std::uint64_t batch_header_bytes_ = 0;  ///< of the batch to be handed over
    std::uint64_t uncounted_bytes_ = 0;
    std::vector<rd_kafka_message_t*> raw_;
};

}  // namespace sluice::kafka
