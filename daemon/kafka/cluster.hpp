#pragma once
// What the cluster says: partitions, offsets, ids. Look-ups only; records are read by range_reader.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/plan/types.hpp"

namespace sluice::kafka {

/// librdkafka properties (no `kafka.` prefix) of one pipeline, plus what sluice itself needs to know.
struct ClientSettings {
    std::map<std::string, std::string> properties;  ///< the user's, checked by refuse_property
    std::string pipeline;                           ///< for client.id, the default group.id and messages
    std::string isolation_level = "read_committed";
    std::string principal = {};  ///< for messages: "User:orders"; see principal_of

    auto operator<=>(const ClientSettings&) const = default;
};

/// Whom ACLs must name for a client with these properties: "User:orders", "User:ANONYMOUS"; empty when
/// only the broker knows (a token, a ticket, a certificate). For messages: hand in what may be shown.
std::string principal_of(const std::map<std::string, std::string>& properties);

/// Why the property `name` (without `kafka.`) may not be set to `value`: it would break the contract
/// (enable.auto.commit, auto.offset.reset, …: says which option to use instead), librdkafka does not
/// know it (with the nearest name), or refuses the value. nullopt when it is fine.
std::optional<std::string> refuse_property(std::string_view name, std::string_view value);

struct SubscribeTopics { std::vector<std::string> names; };
struct SubscribePattern { std::string regex; };  ///< ECMAScript, found anywhere in the name (as in Spark)
struct AssignPartitions { std::map<std::string, std::vector<std::int32_t>> partitions; };
using Subscription = std::variant<SubscribeTopics, SubscribePattern, AssignPartitions>;

/// A source cluster as its clients see it, over one client that never consumes.
/// Every call blocks up to its timeout (and up to 0.2 s more), and may be made from one thread at a time.
/// Errors carry librdkafka's text, the operation and topic; authorization errors name the ACL needed.
class Cluster {
 public:
    virtual ~Cluster() = default;

    [[nodiscard]] virtual Result<std::string> cluster_id(Milliseconds timeout) = 0;

    /// Existing partitions of the subscription, sorted; internal topics are left out of patterns, topics
    /// that do not exist are absent (not an error), with their topic id (empty when the broker cannot
    /// say) and leader epoch where known.
    struct Partition {
        plan::TopicPartition topic_partition;
        std::string topic_id;
        std::int32_t leader_epoch = -1;
    };
    [[nodiscard]] virtual Result<std::vector<Partition>> partitions(const Subscription& subscription,
                                                                    Milliseconds timeout) = 0;

    /// Earliest and latest (for the isolation level) of all given partitions: one batched request each.
    /// Partitions that vanished meanwhile are left out.
    [[nodiscard]] virtual Result<std::vector<plan::PartitionFacts>> offsets(
        std::span<const Partition> partitions, Milliseconds timeout) = 0;

    /// First offset with a timestamp >= `time`, nullopt where there is none; one batched request.
    [[nodiscard]] virtual Result<std::map<plan::TopicPartition, std::optional<std::int64_t>>>
    offsets_at(std::span<const plan::TopicPartition> partitions, WallTime time,
               Milliseconds timeout) = 0;

    /// The same with a time of its own for each partition, ms since 1970.
    [[nodiscard]] virtual Result<std::map<plan::TopicPartition, std::optional<std::int64_t>>>
    offsets_at(const std::map<plan::TopicPartition, std::int64_t>& times_ms, Milliseconds timeout) = 0;

    /// cleanup.policy and retention.ms of topics, as the brokers have them; topics that are gone, or
    /// whose configuration may not be read (DESCRIBE_CONFIGS), are left out.
    struct TopicConfig {
        std::string cleanup_policy;
        std::string retention_ms;
    };
    [[nodiscard]] virtual Result<std::map<std::string, TopicConfig>> topic_configs(
        const std::set<std::string>& topics, Milliseconds timeout) = 0;

    /// Committed offsets of a consumer group; nullopt where it has none. Never joins the group.
    [[nodiscard]] virtual Result<std::map<plan::TopicPartition, std::optional<std::int64_t>>>
    committed_offsets(const std::string& group, std::span<const plan::TopicPartition> partitions,
                      Milliseconds timeout) = 0;

    /// Sets a group's committed offsets, as an admin tool does; never joins it. Errors: retriable while
    /// the group has live members of its own.
    [[nodiscard]] virtual Result<void> set_committed_offsets(
        const std::string& group, const std::map<plan::TopicPartition, std::int64_t>& offsets,
        Milliseconds timeout) = 0;
};

/// Whether the brokers told topic ids once, known to all clients of one cluster: they must go on telling.
using TellsTopicIds = std::shared_ptr<std::atomic<bool>>;

/// Creates the client; does not wait for the broker. Errors: `configuration` for properties refused.
Result<std::unique_ptr<Cluster>> open_cluster(
    const ClientSettings& settings,
    TellsTopicIds tells_topic_ids = std::make_shared<std::atomic<bool>>(false));

/// partitions() + offsets(), with the patience a broker's stale replies need: an end below the known
/// position, another topic id, or a known partition that is not there, is asked again up to `retries`
/// times, `interval` apart, then believed. So `known` must not hold partitions that the subscription no
/// longer covers, or that are known to be gone: each look-up would wait for them. `wait` sleeps, and
/// answers false when the pipeline is being stopped.
Result<std::vector<plan::PartitionFacts>> gather_facts(
    Cluster& cluster, const Subscription& subscription,
    const std::map<plan::TopicPartition, plan::Position>& known, int retries, Milliseconds interval,
    Milliseconds timeout, const std::function<bool(Milliseconds)>& wait);

}  // namespace sluice::kafka
