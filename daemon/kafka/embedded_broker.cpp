#include "daemon/kafka/embedded_broker.hpp"

#include <utility>

#include "daemon/kafka/client_conf.hpp"
// After rdkafka.h, as it wants.
#include <librdkafka/rdkafka_mock.h>

namespace sluice::kafka {
namespace {

using MockCluster =
    std::unique_ptr<rd_kafka_mock_cluster_t, Deleter<rd_kafka_mock_cluster_destroy>>;

class MockBroker final : public EmbeddedBroker {
 public:
    MockBroker(Client client, MockCluster cluster, int brokers)
        : client_(std::move(client)), cluster_(std::move(cluster)), brokers_(brokers) {}

    std::string bootstrap_servers() const override {
        return rd_kafka_mock_cluster_bootstraps(cluster_.get());
    }

    Result<void> create_topic(const std::string& topic, int partitions) override {
        const std::string context = "creating topic " + topic + " in the embedded broker";
        if (partitions < 1) {
            return Error{ErrorCode::invalid_argument,
                         context + ": a topic has at least 1 partition"};
        }
        const auto code =
            rd_kafka_mock_topic_create(cluster_.get(), topic.c_str(), partitions, brokers_);
        if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            return Error{ErrorCode::exists, to_error(context, code).message};
        }
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return to_error(context, code);
        return {};
    }

 private:
    Client client_;  // the cluster runs on a thread of its own, on behalf of this client
    MockCluster cluster_;
    int brokers_;
};

}  // namespace

Result<std::unique_ptr<EmbeddedBroker>> EmbeddedBroker::start(int brokers) {
    if (brokers < 1 || brokers > 16) {
        return Error{ErrorCode::invalid_argument, "an embedded cluster has 1 to 16 brokers"};
    }
    SLUICE_TRY(Conf conf,
               make_conf({.properties = {}, .pipeline = "embedded-broker"}, Role::lookup));
    SLUICE_TRY(Client client, make_client(std::move(conf)));
    MockCluster cluster{rd_kafka_mock_cluster_new(client.get(), brokers)};
    if (!cluster) {
        return Error{ErrorCode::failed,
                     "the embedded broker can't listen on a port of 127.0.0.1: is the loopback "
                     "interface up, and is the limit of open files high enough?"};
    }
    return std::unique_ptr<EmbeddedBroker>(
        std::make_unique<MockBroker>(std::move(client), std::move(cluster), brokers));
}

}  // namespace sluice::kafka
