#include "daemon/kafka/truncation.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <utility>

#include "daemon/kafka/client_conf.hpp"
#include "daemon/kafka/complaint.hpp"
#include "daemon/kafka/handles.hpp"

namespace sluice::kafka {
namespace {

using Positions = std::map<plan::TopicPartition, plan::Position>;

constexpr Milliseconds pause{10};

PartitionList list_of(const Positions& positions) {
    PartitionList list{rd_kafka_topic_partition_list_new(static_cast<int>(positions.size()))};
    for (const auto& [tp, position] : positions) {
        rd_kafka_topic_partition_t* const entry =
            rd_kafka_topic_partition_list_add(list.get(), tp.topic.c_str(), tp.partition);
        entry->offset = position.offset;
        rd_kafka_topic_partition_set_leader_epoch(entry, position.leader_epoch);
    }
    return list;
}

/// A consumer that goes on where a truncated log ends, instead of failing there.
Result<Conf> make_follower_conf(const ClientSettings& settings) {
    // The first record of each partition is all that is wanted.
    SLUICE_TRY(Conf conf, make_conf(settings, Role::consumer, {64, 1, 64 << 10}));
    std::array<char, 256> text{};
    for (const auto& [name, value] : {std::pair{"auto.offset.reset", "latest"},
                                      // Aborted records tell where a log goes on too.
                                      std::pair{"isolation.level", "read_uncommitted"},
                                      std::pair{"fetch.wait.max.ms", "10"}}) {
        if (rd_kafka_conf_set(conf.get(), name, value, text.data(), text.size()) != RD_KAFKA_CONF_OK) {
            return Error{ErrorCode::configuration, text.data()};
        }
    }
    return conf;
}

class Search {
 public:
    Search(const ClientSettings& settings, const Positions& positions, Milliseconds timeout,
           const std::stop_token& stop)
        : settings_(settings),
          positions_(positions),
          deadline_(system_clock().steady() + timeout),
          stop_(stop) {}

    Result<std::map<plan::TopicPartition, std::int64_t>> run() {
        SLUICE_TRY(Conf conf, make_follower_conf(settings_));
        record_complaints(conf.get(), complaint_);
        SLUICE_TRY(client_, make_client(std::move(conf)));
        rd_kafka_poll_set_consumer(client_.get());
        const PartitionList list = list_of(positions_);
        if (const auto code = rd_kafka_assign(client_.get(), list.get());
            code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return to_error(context, code);
        }
        SLUICE_CHECK(seek(*list));
        return where_it_is_taken();
    }

 private:
    static constexpr const char* context = "asking whether a log was truncated";

    /// librdkafka 2.8 takes the position of an assignment as it is (its issue 5158); that of a seek is
    /// always validated. Nothing is served before: what came of the assignment is then outdated.
    Result<void> seek(rd_kafka_topic_partition_list_t& list) {
        for (;;) {
            const ErrorHandle error{rd_kafka_seek_partitions(client_.get(), &list, left_ms())};
            const bool all_went = !error && std::all_of(list.elems, list.elems + list.cnt, [](const auto& p) {
                return p.err == RD_KAFKA_RESP_ERR_NO_ERROR;
            });
            if (all_went) return {};
            // Refused while the partitions are being looked up.
            if (!system_clock().wait(pause, stop_)) return stopped();
            SLUICE_CHECK(go_on());
        }
    }

    Result<std::map<plan::TopicPartition, std::int64_t>> where_it_is_taken() {
        std::map<plan::TopicPartition, std::int64_t> first;
        // No pause in here: all of a fetch is served before the first record of the next partition.
        while (first.size() < positions_.size()) {
            SLUICE_CHECK(go_on());
            const Message message{rd_kafka_consumer_poll(client_.get(), static_cast<int>(pause.count()))};
            if (!message) continue;
            if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR ||
                message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
                first.try_emplace({rd_kafka_topic_name(message->rkt), message->partition}, message->offset);
            } else {
                last_trouble_ = rd_kafka_message_errstr(message.get());
            }
        }
        std::erase_if(first, [&](const auto& entry) {
            return entry.second >= positions_.at(entry.first).offset;
        });
        return first;
    }

    /// An error when there is no point, or no time.
    Result<void> go_on() {
        if (complaint_.is_refusal()) {
            return to_error(context, complaint_.code, complaint_.reason, {.principal = settings_.principal});
        }
        if (stop_.stop_requested()) return stopped();
        if (left_ms() > 0) return {};
        return Error{ErrorCode::unavailable,
                     std::string(context) + ": no answer for each of " +
                         std::to_string(positions_.size()) + " partitions" +
                         (last_trouble_.empty() ? "" : "; last heard: " + last_trouble_),
                     true};
    }

    static Error stopped() { return Error{ErrorCode::stopping, std::string("stopped while ") + context}; }

    [[nodiscard]] int left_ms() const {
        const auto left = std::chrono::duration_cast<Milliseconds>(deadline_ - system_clock().steady());
        return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }

    const ClientSettings& settings_;
    const Positions& positions_;
    const SteadyTime deadline_;
    const std::stop_token& stop_;
    Complaint complaint_;  // the client's callback writes here: outlives it
    Client client_;
    std::string last_trouble_;
};

}  // namespace

Result<std::map<plan::TopicPartition, std::int64_t>> find_truncations(
    const ClientSettings& settings, const Positions& positions, Milliseconds timeout,
    const std::stop_token& stop) {
    Positions askable = positions;
    std::erase_if(askable, [](const auto& entry) { return entry.second.leader_epoch < 0; });
    if (askable.empty()) return std::map<plan::TopicPartition, std::int64_t>{};
    return Search(settings, askable, timeout, stop).run();
}

}  // namespace sluice::kafka
