#pragma once
// Three real brokers (kafka_cluster.sh), each of which can be killed, frozen, stopped and started again.

#include <filesystem>
#include <string>

#include "tests/support/kafka_fixture.hpp"

namespace sluice::test {

/// Brokers are numbered from 1. Two of three must live for leadership to change hands.
class KafkaCluster {
 public:
    /// The brokers ctest started (<build>/kafka_cluster), all of them up: what an earlier test left dead
    /// or frozen is up again. Throws, saying how to get one, when there is none.
    static KafkaCluster& real();

    [[nodiscard]] const std::string& bootstrap() const { return client_.bootstrap(); }
    /// For topics and records. Confined to one thread, like every Kafka.
    Kafka& client() { return client_; }
    /// Another one, for another thread. Neither waits long for a broker that is frozen.
    [[nodiscard]] Kafka another_client() const;

    void kill(int broker);      ///< kill -9; returns once it is gone
    void stop(int broker);      ///< SIGTERM, which hands leadership over first; returns once it is gone
    void freeze(int broker);    ///< SIGSTOP
    void thaw(int broker);      ///< SIGCONT
    void start(int broker);     ///< as it was; does not wait for it to work

    /// The broker that leads the partition, as the others see it; -1 while none does.
    [[nodiscard]] int leader(const std::string& topic, std::int32_t partition);
    /// Waits until the partition is led by a broker other than `broker`, and answers which.
    [[nodiscard]] int await_leader_other_than(int broker, const std::string& topic, std::int32_t partition);
    /// Waits until the topic's first `partitions` have a leader and all of their replicas in sync.
    void await_in_sync(const std::string& topic, int partitions);

 private:
    KafkaCluster();
    [[nodiscard]] int pid(int broker) const;
    void signal(int broker, int number) const;
    void await_end(int broker) const;
    [[nodiscard]] bool is_alive(int broker) const;
    void all_up();

    const std::filesystem::path folder_;
    Kafka client_;
};

}  // namespace sluice::test
