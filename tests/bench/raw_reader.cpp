#include "tests/bench/raw_reader.hpp"

#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

namespace sluice::bench {
namespace {

constexpr std::size_t batch_records = 1000;
constexpr int batch_timeout_ms = 20;
constexpr std::size_t chunk_bytes = 1U << 20;

void need(bool holds, const std::string& what) {
    if (!holds) throw std::runtime_error("raw reader: " + what);
}

/// Appends in large pieces.
class Out {
 public:
    explicit Out(const std::string& path) : fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
        need(fd_ >= 0, "cannot write " + path);
        text_.reserve(chunk_bytes + 4096);
    }
    ~Out() { close(fd_); }
    Out(const Out&) = delete;
    Out& operator=(const Out&) = delete;
    void add(const void* bytes, std::size_t size) {
        text_.append(static_cast<const char*>(bytes), size);
        text_ += '\n';
        if (text_.size() >= chunk_bytes) put();
    }
    void finish() {
        put();
        need(fsync(fd_) == 0, "fsync failed");
    }

 private:
    void put() {
        need(write(fd_, text_.data(), text_.size()) == static_cast<ssize_t>(text_.size()), "write failed");
        text_.clear();
    }
    int fd_;
    std::string text_;
};

/// Asks for offsets. One with a group looks for its coordinator first, and then often takes a second for its first answer.
rd_kafka_t* make_asking_client(const std::string& bootstrap) {
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    char why[512] = "";
    need(rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap.c_str(), why, sizeof why) == RD_KAFKA_CONF_OK, why);
    rd_kafka_t* const client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    need(client != nullptr, why);
    return client;
}

/// At its best: measured settings, not defaults.
rd_kafka_t* make_client(const std::string& bootstrap, int fetch_bytes) {
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    char why[512] = "";
    const std::pair<const char*, std::string> settings[] = {{"bootstrap.servers", bootstrap},
                                                            {"group.id", "raw"},
                                                            {"enable.auto.commit", "false"},
                                                            {"auto.offset.reset", "error"},
                                                            {"isolation.level", "read_committed"},
                                                            {"fetch.queue.backoff.ms", "1"},
                                                            {"fetch.wait.max.ms", "100"},
                                                            {"fetch.message.max.bytes", std::to_string(fetch_bytes)},
                                                            {"queued.min.messages", "100000"}};
    for (const auto& [name, value] : settings) {
        need(rd_kafka_conf_set(conf, name, value.c_str(), why, sizeof why) == RD_KAFKA_CONF_OK, why);
    }
    rd_kafka_t* const client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    need(client != nullptr, why);
    return client;
}

/// One of `of` equal pieces of a partition.
struct Piece {
    int partition = 0;
    int number = 0;
    int of = 1;
};

std::int64_t read_some(const RawRead& read, const std::vector<Piece>& pieces) {
    rd_kafka_t* const client = make_client(read.bootstrap, read.fetch_bytes);
    rd_kafka_poll_set_consumer(client);
    // A client that does not know the leaders of what it is assigned may ask for them a second later.
    rd_kafka_topic_t* const topic = rd_kafka_topic_new(client, read.topic.c_str(), nullptr);
    const struct rd_kafka_metadata* metadata = nullptr;
    const auto known = rd_kafka_metadata(client, 0, topic, &metadata, 30'000);
    need(known == RD_KAFKA_RESP_ERR_NO_ERROR, rd_kafka_err2str(known));
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_t* const asking = make_asking_client(read.bootstrap);
    std::map<int, std::int64_t> left;
    std::map<int, std::unique_ptr<Out>> files;
    rd_kafka_topic_partition_list_t* const assignment =
        rd_kafka_topic_partition_list_new(static_cast<int>(pieces.size()));
    for (const auto& [p, number, of] : pieces) {
        std::int64_t low = 0;
        std::int64_t high = 0;
        const auto asked = rd_kafka_query_watermark_offsets(asking, read.topic.c_str(), p, &low, &high, 30'000);
        need(asked == RD_KAFKA_RESP_ERR_NO_ERROR, rd_kafka_err2str(asked));
        const std::int64_t from = low + (high - low) * number / of;
        const std::int64_t until = low + (high - low) * (number + 1) / of;
        if (until > from) left[p] = until - 1;
        rd_kafka_topic_partition_list_add(assignment, read.topic.c_str(), p)->offset = from;
        if (read.out.empty()) continue;
        files[p] = std::make_unique<Out>(read.out + "/" + std::to_string(p) + (of == 1 ? "" : "-" + std::to_string(number)));
    }
    rd_kafka_assign(client, assignment);
    rd_kafka_topic_partition_list_destroy(assignment);
    rd_kafka_queue_t* const queue = rd_kafka_queue_get_consumer(client);
    std::vector<rd_kafka_message_t*> messages(batch_records);
    std::int64_t records = 0;
    while (!left.empty()) {
        const ssize_t got = rd_kafka_consume_batch_queue(queue, batch_timeout_ms, messages.data(), batch_records);
        need(got >= 0, "consume failed");
        for (ssize_t i = 0; i < got; ++i) {
            rd_kafka_message_t* const message = messages[static_cast<std::size_t>(i)];
            const auto end = left.find(message->partition);
            if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && end != left.end()) {
                ++records;
                if (!read.out.empty()) files.at(message->partition)->add(message->payload, message->len);
                if (message->offset >= end->second) left.erase(end);
            }
            rd_kafka_message_destroy(message);
        }
    }
    for (auto& [p, file] : files) file->finish();
    rd_kafka_queue_destroy(queue);
    // Clients and topic go with the process: to destroy one takes a second, by chance.
    return records;
}

}  // namespace

std::int64_t read_raw(const RawRead& read) {
    const int pieces = std::max(1, read.clients / read.partitions);
    std::vector<std::vector<Piece>> shares(static_cast<std::size_t>(read.clients));
    for (int i = 0; i < read.partitions * pieces; ++i) {
        shares[static_cast<std::size_t>(i % read.clients)].push_back({i / pieces, i % pieces, pieces});
    }
    std::atomic<std::int64_t> records{0};
    std::vector<std::thread> threads;
    for (const auto& share : shares) {
        threads.emplace_back([&records, &read, &share] { records += read_some(read, share); });
    }
    for (auto& thread : threads) thread.join();
    return records;
}

}  // namespace sluice::bench
