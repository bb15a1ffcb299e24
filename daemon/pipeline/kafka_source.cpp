#include "daemon/pipeline/kafka_source.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <type_traits>
#include <utility>
#include <variant>

#include "daemon/base/text.hpp"
#include "daemon/kafka/topic_pattern.hpp"
#include "daemon/kafka/truncation.hpp"
#include "daemon/plan/headroom.hpp"

namespace sluice::pipeline {
namespace {

template <class... Fs>
struct Overloaded : Fs... {
    using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

constexpr Milliseconds look_up_timeout{10'000};

kafka::Subscription subscription_of(const config::Subscription& subscription) {
    return std::visit(
        Overloaded{
            [](const config::Topics& t) -> kafka::Subscription {
                return kafka::SubscribeTopics{t.names};
            },
            [](const config::TopicPattern& p) -> kafka::Subscription {
                return kafka::SubscribePattern{p.regex};
            },
            [](const config::Assignment& a) -> kafka::Subscription {
                return kafka::AssignPartitions{a.partitions};
            }},
        subscription);
}

std::string to_json(const std::map<plan::TopicPartition, plan::Position>& positions) {
    std::string out = "{";
    const std::string* topic = nullptr;
    for (const auto& [tp, position] : positions) {
        if (topic == nullptr || *topic != tp.topic) {
            if (topic != nullptr) out += "},";
            out += json_quoted(tp.topic) + ":{";
            topic = &tp.topic;
        } else {
            out += ',';
        }
        out += '"' + std::to_string(tp.partition) + "\":" + std::to_string(position.offset);
    }
    return out + (topic != nullptr ? "}}" : "}");
}

class KafkaSource final : public Source {
    using Positions = std::map<plan::TopicPartition, plan::Position>;

 public:
    KafkaSource(const config::Pipeline& pipeline, kafka::ConsumerPool& pool, kafka::LookupClients& lookups)
        : config_(pipeline.source),
          subscription_(subscription_of(pipeline.source.subscription)),
          pool_(pool),
          lookups_(lookups),
          settings_(std::make_shared<const kafka::ClientSettings>(
              kafka::ClientSettings{pipeline.source.kafka, pipeline.name,
                                    pipeline.source.isolation_level, principal_shown(pipeline.source)})) {}

    Result<std::string> cluster_id() override {
        return look_up([](kafka::Cluster& cluster) { return cluster.cluster_id(look_up_timeout); });
    }

    bool covers(const plan::TopicPartition& tp) const override {
        return std::visit(
            Overloaded{[&](const config::Topics& t) {
                           return std::find(t.names.begin(), t.names.end(), tp.topic) != t.names.end();
                       },
                       [&](const config::TopicPattern& p) {
                           const auto pattern = kafka::TopicPattern::compile(p.regex);
                           return pattern && pattern->matches(tp.topic);
                       },
                       [&](const config::Assignment& a) {
                           const auto topic = a.partitions.find(tp.topic);
                           return topic != a.partitions.end() &&
                                  std::find(topic->second.begin(), topic->second.end(),
                                            tp.partition) != topic->second.end();
                       }},
            config_.subscription);
    }

    Result<std::vector<plan::PartitionFacts>> facts(
        const std::map<plan::TopicPartition, plan::Position>& known,
        const std::stop_token& stop) override {
        const auto wait = [&stop](Milliseconds time) { return system_clock().wait(time, stop); };
        return look_up([&](kafka::Cluster& cluster) {
            return kafka::gather_facts(cluster, subscription_, known, config_.fetch_offset_retries,
                                       config_.fetch_offset_retry_interval, look_up_timeout, wait);
        });
    }

    Result<std::map<plan::TopicPartition, std::int64_t>> truncations(
        const Positions& positions, const std::stop_token& stop) override {
        const auto settings = settings_in_force();
        auto found = kafka::find_truncations(*settings, positions, look_up_timeout, stop);
        if (!found && found.error().code == ErrorCode::denied) SLUICE_CHECK(renew(settings));
        return found;
    }

    Result<std::map<std::string, std::string>> topic_ids(const std::set<std::string>& topics) override {
        SLUICE_TRY(const auto partitions, look_up([&](kafka::Cluster& cluster) {
                       return cluster.partitions(
                           kafka::SubscribeTopics{{topics.begin(), topics.end()}}, look_up_timeout);
                   }));
        std::map<std::string, std::string> ids;
        for (const auto& partition : partitions) {
            ids.emplace(partition.topic_partition.topic, partition.topic_id);
        }
        return ids;
    }

    Result<InitialOffsets> initial_offsets(std::span<const plan::PartitionFacts> facts) override {
        InitialOffsets initial;
        for (const plan::PartitionFacts& fact : facts) {
            plan::Position& position = initial.positions[fact.topic_partition];
            position.offset = fact.earliest;
            position.topic_id = fact.topic_id;
        }
        SLUICE_CHECK(std::visit(
            [&](const auto& choice) { return move_to(choice, facts, initial.positions); },
            config_.starting_offsets));
        initial.json = to_json(initial.positions);
        return initial;
    }

    Result<std::map<plan::TopicPartition, Milliseconds>> headroom(
        const std::map<plan::TopicPartition, plan::Position>& positions, WallTime now) override;

    Result<kafka::RangeCounts> read(const plan::PlannedRange& range, bool read_on,
                                    const kafka::RecordHandler& handler,
                                    const std::stop_token& stop) override {
        const auto settings = settings_in_force();
        auto counts = read_with(*settings, range, read_on, handler, stop);
        if (!counts && counts.error().code == ErrorCode::denied) SLUICE_CHECK(renew(settings));
        if (counts && range.leader_epoch >= 0 && counts->first_leader_epoch > range.leader_epoch) {
            SLUICE_CHECK(check_history(range, {range.range.from, range.leader_epoch}, stop));
        }
        if (counts) {
            for (const kafka::Doubt& doubt : counts->doubts) SLUICE_CHECK(check_history(range, doubt, stop));
        }
        return counts;
    }

    Result<void> export_positions(
        const std::string& group,
        const std::map<plan::TopicPartition, plan::Position>& positions) override {
        std::map<plan::TopicPartition, std::int64_t> offsets;
        for (const auto& [tp, position] : positions) offsets.emplace(tp, position.offset);
        return look_up([&](kafka::Cluster& cluster) {
            return cluster.set_committed_offsets(group, offsets, look_up_timeout);
        });
    }

    void release() override {
        pool_.forget(*settings_in_force());  // look-up clients remember nothing, and others use them
    }

 private:
    using Facts = std::span<const plan::PartitionFacts>;

    using Settings = std::shared_ptr<const kafka::ClientSettings>;

    /// The principal as ACLs name it, with references left as written: what they stand for is not shown.
    static std::string principal_shown(const config::Source& source) {
        auto properties = source.kafka;
        for (const auto& [name, reference] : source.kafka_references) properties[name] = reference;
        return kafka::principal_of(properties);
    }

    Result<kafka::RangeCounts> read_with(const kafka::ClientSettings& settings,
                                         const plan::PlannedRange& range, bool read_on,
                                         const kafka::RecordHandler& handler,
                                         const std::stop_token& stop) {
        const plan::OffsetRange& offsets = range.range;
        const SteadyTime asked = system_clock().steady();
        SLUICE_TRY(kafka::Lease lease, pool_.lease(settings, offsets.topic_partition, offsets.from,
                                                   range.leader_epoch, range.lane, stop));
        const SteadyTime leased = system_clock().steady();
        kafka::ReadOptions options;
        options.read_on = read_on;
        auto counts = kafka::read_range(lease, offsets, options, handler, stop);
        if (counts) counts->leasing = leased - asked;
        return counts;
    }

    /// The partition had another leader when the record before `at`, in `range`, was read: was the log handed over
    /// as it was? librdkafka asks while it reads, but not where a reading begins (its issue 5158).
    Result<void> check_history(const plan::PlannedRange& range, const kafka::Doubt& at, const std::stop_token& stop) {
        const plan::TopicPartition& partition = range.range.topic_partition;
        SLUICE_TRY(const auto found,
                   truncations({{partition, {at.offset, at.leader_epoch, range.topic_id, -1}}}, stop));
        if (found.empty()) return {};
        return Error{ErrorCode::out_of_range,
                     plan::to_string(partition) + ": the log was truncated at offset " +
                         std::to_string(found.begin()->second) + ", below position " +
                         std::to_string(at.offset)};
    }

    [[nodiscard]] Settings settings_in_force() const {
        const std::lock_guard lock(settings_mutex_);
        return settings_;
    }

    /// A client that was refused is not used again: credentials are read anew.
    template <class Question>
    auto look_up(Question question) -> std::invoke_result_t<Question, kafka::Cluster&> {
        const Settings settings = settings_in_force();
        SLUICE_TRY(kafka::LookupLoan loan, lookups_.borrow(*settings));
        auto answer = question(loan.cluster());
        if (!answer && answer.error().code == ErrorCode::denied) {
            loan.discard();
            SLUICE_CHECK(renew(settings));
        }
        return answer;
    }

    /// The cluster refused clients made with `refused`: their references are read again, and the next
    /// try is made by new clients, which read certificates anew too. So the broker sees one login for
    /// each try, instead of librdkafka's several a second.
    Result<void> renew(const Settings& refused) {
        bool is_changed = false;
        {
            const std::lock_guard lock(settings_mutex_);
            if (settings_ != refused) return {};  // somebody was faster
            SLUICE_TRY(auto credentials, config::resolve_again(config_));
            auto renewed = std::make_shared<kafka::ClientSettings>(*refused);
            renewed->properties = std::move(credentials.properties);
            is_changed = renewed->properties != refused->properties;
            settings_ = std::move(renewed);
        }
        pool_.forget(*refused);
        if (is_changed) lookups_.forget(*refused);
        return {};
    }

    static std::vector<plan::TopicPartition> partitions_of(Facts facts) {
        std::vector<plan::TopicPartition> partitions;
        for (const auto& fact : facts) partitions.push_back(fact.topic_partition);
        return partitions;
    }

    Result<void> move_to(const config::Earliest&, Facts, Positions&) { return {}; }

    Result<void> move_to(const config::Latest&, Facts facts, Positions& positions) {
        for (const auto& fact : facts) positions[fact.topic_partition].offset = fact.latest;
        return {};
    }

    /// Specific offsets must name exactly the partitions there are, as in Spark: a forgotten one would
    /// be read from a place nobody chose. They must lie inside what the partition holds.
    Result<void> move_to(const config::AtOffsets& at, Facts facts, Positions& positions) {
        std::string wrong;
        for (const auto& [topic, partitions] : at.offsets) {
            for (const auto& [partition, offset] : partitions) {
                const plan::TopicPartition tp{topic, partition};
                if (!positions.contains(tp)) wrong += "; " + plan::to_string(tp) + " does not exist";
            }
        }
        for (const auto& fact : facts) {
            const auto& tp = fact.topic_partition;
            const auto topic = at.offsets.find(tp.topic);
            const auto found = topic == at.offsets.end() ? decltype(topic->second.begin()){}
                                                         : topic->second.find(tp.partition);
            if (topic == at.offsets.end() || found == topic->second.end()) {
                wrong += "; " + plan::to_string(tp) + " is not named";
                continue;
            }
            std::int64_t offset = found->second;
            if (offset == -1) offset = fact.latest;
            if (offset == -2) offset = fact.earliest;
            if (offset < fact.earliest || offset > fact.latest) {
                wrong += "; " + plan::to_string(tp) + " holds offsets " +
                         std::to_string(fact.earliest) + " to " + std::to_string(fact.latest) +
                         ", not " + std::to_string(offset);
            }
            positions[tp].offset = offset;
        }
        if (wrong.empty()) return {};
        return Error{ErrorCode::configuration,
                     "startingOffsets must name exactly the subscribed partitions, with offsets they "
                     "hold (-2 earliest, -1 latest)" +
                         wrong};
    }

    Result<void> move_to(const config::AtTimestamp& at, Facts facts, Positions& positions) {
        const auto partitions = partitions_of(facts);
        SLUICE_TRY(const auto offsets, look_up([&](kafka::Cluster& cluster) {
                       return cluster.offsets_at(partitions, at.timestamp, look_up_timeout);
                   }));
        for (const auto& fact : facts) {
            const auto& tp = fact.topic_partition;
            const auto found = offsets.find(tp);
            if (found != offsets.end() && found->second) {
                positions[tp].offset = *found->second;
            } else if (at.fail_on_no_match) {
                return Error{ErrorCode::configuration,
                             "startingOffsets: " + plan::to_string(tp) +
                                 " has no record at or after " + to_iso8601(at.timestamp) +
                                 "; write noMatch: latest to start such partitions at their end"};
            } else {
                positions[tp].offset = fact.latest;
            }
        }
        return {};
    }

    /// A group's committed offsets; partitions it never committed start at earliest.
    Result<void> move_to(const config::FromGroup& from, Facts facts, Positions& positions) {
        const auto partitions = partitions_of(facts);
        SLUICE_TRY(const auto offsets, look_up([&](kafka::Cluster& cluster) {
                       return cluster.committed_offsets(from.group, partitions, look_up_timeout);
                   }));
        bool any = facts.empty();
        for (const auto& fact : facts) {
            const auto found = offsets.find(fact.topic_partition);
            if (found == offsets.end() || !found->second) continue;
            any = true;
            positions[fact.topic_partition].offset = *found->second;
        }
        if (any) return {};
        return Error{ErrorCode::configuration,
                     "startingOffsets: group '" + from.group +
                         "' has no committed offsets for the subscribed topics (Kafka Connect's sinks "
                         "use connect-NAME); check its name with kafka-consumer-groups --describe"};
    }

    const config::Source config_;
    const kafka::Subscription subscription_;
    kafka::ConsumerPool& pool_;
    kafka::LookupClients& lookups_;
    mutable std::mutex settings_mutex_;  ///< several workers read, and may be refused, at once
    Settings settings_;

    struct Age {
        plan::Position position;
        Milliseconds retention{};
        plan::WrittenAt written;
    };
    std::map<plan::TopicPartition, Age> ages_;  ///< of headroom(): a position that stays is asked once
};

Result<std::map<plan::TopicPartition, Milliseconds>> KafkaSource::headroom(
    const std::map<plan::TopicPartition, plan::Position>& positions, WallTime now) {
    SLUICE_TRY(const auto found, facts({}, std::stop_token{}));
    std::set<std::string> topics;
    for (const auto& fact : found) topics.insert(fact.topic_partition.topic);
    SLUICE_TRY(const auto configs, look_up([&](kafka::Cluster& cluster) {
                   return cluster.topic_configs(topics, look_up_timeout);
               }));

    std::map<plan::TopicPartition, Age> ages;
    for (const auto& fact : found) {
        const auto position = positions.find(fact.topic_partition);
        const auto config = configs.find(fact.topic_partition.topic);
        if (position == positions.end() || config == configs.end()) continue;
        if (position->second.offset >= fact.latest) continue;
        const auto retention =
            plan::time_retention(config->second.cleanup_policy, config->second.retention_ms);
        if (!retention) continue;
        const auto known = ages_.find(fact.topic_partition);
        const bool same = known != ages_.end() && known->second.position == position->second &&
                          known->second.retention == *retention;
        ages[fact.topic_partition] =
            same ? known->second
                 : Age{position->second, *retention, plan::unknown_age(now, *retention)};
    }
    ages_ = std::move(ages);
    for (;;) {
        std::map<plan::TopicPartition, std::int64_t> questions;
        for (const auto& [tp, age] : ages_) {
            if (const auto time = plan::next_question(age.written, age.retention)) questions[tp] = *time;
        }
        if (questions.empty()) break;
        SLUICE_TRY(const auto answers, look_up([&](kafka::Cluster& cluster) {
                       return cluster.offsets_at(questions, look_up_timeout);
                   }));
        for (const auto& [tp, time] : questions) {
            const auto answer = answers.find(tp);
            if (answer == answers.end()) {
                ages_.erase(tp);  // it went away meanwhile
                continue;
            }
            Age& age = ages_.at(tp);
            age.written = plan::narrowed(age.written, time, answer->second, age.position.offset);
        }
    }
    std::map<plan::TopicPartition, Milliseconds> left;
    for (const auto& [tp, age] : ages_) left[tp] = plan::headroom(age.written, age.retention, now);
    return left;
}

}  // namespace

std::unique_ptr<Source> make_kafka_source(const config::Pipeline& pipeline,
                                          kafka::ConsumerPool& pool, kafka::LookupClients& lookups) {
    return std::make_unique<KafkaSource>(pipeline, pool, lookups);
}

}  // namespace sluice::pipeline
