// What the cluster's look-ups make of brokers that fail: missing and unanswered must never be mixed
// up, because a partition that is left out counts as gone.

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <thread>

#include "daemon/base/log.hpp"
#include "daemon/base/paced_socket.hpp"
#include "daemon/kafka/client_conf.hpp"
#include "daemon/kafka/cluster.hpp"
// After rdkafka.h, as it wants.
#include <librdkafka/rdkafka_mock.h>

using namespace sluice;
using namespace sluice::kafka;

namespace {

constexpr Milliseconds patience{3000};

std::mutex connects_mutex;
std::map<std::thread::id, int> connects;  ///< tried by each thread

int most_connects_of_a_thread() {
    const std::lock_guard lock(connects_mutex);
    const auto most = std::max_element(connects.begin(), connects.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    return most == connects.end() ? 0 : most->second;
}

constexpr std::int16_t list_offsets_api = 2;
constexpr std::int16_t offset_commit_api = 8;

struct Faulty {
    using Mock = std::unique_ptr<rd_kafka_mock_cluster_t, Deleter<rd_kafka_mock_cluster_destroy>>;
    Client client;
    Mock mock;
    std::unique_ptr<Cluster> cluster;
    std::vector<Cluster::Partition> partitions;

    /// One for all tests with that many brokers, because its end takes a second. Each test leaves
    /// it as it was.
    template <int brokers>
    static Faulty& shared() {
        // The logger must outlive what logs at its end.
        log::configure(log::Format::text, log::Level::warning);
        static Faulty faulty{brokers};
        return faulty;
    }

    /// One topic whose partition p is led by broker p + 1.
    explicit Faulty(int brokers) {
        auto conf = make_conf({.properties = {}, .pipeline = "mock"}, Role::lookup);
        REQUIRE(conf);
        auto made = make_client(std::move(*conf));
        REQUIRE(made);
        client = std::move(*made);
        mock.reset(rd_kafka_mock_cluster_new(client.get(), brokers));
        REQUIRE(rd_kafka_mock_topic_create(mock.get(), "orders", brokers, brokers) ==
                RD_KAFKA_RESP_ERR_NO_ERROR);
        for (int p = 0; p < brokers; ++p) {
            rd_kafka_mock_partition_set_leader(mock.get(), "orders", p, p + 1);
            partitions.push_back({{"orders", p}, "", -1});
        }
        auto opened = open_cluster(
            {.properties = {{"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(mock.get())}},
             .pipeline = "test"});
        REQUIRE(opened);
        cluster = std::move(*opened);
    }

    void next_errors(std::initializer_list<rd_kafka_resp_err_t> codes) {
        for (const auto code : codes) {
            rd_kafka_mock_push_request_errors(mock.get(), list_offsets_api, 1, code);
        }
    }
};

}  // namespace

/// In place of libc's, for librdkafka too.
extern "C" int connect(int socket, const sockaddr* address, socklen_t size) {
    {
        const std::lock_guard lock(connects_mutex);
        ++connects[std::this_thread::get_id()];
    }
    return static_cast<int>(syscall(SYS_connect, socket, address, size));
}

TEST_CASE("a broker that is down is not connected to over and over while a look-up waits for it") {
    auto& faulty = Faulty::shared<3>();
    REQUIRE(faulty.cluster->offsets(faulty.partitions, patience));
    rd_kafka_mock_broker_set_down(faulty.mock.get(), 2);
    {
        const std::lock_guard lock(connects_mutex);
        connects.clear();
    }
    const SteadyTime began = system_clock().steady();
    CHECK_FALSE(faulty.cluster->offsets(faulty.partitions, Milliseconds{1000}));
    const int most = most_connects_of_a_thread();
    rd_kafka_mock_broker_set_up(faulty.mock.get(), 2);
    CHECK(most > 0);
    CHECK(most <= (system_clock().steady() - began) / connect_pause + 2);
}

TEST_CASE("partitions of a broker that is down are an error, never left out") {
    auto& faulty = Faulty::shared<3>();
    auto facts = faulty.cluster->offsets(faulty.partitions, patience);
    REQUIRE(facts);
    CHECK(facts->size() == 3);
    rd_kafka_mock_broker_set_down(faulty.mock.get(), 2);
    facts = faulty.cluster->offsets(faulty.partitions, Milliseconds{1000});
    REQUIRE_FALSE(facts);
    CHECK(facts.error().code == ErrorCode::unavailable);
    CHECK(facts.error().retriable);
    rd_kafka_mock_broker_set_up(faulty.mock.get(), 2);
}

TEST_CASE("a partition without a leader is an error, never left out") {
    auto& faulty = Faulty::shared<1>();
    rd_kafka_mock_partition_set_leader(faulty.mock.get(), "orders", 0, -1);
    const auto facts = faulty.cluster->offsets(faulty.partitions, Milliseconds{1000});
    rd_kafka_mock_partition_set_leader(faulty.mock.get(), "orders", 0, 1);
    REQUIRE_FALSE(facts);
    CHECK(facts.error().code == ErrorCode::unavailable);
}

TEST_CASE("a leader that moved is looked for once more") {
    auto& faulty = Faulty::shared<1>();
    faulty.next_errors({RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION});
    const auto facts = faulty.cluster->offsets(faulty.partitions, patience);
    REQUIRE(facts);
    CHECK(facts->size() == 1);
}

TEST_CASE("a leader that goes on moving is an error that names the partition") {
    auto& faulty = Faulty::shared<1>();
    faulty.next_errors(
        {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION});
    const auto facts = faulty.cluster->offsets(faulty.partitions, patience);
    REQUIRE_FALSE(facts);
    CHECK(facts.error().code == ErrorCode::unavailable);
    CHECK(facts.error().message.find("orders-0") != std::string::npos);
}

TEST_CASE("a permission that is missing is an error with its remedy") {
    auto& faulty = Faulty::shared<1>();
    faulty.next_errors({RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
    const auto facts = faulty.cluster->offsets(faulty.partitions, patience);
    REQUIRE_FALSE(facts);
    CHECK(facts.error().code == ErrorCode::denied);
    CHECK(facts.error().retriable);  // an operator may be granting it right now
    CHECK_MESSAGE(facts.error().message.find("kafka-acls.sh --add") != std::string::npos,
                  facts.error().message);
}

TEST_CASE("a group whose offsets may not be set is an error that says to grant Read on it") {
    auto& faulty = Faulty::shared<1>();
    rd_kafka_mock_push_request_errors(faulty.mock.get(), offset_commit_api, 1,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    std::map<plan::TopicPartition, std::int64_t> offsets;
    offsets[{"orders", 0}] = 5;
    const auto set = faulty.cluster->set_committed_offsets("lag", offsets, patience);
    REQUIRE_FALSE(set);
    CHECK(set.error().code == ErrorCode::denied);
    CHECK_MESSAGE(set.error().message.find("--operation Read --group lag") != std::string::npos,
                  set.error().message);
}

TEST_CASE("a partition that its leader does not know is left out") {
    auto& faulty = Faulty::shared<1>();
    faulty.next_errors({RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART});
    const auto facts = faulty.cluster->offsets(faulty.partitions, patience);
    REQUIRE(facts);
    CHECK(facts->empty());
}
