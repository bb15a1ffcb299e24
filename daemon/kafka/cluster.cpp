#include "daemon/kafka/cluster.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <utility>

#include "daemon/kafka/client_conf.hpp"
#include "daemon/kafka/complaint.hpp"
#include "daemon/kafka/offset_lookup.hpp"
#include "daemon/kafka/topic_lookup.hpp"
#include "daemon/kafka/topic_pattern.hpp"

namespace sluice::kafka {
namespace {

using plan::TopicPartition;

/// Longer than this for topic ids, and the broker is taken for one that can't tell them (the mock
/// cluster never answers): then it is not asked again for a while.
constexpr Milliseconds describe_timeout_max{2000};
constexpr Milliseconds describe_pause{60'000};
/// The first of two turns, where brokers are known to answer.
constexpr Milliseconds describe_turn{1000};

using GroupRequest = std::unique_ptr<rd_kafka_ListConsumerGroupOffsets_t,
                                     Deleter<rd_kafka_ListConsumerGroupOffsets_destroy>>;
using AlterRequest = std::unique_ptr<rd_kafka_AlterConsumerGroupOffsets_t,
                                     Deleter<rd_kafka_AlterConsumerGroupOffsets_destroy>>;
using CString =
    std::unique_ptr<char, decltype([](char* text) { rd_kafka_mem_free(nullptr, text); })>;

class Deadline {
 public:
    explicit Deadline(Milliseconds timeout) : end_(system_clock().steady() + timeout) {}
    /// At least 1 ms: librdkafka takes 0 for "don't wait" and -1 for "for ever".
    [[nodiscard]] Milliseconds left() const {
        const auto left = std::chrono::ceil<Milliseconds>(end_ - system_clock().steady());
        return std::clamp(left, Milliseconds{1}, Milliseconds{std::numeric_limits<int>::max() / 2});
    }
    [[nodiscard]] int left_ms() const { return static_cast<int>(left().count()); }

 private:
    SteadyTime end_;
};

using OffsetAnswers = std::map<TopicPartition, OffsetAnswer>;

TopicPartition name_of(const rd_kafka_topic_partition_t& element) {
    return {element.topic, element.partition};
}

template <class Range, class Name>
PartitionList list_of(const Range& range, Name name, std::int64_t offset) {
    PartitionList list{rd_kafka_topic_partition_list_new(static_cast<int>(std::size(range)))};
    for (const auto& element : range) {
        const TopicPartition& partition = name(element);
        rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition)
            ->offset = offset;
    }
    return list;
}

std::span<const rd_kafka_topic_partition_t> elements(const rd_kafka_topic_partition_list_t& list) {
    return {list.elems, static_cast<std::size_t>(list.cnt)};
}

class KafkaCluster final : public Cluster {
 public:
    KafkaCluster(std::unique_ptr<Complaint> complaint, Client client,
                 rd_kafka_IsolationLevel_t isolation, std::string principal,
                 TellsTopicIds tells_topic_ids)
        : complaint_(std::move(complaint)),
          client_(std::move(client)),
          isolation_(isolation),
          principal_(std::move(principal)),
          tells_topic_ids_(std::move(tells_topic_ids)) {}

    Result<std::string> cluster_id(Milliseconds timeout) override {
        // In short turns: a client that is refused must not hold a thread that others wait for.
        const Deadline deadline(timeout);
        while (true) {
            const Milliseconds turn = std::min(deadline.left(), Milliseconds{250});
            const CString id{rd_kafka_clusterid(client_.get(), static_cast<int>(turn.count()))};
            if (id) {
                answered();
                return std::string(id.get());
            }
            rd_kafka_poll(client_.get(), 0);  // delivers complaints
            if (complaint_->is_refusal() || deadline.left() <= Milliseconds{1}) {
                return failed("asking for the cluster id", RD_KAFKA_RESP_ERR__TIMED_OUT);
            }
        }
    }

    Result<std::vector<Partition>> partitions(const Subscription& subscription,
                                              Milliseconds timeout) override;
    Result<std::vector<plan::PartitionFacts>> offsets(std::span<const Partition> partitions,
                                                      Milliseconds timeout) override;
    Result<std::map<TopicPartition, std::optional<std::int64_t>>> offsets_at(
        std::span<const TopicPartition> partitions, WallTime time, Milliseconds timeout) override;
    Result<std::map<TopicPartition, std::optional<std::int64_t>>> offsets_at(
        const std::map<TopicPartition, std::int64_t>& times_ms, Milliseconds timeout) override;
    Result<std::map<std::string, TopicConfig>> topic_configs(const std::set<std::string>& topics,
                                                             Milliseconds timeout) override;
    Result<std::map<TopicPartition, std::optional<std::int64_t>>> committed_offsets(
        const std::string& group, std::span<const TopicPartition> partitions,
        Milliseconds timeout) override;
    Result<void> set_committed_offsets(const std::string& group,
                                       const std::map<TopicPartition, std::int64_t>& offsets,
                                       Milliseconds timeout) override;

 private:
    Result<Topics> find_named(const std::set<std::string>& names, const Deadline& deadline);
    Result<Topics> find_matching(const std::string& regex, const Deadline& deadline);
    Result<const TopicPattern*> compiled(const std::string& regex);
    Result<std::optional<Topics>> describe(const std::set<std::string>& names,
                                           const Deadline& deadline);
    Topics without_ids(Topics all, const std::set<std::string>& names);
    Result<OffsetAnswers> ask(std::string_view context, PartitionList list,
                              const Deadline& deadline);
    Result<OffsetAnswers> without_leaders(std::string_view context,
                                          const rd_kafka_topic_partition_list_t& list,
                                          const Deadline& deadline);

    /// The error of a call that failed with `code`, in the words of whatever caused it.
    Error failed(std::string_view context, rd_kafka_resp_err_t code, Refused refused = {});
    void answered() { *complaint_ = {}; }

    std::unique_ptr<Complaint> complaint_;  // the client's callback writes here: outlives it
    Client client_;
    rd_kafka_IsolationLevel_t isolation_;
    const std::string principal_;
    const TellsTopicIds tells_topic_ids_;  // DescribeTopics was answered once
    SteadyTime describe_after_{};          // and is not asked before this again, when it was not
    std::string regex_;
    std::optional<TopicPattern> pattern_;  // of regex_
};

Error KafkaCluster::failed(std::string_view context, rd_kafka_resp_err_t code, Refused refused) {
    refused.principal = principal_;
    rd_kafka_poll(client_.get(), 0);  // delivers complaints
    return explain(context, code, *complaint_, refused);
}

/// Ids and partitions of the topics of `names` that exist, by DescribeTopics; nullopt when these
/// brokers don't answer that, which nobody knows before the first answer.
Result<std::optional<Topics>> KafkaCluster::describe(const std::set<std::string>& names,
                                                     const Deadline& deadline) {
    if (names.empty()) return std::optional(Topics{});
    if (system_clock().steady() < describe_after_) return std::optional<Topics>{};
    // At most half of what is left, so that metadata can still answer.
    const auto timeout =
        std::max(std::min(*tells_topic_ids_ ? describe_turn : describe_timeout_max, deadline.left() / 2),
                 Milliseconds{1});
    auto answer = describe_topics(client_.get(), names, timeout);
    // librdkafka asks the broker that the last metadata named as controller, and waits for that one
    // however long it is gone. Metadata, of whoever answers, names another, where there are several; and
    // a broker alone that told ids before, and answers, tells them now.
    const int needed = *tells_topic_ids_ ? 1 : 2;
    if (answer.code == RD_KAFKA_RESP_ERR__TIMED_OUT && refresh_brokers(client_.get(), timeout) >= needed) {
        answer = describe_topics(client_.get(), names, std::min(describe_timeout_max, deadline.left()));
    }
    if (answer.code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        *tells_topic_ids_ = true;
        return std::optional(std::move(answer.topics));
    }
    // Brokers that could tell ids must go on doing so: without them a topic that was created anew
    // would look like the old one.
    if (*tells_topic_ids_) return failed("describing topics", answer.code);
    return std::optional<Topics>{};
}

/// The topics of `all` that `names` has, without ids.
Topics KafkaCluster::without_ids(Topics all, const std::set<std::string>& names) {
    // The brokers answer, but not DescribeTopics.
    if (system_clock().steady() >= describe_after_) {
        describe_after_ = system_clock().steady() + describe_pause;
    }
    std::erase_if(all, [&](const auto& topic) { return !names.contains(topic.first); });
    return all;
}

Result<Topics> KafkaCluster::find_named(const std::set<std::string>& names,
                                        const Deadline& deadline) {
    SLUICE_TRY(auto topics, describe(names, deadline));
    if (topics) return std::move(*topics);
    auto all = all_topics(client_.get(), deadline.left());
    if (all.code != RD_KAFKA_RESP_ERR_NO_ERROR) return failed("listing topics", all.code);
    return without_ids(std::move(all.topics), names);
}

Result<Topics> KafkaCluster::find_matching(const std::string& regex, const Deadline& deadline) {
    SLUICE_TRY(const TopicPattern* const pattern, compiled(regex));
    auto all = all_topics(client_.get(), deadline.left());
    if (all.code != RD_KAFKA_RESP_ERR_NO_ERROR) return failed("listing topics", all.code);
    std::set<std::string> names;
    for (const auto& [name, info] : all.topics) {
        if (pattern->matches(name)) names.insert(name);
    }
    SLUICE_TRY(auto topics, describe(names, deadline));
    if (topics) return std::move(*topics);
    return without_ids(std::move(all.topics), names);
}

Result<const TopicPattern*> KafkaCluster::compiled(const std::string& regex) {
    if (!pattern_ || regex != regex_) {
        SLUICE_TRY(auto pattern, TopicPattern::compile(regex));
        pattern_ = std::move(pattern);
        regex_ = regex;
    }
    return &*pattern_;
}

Result<std::vector<Cluster::Partition>> KafkaCluster::partitions(const Subscription& subscription,
                                                                 Milliseconds timeout) {
    const Deadline deadline(timeout);
    const auto* const assign = std::get_if<AssignPartitions>(&subscription);
    Result<Topics> found = Topics{};
    if (const auto* const pattern = std::get_if<SubscribePattern>(&subscription)) {
        found = find_matching(pattern->regex, deadline);
    } else {
        std::set<std::string> names;
        if (assign != nullptr) {
            for (const auto& [name, ids] : assign->partitions)
                names.insert(name);
        } else {
            const auto& wanted = std::get<SubscribeTopics>(subscription).names;
            names.insert(wanted.begin(), wanted.end());
        }
        found = find_named(names, deadline);
    }
    SLUICE_TRY(const Topics topics, std::move(found));

    std::vector<Partition> result;
    for (const auto& [name, info] : topics) {
        // It exists, so leaving it out would pass for a topic that is gone.
        if (info.error != RD_KAFKA_RESP_ERR_NO_ERROR) return failed("topic " + name, info.error, {.topic = name});
        for (const std::int32_t id : info.partitions) {
            if (assign != nullptr) {
                const auto& wanted = assign->partitions.at(name);
                if (std::find(wanted.begin(), wanted.end(), id) == wanted.end()) continue;
            }
            result.push_back({{name, id}, info.topic_id, -1});
        }
    }
    answered();
    return result;
}

/// What `list` asks for, of the partitions that exist.
Result<OffsetAnswers> KafkaCluster::ask(std::string_view context, PartitionList list,
                                        const Deadline& deadline) {
    if (list->cnt == 0) return OffsetAnswers{};  // which librdkafka takes for an error
    // At most half of what is left, so that there is time for another leader.
    auto answer = list_offsets(client_.get(), *list, isolation_,
                               std::max(deadline.left() / 2, Milliseconds{1}));
    const auto is_of_an_old_leader = [](rd_kafka_resp_err_t code) {
        return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
               code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT;
    };
    const bool leader_moved =
        is_of_an_old_leader(answer.code) ||
        std::any_of(answer.partitions.begin(), answer.partitions.end(), [&](const auto& entry) {
            return is_of_an_old_leader(entry.second.error);
        });
    // librdkafka forgets the leaders it knew, soon at least; the next question looks for them first.
    if (leader_moved) answer = list_offsets(client_.get(), *list, isolation_, deadline.left());
    if (answer.code == RD_KAFKA_RESP_ERR__NOENT) return without_leaders(context, *list, deadline);
    if (answer.code != RD_KAFKA_RESP_ERR_NO_ERROR) return failed(context, answer.code);
    for (const auto& [partition, entry] : answer.partitions) {
        if (entry.error != RD_KAFKA_RESP_ERR_NO_ERROR && !is_missing(entry.error)) {
            return failed(to_string(partition) + ": " + std::string(context), entry.error,
                          {.topic = partition.topic});
        }
    }
    std::erase_if(answer.partitions,
                  [](const auto& entry) { return is_missing(entry.second.error); });
    answered();
    return std::move(answer.partitions);
}

/// librdkafka found no leader for any partition of `list`: there are none any more, or brokers are
/// down, and the one must never pass for the other.
Result<OffsetAnswers> KafkaCluster::without_leaders(std::string_view context,
                                                    const rd_kafka_topic_partition_list_t& list,
                                                    const Deadline& deadline) {
    std::set<std::string> names;
    for (const auto& element : elements(list))
        names.insert(element.topic);
    SLUICE_TRY(const Topics topics, find_named(names, deadline));
    const bool some_exist = std::any_of(
        elements(list).begin(), elements(list).end(),
        [&](const rd_kafka_topic_partition_t& element) {
            const auto topic = topics.find(element.topic);
            return topic != topics.end() &&
                   (topic->second.partitions.empty() ||  // it can't be described just now
                    std::binary_search(topic->second.partitions.begin(),
                                       topic->second.partitions.end(), element.partition));
        });
    if (some_exist) return failed(context, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
    return OffsetAnswers{};
}

Result<std::vector<plan::PartitionFacts>> KafkaCluster::offsets(
    std::span<const Partition> partitions, Milliseconds timeout) {
    const Deadline deadline(timeout);
    const auto name = [](const Partition& p) -> const TopicPartition& { return p.topic_partition; };
    // Earliest first: both only grow, so the pair is never inverted by records that arrive
    // meanwhile.
    SLUICE_TRY(const auto earliest,
               ask("asking for the earliest offset",
                   list_of(partitions, name, RD_KAFKA_OFFSET_BEGINNING), deadline));
    SLUICE_TRY(const auto latest, ask("asking for the latest offset",
                                      list_of(partitions, name, RD_KAFKA_OFFSET_END), deadline));
    std::vector<plan::PartitionFacts> facts;
    facts.reserve(partitions.size());
    for (const Partition& partition : partitions) {
        const auto low = earliest.find(partition.topic_partition);
        const auto end = latest.find(partition.topic_partition);
        if (low == earliest.end() || end == latest.end()) continue;
        if (low->second.offset < 0 || end->second.offset < low->second.offset) {
            return Error{ErrorCode::unavailable,
                         to_string(partition.topic_partition) + ": earliest offset " +
                             std::to_string(low->second.offset) + ", then latest offset " +
                             std::to_string(end->second.offset) +
                             ": the topic changed between the two questions",
                         true};
        }
        facts.push_back(
            {.topic_partition = partition.topic_partition,
             .earliest = low->second.offset,
             .latest = end->second.offset,
             .topic_id = partition.topic_id,
             .leader_epoch = std::max(partition.leader_epoch, end->second.leader_epoch)});
    }
    std::sort(facts.begin(), facts.end(),
              [](const auto& a, const auto& b) { return a.topic_partition < b.topic_partition; });
    return facts;
}

Result<std::map<TopicPartition, std::optional<std::int64_t>>> KafkaCluster::offsets_at(
    std::span<const TopicPartition> partitions, WallTime time, Milliseconds timeout) {
    if (to_epoch_ms(time) < 0) {
        return Error{ErrorCode::invalid_argument,
                     "timestamps before 1970 can't be looked up: " + to_iso8601(time)};
    }
    const auto name = [](const TopicPartition& p) -> const TopicPartition& { return p; };
    SLUICE_TRY(const auto answers,
               ask("asking for the offset at " + to_iso8601(time),
                   list_of(partitions, name, to_epoch_ms(time)), Deadline(timeout)));
    std::map<TopicPartition, std::optional<std::int64_t>> offsets;
    for (const auto& [partition, answer] : answers) {
        // -1 without an error: no record is that young.
        offsets[partition] = answer.offset < 0 ? std::nullopt : std::optional(answer.offset);
    }
    return offsets;
}

Result<void> KafkaCluster::set_committed_offsets(
    const std::string& group, const std::map<TopicPartition, std::int64_t>& offsets,
    Milliseconds timeout) {
    const std::string context = "exporting positions to group " + group;
    if (offsets.empty()) return {};
    const Deadline deadline(timeout);
    const AdminOptions options{
        rd_kafka_AdminOptions_new(client_.get(), RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS)};
    std::array<char, 256> text{};
    if (const auto code = rd_kafka_AdminOptions_set_request_timeout(
            options.get(), deadline.left_ms(), text.data(), text.size());
        code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return to_error(context, code, text.data());
    }
    const PartitionList list{rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size()))};
    for (const auto& [tp, offset] : offsets) {
        rd_kafka_topic_partition_list_add(list.get(), tp.topic.c_str(), tp.partition)->offset = offset;
    }
    const AlterRequest request{rd_kafka_AlterConsumerGroupOffsets_new(group.c_str(), list.get())};
    rd_kafka_AlterConsumerGroupOffsets_t* requests[] = {request.get()};
    const Queue queue{rd_kafka_queue_new(client_.get())};
    rd_kafka_AlterConsumerGroupOffsets(client_.get(), requests, 1, options.get(), queue.get());
    const Event event{rd_kafka_queue_poll(queue.get(), deadline.left_ms() + 100)};
    if (!event) return failed(context, RD_KAFKA_RESP_ERR__TIMED_OUT);
    const Refused refused{.group = group, .operation = "Read"};
    if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return failed(context, code, refused);
    }
    const auto* const result = rd_kafka_event_AlterConsumerGroupOffsets_result(event.get());
    if (result == nullptr) return failed(context, RD_KAFKA_RESP_ERR__FAIL);
    std::size_t count = 0;
    const auto* const groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(result, &count);
    for (std::size_t i = 0; i < count; ++i) {
        if (const rd_kafka_error_t* const error = rd_kafka_group_result_error(groups[i])) {
            return failed(context, rd_kafka_error_code(error), refused);
        }
        for (const auto& element : elements(*rd_kafka_group_result_partitions(groups[i]))) {
            if (element.err == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
            return failed(to_string(name_of(element)) + ": " + context, element.err,
                          {.topic = element.topic, .group = group, .operation = "Read"});
        }
    }
    answered();
    return {};
}

Result<std::map<TopicPartition, std::optional<std::int64_t>>> KafkaCluster::offsets_at(
    const std::map<TopicPartition, std::int64_t>& times_ms, Milliseconds timeout) {
    PartitionList list{rd_kafka_topic_partition_list_new(static_cast<int>(times_ms.size()))};
    for (const auto& [partition, time] : times_ms) {
        if (time < 0) return Error{ErrorCode::invalid_argument, "timestamps before 1970"};
        rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition)
            ->offset = time;
    }
    SLUICE_TRY(const auto answers,
               ask("asking for offsets by time", std::move(list), Deadline(timeout)));
    std::map<TopicPartition, std::optional<std::int64_t>> offsets;
    for (const auto& [partition, answer] : answers) {
        offsets[partition] = answer.offset < 0 ? std::nullopt : std::optional(answer.offset);
    }
    return offsets;
}

Result<std::map<std::string, Cluster::TopicConfig>> KafkaCluster::topic_configs(
    const std::set<std::string>& topics, Milliseconds timeout) {
    std::map<std::string, TopicConfig> configs;
    if (topics.empty()) return configs;
    const ConfigsAnswer answer = describe_configs(client_.get(), topics, timeout);
    if (answer.code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return failed("asking for topic configurations", answer.code);
    }
    for (const auto& [topic, values] : answer.topics) {
        const auto policy = values.find("cleanup.policy");
        const auto retention = values.find("retention.ms");
        if (policy == values.end() || retention == values.end()) continue;
        configs[topic] = {policy->second, retention->second};
    }
    answered();
    return configs;
}

Result<std::map<TopicPartition, std::optional<std::int64_t>>> KafkaCluster::committed_offsets(
    const std::string& group, std::span<const TopicPartition> partitions, Milliseconds timeout) {
    const std::string context = "asking for the committed offsets of group " + group;
    if (group.empty()) return Error{ErrorCode::invalid_argument, "a consumer group has a name"};
    std::map<TopicPartition, std::optional<std::int64_t>> offsets;
    if (partitions.empty()) return offsets;

    const Deadline deadline(timeout);
    const AdminOptions options{
        rd_kafka_AdminOptions_new(client_.get(), RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS)};
    std::array<char, 256> text{};
    if (const auto code = rd_kafka_AdminOptions_set_request_timeout(
            options.get(), deadline.left_ms(), text.data(), text.size());
        code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return to_error(context, code, text.data());
    }
    // A transaction that is about to commit offsets of this group is waited for.
    if (const ErrorHandle error{
            rd_kafka_AdminOptions_set_require_stable_offsets(options.get(), 1)}) {
        return to_error(context, rd_kafka_error_code(error.get()),
                        rd_kafka_error_string(error.get()));
    }
    const auto name = [](const TopicPartition& p) -> const TopicPartition& { return p; };
    const PartitionList list = list_of(partitions, name, RD_KAFKA_OFFSET_INVALID);
    const GroupRequest request{rd_kafka_ListConsumerGroupOffsets_new(group.c_str(), list.get())};
    rd_kafka_ListConsumerGroupOffsets_t* requests[] = {request.get()};
    const Queue queue{rd_kafka_queue_new(client_.get())};
    rd_kafka_ListConsumerGroupOffsets(client_.get(), requests, 1, options.get(), queue.get());
    const Event event{rd_kafka_queue_poll(queue.get(), deadline.left_ms() + 100)};
    if (!event) return failed(context, RD_KAFKA_RESP_ERR__TIMED_OUT);
    if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return failed(context, code, {.group = group});
    }
    const auto* const result = rd_kafka_event_ListConsumerGroupOffsets_result(event.get());
    if (result == nullptr) return failed(context, RD_KAFKA_RESP_ERR__FAIL);

    std::size_t count = 0;
    const auto* const groups = rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count);
    for (std::size_t i = 0; i < count; ++i) {
        if (const rd_kafka_error_t* const error = rd_kafka_group_result_error(groups[i])) {
            return failed(context, rd_kafka_error_code(error), {.group = group});
        }
        for (const auto& element : elements(*rd_kafka_group_result_partitions(groups[i]))) {
            if (element.err != RD_KAFKA_RESP_ERR_NO_ERROR && !is_missing(element.err)) {
                return failed(to_string(name_of(element)) + ": " + context, element.err,
                              {.topic = element.topic, .group = group});
            }
            offsets[name_of(element)] =
                element.offset < 0 ? std::nullopt : std::optional(element.offset);
        }
    }
    answered();
    return offsets;
}

}  // namespace

Result<std::unique_ptr<Cluster>> open_cluster(const ClientSettings& settings,
                                              TellsTopicIds tells_topic_ids) {
    SLUICE_TRY(Conf conf, make_conf(settings, Role::lookup));
    auto complaint = std::make_unique<Complaint>();
    record_complaints(conf.get(), *complaint);
    SLUICE_TRY(Client client, make_client(std::move(conf)));
    const auto isolation = settings.isolation_level == "read_uncommitted"
                               ? RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED
                               : RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED;
    return std::unique_ptr<Cluster>(
        std::make_unique<KafkaCluster>(std::move(complaint), std::move(client), isolation, settings.principal,
                                       std::move(tells_topic_ids)));
}

}  // namespace sluice::kafka
