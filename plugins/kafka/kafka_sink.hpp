#pragma once
// The sink: glue between the ABI's calls, the names of topics, and the producer.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/kafka/client.hpp"
#include "plugins/kafka/marker.hpp"
#include "plugins/kafka/options.hpp"
#include "sluice/sink.hpp"

namespace sluice::plugins::kafka {

/// Ordered, because Kafka promises the order of a partition: pieces of one must not overtake each
/// other. So nothing here needs a mutex.
inline constexpr Description description =
    describe(
        "kafka", SLUICE_PLUGIN_VERSION,
        "Writes records to topics of this or another Kafka cluster, a transaction for each batch.")
        .exactly_once()
        .ordered()
        .options(option_table);

/// One per pipeline; threads as sluice/sink.h says. A crash loses nothing that was committed: the
/// transaction that was open is aborted by the next daemon's producer, or found committed by
/// begin().
class KafkaSink final : public Sink {
 public:
    KafkaSink(Host host, const Config& config, std::optional<std::string_view> receipt);
    static Status check(const Config& config);
    /// Without transactions what a batch has sent before it is run again stays.
    static std::int32_t guarantee(const Config& config);
    /// The transactional id in its cluster: any number of pipelines may write to a topic, each by an id of
    /// its own. Without transactions nothing.
    static std::string target(const Config& config);

    Status begin(const Batch& batch) override;
    std::unique_ptr<Writer> open_writer(const Range& range) override;
    Status commit(std::uint64_t batch_id) override;
    Status abort(std::uint64_t batch_id) override;
    std::optional<std::string> initial_receipt() override;

 private:
    friend class RecordWriter;

    void connect();
    void prepare_topics(const Batch& batch);
    /// nullopt: it has to be written.
    std::optional<Status> find(const Batch& batch);
    void renew_marker();
    [[nodiscard]] Marker marker_of(std::int64_t batch, std::string plan) const;
    [[nodiscard]] Receipt receipt_of(std::int64_t batch, std::int64_t at_ms) const;
    /// What was lost, as the answer to write(), close() or commit(); names the records refused.
    Status lost();
    Status answer_to(const ClusterError& error);

    Host host_;
    Options options_;
    std::string pipeline_;
    std::string source_cluster_;
    std::string target_cluster_;
    std::int64_t next_batch_;  // at open()
    std::optional<std::string>
        received_;     // at open(), or made there: what the checkpoint began with
    Receipt receipt_;  // of the newest batch that the checkpoint knows of
    bool is_new_target_ = false;

    std::optional<Client> client_;
    std::optional<Marker> newest_;   // in the target, while is_known_
    bool is_known_ = false;          // nobody else can have written since: the id is ours
    std::int64_t alone_ = no_batch;  // whose records are sent each alone, to find the bad one

    std::int64_t batch_ = no_batch;  // begun
    std::string plan_;
    std::vector<std::int64_t> starts_;  // of its ranges
    std::string marker_topic_;
    std::int64_t untried_ =
        no_batch;  // begun first by this process, which never came to its commit
    std::map<std::string, int> partitions_;  // of target topics
    Traffic traffic_;                        // while source and target are one cluster
};

/// Hands records of one range to the producer.
class RecordWriter final : public Writer {
 public:
    RecordWriter(KafkaSink& sink, const Range& range);
    Status write(Records records) override;
    Status close(bool keep) override;

 private:
    /// Its own, and where it is from.
    void set_headers(Outgoing& outgoing, Record record) const;

    KafkaSink& sink_;
    rd_kafka_topic_t* topic_;
    std::string source_topic_;
    std::uint32_t range_index_;
    std::int64_t from_;
};

}  // namespace sluice::plugins::kafka
