#include "plugins/kafka/kafka_sink.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <stdexcept>
#include <utility>

#include "daemon/base/failpoint.hpp"
#include "plugins/kafka/conf.hpp"
#include "plugins/kafka/marker_reader.hpp"

namespace sluice::plugins::kafka {
namespace {

using std::chrono::milliseconds;

/// Short beside the time in which a full queue is sent: delivered records are not reported, so nothing ends
/// the wait before its time.
constexpr milliseconds queue_wait = milliseconds(10);
/// A queue that stays full once the daemon is being stopped ends the batch after so many waits.
constexpr int queue_waits_at_stop = 500;

std::int64_t now_ms() {
    return std::chrono::duration_cast<milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

std::string create_command(const Options& options, const std::string& topic, int partitions) {
    return "kafka-topics.sh --bootstrap-server " + options.properties.at("bootstrap.servers") +
           " --create --topic " + topic +
           (partitions > 0 ? " --partitions " + std::to_string(partitions) : "");
}

/// The same for the same brokers, in whichever order and however they are written (a YAML block ends in a newline).
/// Of very many the first ones stand for all: a name has SLUICE_TARGET_MAX bytes.
std::string one_line(const std::string& servers) {
    constexpr std::size_t bytes_max = 512;
    std::set<std::string> each;
    std::string server;
    for (const char c : servers + ",") {
        if (std::string_view(", \t\r\n").find(c) == std::string_view::npos) {
            server += c;
        } else if (!server.empty()) {
            each.insert(std::exchange(server, {}));
        }
    }
    std::string line;
    for (const std::string& one : each) {
        if (line.size() + one.size() > bytes_max && !line.empty()) break;
        line += (line.empty() ? "" : ",") + one;
    }
    return line;
}

/// What a target topic must have: partitions for `keep`, else any.
using Needs = std::map<std::string, int>;

}  // namespace

std::int32_t KafkaSink::guarantee(const Config& config) {
    return config.settings.boolean("transactions", true) ? SLUICE_EXACTLY_ONCE : SLUICE_AT_LEAST_ONCE;
}

std::string KafkaSink::target(const Config& config) {
    const Options options = read_options(config.settings, config.pipeline);
    if (!options.transactions) return "";
    return one_line(options.properties.at("bootstrap.servers")) + ", transactional id " + options.transactional_id;
}

Status KafkaSink::check(const Config& config) {
    try {
        (void)make_conf(read_options(config.settings, config.pipeline), Role::producer);
    } catch (const std::invalid_argument& wrong) {
        return Status::fatal(wrong.what());
    }
    return {};
}

KafkaSink::KafkaSink(Host host, const Config& config, std::optional<std::string_view> receipt)
    : host_(host),
      options_(read_options(config.settings, config.pipeline)),
      pipeline_(config.pipeline),
      source_cluster_(config.cluster_id),
      next_batch_(static_cast<std::int64_t>(config.next_batch_id)) {
    options_.buffer_max = config.buffer_size(options_.buffer_max, buffer_least);
    if (receipt) {
        received_ = std::string(*receipt);
        receipt_ = Receipt::read(*receipt);
    }
    try {
        connect();
    } catch (const ClusterError& error) {
        if (error.kind() == ErrorKind::retry) throw Retry(error.what());
        throw;
    }
    host_.info("target cluster " + target_cluster_ +
               (options_.transactions ? ", transactional id " + options_.transactional_id : ""));
    if (!options_.transactions)
        host_.warning("transactions: false: a batch that is run again, after a crash or a failure, may come "
                      "twice");
}

void KafkaSink::connect() {
    is_known_ = false;
    partitions_.clear();
    client_.emplace(options_, host_, alone_ == batch_ && batch_ != no_batch);
    try {
        target_cluster_ = client_->cluster_id();
        if (!options_.target_cluster.empty() && options_.target_cluster != target_cluster_)
            throw ClusterError(ErrorKind::fatal,
                               "targetCluster is " + options_.target_cluster +
                                   ", and the brokers of kafka.bootstrap.servers are of cluster " +
                                   target_cluster_);
        is_new_target_ = received_ && receipt_.target_cluster != target_cluster_;
        if (is_new_target_ && options_.target_cluster.empty())
            throw ClusterError(
                ErrorKind::fatal,
                "the checkpoint says that batches went to cluster " + receipt_.target_cluster +
                    ", and this one is " + target_cluster_ +
                    ": correct bootstrap.servers, or set targetCluster: " + target_cluster_ +
                    " to go on there");
        if (!options_.transactions) return;
        const std::string objection =
            objection_to({pipeline_, received_.has_value(), std::max(next_batch_, batch_), untried_,
                          read_newest_marker(options_, host_, false)},
                         options_.marker_group);
        if (!objection.empty()) throw ClusterError(ErrorKind::fatal, objection);
        client_->init_transactions();
    } catch (...) {
        client_.reset();
        throw;
    }
}

std::optional<std::string> KafkaSink::initial_receipt() {
    if (!received_) {
        receipt_ = receipt_of(no_batch, now_ms());
        received_ = receipt_.text();
    }
    return received_;
}

Marker KafkaSink::marker_of(std::int64_t batch, std::string plan) const {
    return {batch, std::move(plan), source_cluster_, now_ms()};
}

Receipt KafkaSink::receipt_of(std::int64_t batch, std::int64_t at_ms) const {
    return {batch, target_cluster_, at_ms, options_.transactions ? options_.transactional_id : ""};
}

void KafkaSink::prepare_topics(const Batch& batch) {
    Needs needs;
    std::set<std::string> sources;
    marker_topic_ = options_.marker_topic;
    for (const Range range : batch.ranges) {
        const std::string target = options_.topics.target_of(range.topic);
        if (marker_topic_.empty()) marker_topic_ = target;
        sources.insert(std::string(range.topic));
        int& needed = needs[target];
        needed = std::max(needed, options_.keep_partition ? range.partition + 1 : 1);
    }
    if (options_.transactions && !marker_topic_.empty()) needs.try_emplace(marker_topic_, 1);
    if (target_cluster_ == source_cluster_) {
        std::set<std::string> targets;
        for (const auto& [topic, needed] : needs)
            targets.insert(topic);
        if (const std::string both = traffic_.add(sources, targets); !both.empty())
            throw ClusterError(ErrorKind::fatal,
                               "topic " + both +
                                   " is read and written by this pipeline, in one cluster: correct `topic` or "
                                   "`routes`, or `subscribe` and `subscribePattern`, so that it does not "
                                   "read what it writes");
    }
    std::set<std::string> unknown;
    const auto look_up = [&] {
        unknown.clear();
        for (const auto& [topic, needed] : needs) {
            const auto found = partitions_.find(topic);
            if (found == partitions_.end() || found->second < needed) unknown.insert(topic);
        }
        for (const auto& [topic, count] : client_->partitions_of(unknown))
            partitions_[topic] = count;
    };
    look_up();
    bool created = false;
    for (const std::string& topic : unknown) {
        const auto found = partitions_.find(topic);
        const int needed = needs.at(topic);
        if (found == partitions_.end()) {
            const int wanted = options_.create_partitions != 0 ? options_.create_partitions
                               : options_.keep_partition       ? needed
                                                               : 0;
            if (!options_.create_topics)
                throw ClusterError(ErrorKind::fatal,
                                   "the target cluster has no topic " + topic +
                                       ": set createTopics: true, or create it: " +
                                       create_command(options_, topic, wanted));
            client_->create_topic(topic,
                                  std::max(wanted, options_.keep_partition ? needed : wanted));
            host_.info("created topic " + topic + " in the target cluster");
            created = true;
        } else if (found->second < needed) {
            if (!options_.create_topics)
                throw ClusterError(
                    ErrorKind::fatal,
                    "topic " + topic + " of the target cluster has " +
                        std::to_string(found->second) + " partitions, and partition: keep needs " +
                        std::to_string(needed) + ": add them (kafka-topics.sh --alter --topic " +
                        topic + " --partitions " + std::to_string(needed) +
                        "), set createTopics: true, or set partition: hash");
            client_->create_partitions(topic, needed);
            host_.info("topic " + topic + " of the target cluster has " + std::to_string(needed) +
                       " partitions now");
            created = true;
        }
    }
    if (!created) return;
    look_up();
    for (const auto& [topic, needed] : needs)
        if (const auto found = partitions_.find(topic);
            found == partitions_.end() || found->second < needed)
            throw ClusterError(ErrorKind::retry, "topic " + topic +
                                                     " was created a moment ago, and the "
                                                     "brokers do not all know it yet");
}

std::optional<Status> KafkaSink::find(const Batch& batch) {
    if (!is_known_) newest_ = read_newest_marker(options_, host_, true);
    is_known_ = true;
    Situation situation;
    situation.batch = batch_;
    situation.plan = plan_;
    situation.source_cluster = source_cluster_;
    situation.transactional_id = options_.transactional_id;
    situation.may_be_there = batch.is_rerun && untried_ != batch_;
    situation.receipt = receipt_;
    situation.newest = newest_;
    situation.is_new_target = is_new_target_;
    situation.run_without_marker = options_.run_without_marker;
    situation.now_ms = now_ms();
    const Verdict verdict = judge(situation, options_.marker_group);
    switch (verdict.kind) {
        case Verdict::already_committed:
            receipt_ = receipt_of(batch_, newest_->at_ms);
            return Status::already_committed(receipt_.text());
        case Verdict::stop:
            is_known_ = false;  // whoever looks into it may change it
            return Status::fatal(verdict.why);
        case Verdict::renew_and_write:
            if (!verdict.why.empty()) host_.warning(verdict.why);
            renew_marker();
            return std::nullopt;
        case Verdict::write:
            return std::nullopt;
    }
    return std::nullopt;
}

void KafkaSink::renew_marker() {
    const Marker marker = marker_of(receipt_.batch, newest_ ? newest_->plan : "");
    client_->begin_transaction();
    client_->put_marker(marker_topic_, marker);
    client_->commit_transaction();
    newest_ = marker;
}

Status KafkaSink::begin(const Batch& batch) {
    batch_ = static_cast<std::int64_t>(batch.id);
    plan_ = plan_of(batch);
    starts_.clear();
    for (const Range range : batch.ranges) {
        if (range.index > range_index_max ||
            static_cast<std::uint64_t>(range.until - range.from) > distance_max)
            return Status::fatal(
                "this batch has too many ranges, or one that is too long: set "
                "maxRecordsPerPartition");
        starts_.push_back(range.from);
    }
    if (!batch.is_rerun) untried_ = batch_;
    try {
        if (client_ && client_->is_alone() != (alone_ == batch_)) client_.reset();
        if (!client_) connect();
        client_->forget_losses();
        prepare_topics(batch);
        if (!options_.transactions) return {};
        failpoint("kafka.begin.before_find");
        if (const auto found = find(batch)) return *found;
        client_->begin_transaction();
        failpoint("kafka.begin.after_begin");
    } catch (const ClusterError& error) {
        client_.reset();  // the next attempt starts over
        return answer_to(error);
    } catch (const std::invalid_argument& wrong) {
        return Status::fatal(wrong.what());
    }
    return {};
}

Status KafkaSink::answer_to(const ClusterError& error) {
    return error.kind() == ErrorKind::retry ? Status::retry(error.what())
                                            : Status::fatal(error.what());
}

Status KafkaSink::lost() {
    const Losses& losses = client_->losses();
    if (losses.error && losses.error->kind() != ErrorKind::retry)
        return Status::fatal(losses.error->what());
    if (losses.error) partitions_.clear();  // a topic may have gone
    for (const RefusedRecord& record : losses.refused)
        if (record.origin.range_index < starts_.size())
            host_.refuse(record.origin.range_index,
                         starts_[record.origin.range_index] +
                             static_cast<std::int64_t>(record.origin.distance),
                         "the target cluster refused it: " + record.reason);
    if (!losses.refused.empty()) return Status::batch_lost("the target cluster refused records");
    if (losses.error) return Status::batch_lost(losses.error->what());
    alone_ = batch_;
    return Status::batch_lost("the target cluster refused a record: " + losses.suspected +
                              ". The batch is run again, each record alone, to find it");
}

std::unique_ptr<Writer> KafkaSink::open_writer(const Range& range) {
    return std::make_unique<RecordWriter>(*this, range);
}

Status KafkaSink::commit(std::uint64_t) {
    const Marker marker = marker_of(batch_, plan_);
    bool may_be_committed = false;
    try {
        failpoint("kafka.commit.before_flush");
        client_->flush();
        if (client_->losses().any()) return lost();
        if (options_.transactions) {
            failpoint("kafka.commit.before_offsets");
            client_->put_marker(marker_topic_, marker);
            failpoint("kafka.commit.after_offsets");
            untried_ = no_batch;
            may_be_committed = true;
            client_->commit_transaction();
            failpoint("kafka.commit.after_commit");
            newest_ = marker;
        }
    } catch (const ClusterError& error) {
        // What the commit came to is seen by the producer that ends its transaction.
        if (may_be_committed) client_.reset();
        return answer_to(error);
    }
    receipt_ = receipt_of(batch_, marker.at_ms);  // as begin() will find it
    is_new_target_ = false;
    return Status::ok(receipt_.text());
}

Status KafkaSink::abort(std::uint64_t) {
    if (!client_) return {};
    const bool is_usable = options_.transactions && client_->abort_transaction();
    // A record that was refused has taken a sequence number. librdkafka 2.x may go on behind it in the next
    // transaction, which the broker refuses, and then waits for acknowledgements that never come. Asked
    // after the abort, which waits for the requests that were on their way: one of them may be refused.
    if (!is_usable || client_->losses().any()) client_.reset();
    return {};
}

RecordWriter::RecordWriter(KafkaSink& sink, const Range& range)
    : sink_(sink),
      topic_(sink.client_->topic(sink.options_.topics.target_of(range.topic))),
      source_topic_(range.topic),
      range_index_(range.index),
      from_(range.from) {}

void RecordWriter::set_headers(Outgoing& outgoing, Record record) const {
    outgoing.headers.reset();
    outgoing.header_bytes = 0;
    const Headers headers = sink_.host_.headers(record);
    const bool with_origin = sink_.options_.origin_headers;
    if (headers.empty() && !with_origin) return;
    outgoing.headers.reset(rd_kafka_headers_new(headers.size() + 3));
    const auto add = [&](std::string_view name, std::optional<std::string_view> value) {
        outgoing.header_bytes += name.size() + (value ? value->size() : 0);
        rd_kafka_header_add(outgoing.headers.get(), name.data(), static_cast<ssize_t>(name.size()),
                            value ? value->data() : nullptr,
                            value ? static_cast<ssize_t>(value->size()) : 0);
    };
    for (const Header header : headers)
        add(header.name, header.value);
    if (with_origin) {
        add("sluice.origin.topic", source_topic_);
        add("sluice.origin.partition", std::to_string(record.partition()));
        add("sluice.origin.offset", std::to_string(record.offset()));
    }
}

Status RecordWriter::write(Records records) {
    Client& client = *sink_.client_;
    std::vector<Rejection> rejections;  // allocates for refused records only
    Outgoing outgoing;
    int waits_at_stop = 0;
    for (std::size_t i = 0; i < records.size(); ++i) {
        const Record record = records[i];
        outgoing.partition = sink_.options_.keep_partition ? record.partition() : -1;
        outgoing.key = record.key();
        outgoing.value = record.value();
        // librdkafka takes 0 for "now"; a millisecond is the lesser untruth.
        outgoing.timestamp_ms = record.timestamp_ms() == 0 ? 1 : record.timestamp_ms();
        set_headers(outgoing, record);
        outgoing.origin = {range_index_, static_cast<std::uint64_t>(record.offset() - from_)};
        Taken taken = Taken::queue_full;
        while ((taken = client.produce(topic_, outgoing)) == Taken::queue_full) {
            client.poll(queue_wait);
            if (client.losses().any()) return sink_.lost();
            if (sink_.host_.stopping() && ++waits_at_stop > queue_waits_at_stop)
                return Status::batch_lost("stopped while the target cluster took no records");
        }
        if (taken == Taken::failed) return sink_.lost();
        if (taken == Taken::too_large)
            rejections.push_back({i, "larger than message.max.bytes: raise it in `kafka`"});
    }
    client.poll(milliseconds(0));
    if (client.losses().any()) return sink_.lost();
    failpoint("kafka.write.after_produce");
    return rejections.empty() ? Status() : Status::reject(std::move(rejections));
}

Status RecordWriter::close(bool) {
    return {};
}

}  // namespace sluice::plugins::kafka
