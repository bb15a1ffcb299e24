#include "plugins/kafka/errors.hpp"

#include <algorithm>
#include <iterator>

namespace sluice::plugins::kafka {

ErrorKind kind_of(rd_kafka_resp_err_t code) {
    switch (code) {
        case RD_KAFKA_RESP_ERR__FENCED:
        case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
        case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
            return ErrorKind::fenced;
        case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
        case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
        case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
        case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
        case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
        case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
        case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
        case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        case RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
            return ErrorKind::fatal;
        default:
            // Refused logins and ACLs too: an operator puts them right while the pipeline waits.
            return ErrorKind::retry;
    }
}

bool is_passing(rd_kafka_resp_err_t code) {
    switch (code) {
        case RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT:
        case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
        case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
        case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
        case RD_KAFKA_RESP_ERR__TRANSPORT:
        case RD_KAFKA_RESP_ERR__TIMED_OUT:
            return true;
        default:
            return false;
    }
}

Delivery delivery_of(rd_kafka_resp_err_t code) {
    switch (code) {
        case RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD:
        case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
        case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
            return Delivery::other;
        // The broker says which records of the request it means, librdkafka 2.8 hands the error to all of
        // them when the request is a transaction's.
        case RD_KAFKA_RESP_ERR_INVALID_RECORD:
        case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
            return Delivery::suspect;
        default:
            return Delivery::failed;
    }
}

std::string remedy_of(rd_kafka_resp_err_t code, std::string_view topic, std::string_view id) {
    const auto grant = [](std::string_view operation, std::string_view on, std::string_view name) {
        return "; grant it: kafka-acls.sh --add --allow-principal User:NAME --operation " +
               std::string(operation) + ' ' + std::string(on) + ' ' + std::string(name);
    };
    switch (code) {
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
            return grant("Write --operation Read", "--topic", topic.empty() ? "TOPIC" : topic) +
                   " (Read: for the marker)";
        case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            return grant("Write", "--transactional-id", id);
        case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
            return grant("Read", "--group", std::string(id) + "-marker");
        case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
            return "; grant IdempotentWrite (or Create, for createTopics) on the cluster";
        case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
            return "; check security.protocol and sasl.* of `kafka` and `kafkaSecrets` against "
                   "what "
                   "the listener expects";
        case RD_KAFKA_RESP_ERR__RESOLVE:
            return "; check bootstrap.servers, and the brokers' advertised.listeners";
        case RD_KAFKA_RESP_ERR__SSL:
            return "; check ssl.ca.location, and that the listener speaks TLS";
        case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
            return "; transactionTimeout is above the broker's transaction.max.timeout.ms: lower "
                   "one, or raise the other";
        case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
        case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
            return "; the cluster is too old: this sink needs Kafka 2.5";
        case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
            return "; names of topics have up to 249 of a-z A-Z 0-9 . _ -";
        default:
            return "";
    }
}

}  // namespace sluice::plugins::kafka
