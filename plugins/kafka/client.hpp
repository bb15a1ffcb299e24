#pragma once
// A producer in the target cluster, with a bound on every wait.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/kafka/boot_clock.hpp"
#include "plugins/kafka/errors.hpp"
#include "plugins/kafka/handles.hpp"
#include "plugins/kafka/marker.hpp"
#include "plugins/kafka/options.hpp"
#include "plugins/kafka/origin.hpp"
#include "plugins/kafka/waiting.hpp"
#include "sluice/sink.hpp"

namespace sluice::plugins::kafka {

struct RefusedRecord {
    Origin origin;
    std::string reason;
};

/// What became of records that had been handed over, as far as it is known.
struct Losses {
    std::vector<RefusedRecord> refused;
    std::string suspected;              ///< why a request was refused that has a bad record in it
    std::optional<ClusterError> error;  ///< no record is to blame

    [[nodiscard]] bool any() const { return !refused.empty() || !suspected.empty() || error; }
};

enum class Taken { yes, queue_full, too_large, failed };

/// One record on its way; views into the host's.
struct Outgoing {
    std::int32_t partition = -1;  ///< -1: by the key
    std::optional<std::string_view> key;
    std::optional<std::string_view> value;
    std::int64_t timestamp_ms = -1;
    RecordHeaders headers;  ///< may be null
    std::size_t header_bytes = 0;
    Origin origin;
};

/// Confined to one thread at a time. Whatever fails throws ClusterError; what may be tried again
/// with this client (abort() answered true) and what needs another one is told apart by abort()
/// alone.
class Client {
 public:
    /// Connects in the background. `alone`: each request has one record, so that a refusal means
    /// that one. `options` and `host` outlive it.
    Client(const Options& options, Host host, bool alone);
    /// What is still queued belongs to a batch that was given up.
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    [[nodiscard]] bool is_alone() const { return alone_; }

    std::string cluster_id();
    /// Takes the transactional id: whoever had it is fenced, and its transaction has ended, either
    /// way, when this returns.
    void init_transactions();

    /// Partitions of those topics that exist.
    std::map<std::string, int> partitions_of(const std::set<std::string>& topics);
    /// `partitions` 0: the brokers' default. No error when somebody else was quicker.
    void create_topic(const std::string& topic, int partitions);
    void create_partitions(const std::string& topic, int total);

    void begin_transaction();
    /// Copies the record, and takes its headers when it answers yes.
    Taken produce(rd_kafka_topic_t* topic, Outgoing& record);
    /// Lives as long as the client.
    rd_kafka_topic_t* topic(const std::string& name);
    /// Waits up to `wait` for reports.
    void poll(std::chrono::milliseconds wait);
    /// Since the batch began; complete for what was refused once flush() has returned.
    [[nodiscard]] const Losses& losses() const { return losses_; }
    void forget_losses() { losses_ = {}; }
    /// Until everything is acknowledged, or something is lost.
    void flush();
    /// Makes `marker` part of the transaction, on partition 0 of the topic.
    void put_marker(const std::string& topic, const Marker& marker);
    void commit_transaction();
    /// False: the client is of no use any more.
    bool abort_transaction() noexcept;

 private:
    static void on_log(const rd_kafka_t* client, int level, const char* facility, const char* text);
    static void on_error(rd_kafka_t* client, int code, const char* reason, void* opaque);
    static void on_delivery(rd_kafka_t* client, const rd_kafka_message_t* message, void* opaque);

    ClusterError failure(const std::string& doing, rd_kafka_resp_err_t code,
                         std::string_view detail, std::string_view topic = {}) const;
    template <class Call>
    void until_done(const std::string& doing, std::chrono::milliseconds limit, Call call,
                    std::chrono::milliseconds slice = std::chrono::seconds(1));
    template <class Submit>
    Event administer(const std::string& doing, rd_kafka_admin_op_t operation, Submit submit);

    const Options& options_;
    Host host_;
    const bool alone_;
    std::string complaint_;  // the last that librdkafka had about the network
    Losses losses_;
    BootClock::time_point began_;
    bool in_transaction_ = false;
    Waiting waiting_;
    Handle client_;  // below what its callbacks use
    std::map<std::string, Topic> topics_;
};

}  // namespace sluice::plugins::kafka
