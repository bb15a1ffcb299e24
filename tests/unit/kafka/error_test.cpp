#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/secrets.hpp"
#include "daemon/kafka/complaint.hpp"
#include "daemon/kafka/handles.hpp"

using namespace sluice;
using sluice::kafka::to_error;

TEST_CASE("an error carries its context, librdkafka's text and its name") {
    const Error error = to_error("topic orders", RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
    CHECK(error.message == "topic orders: Broker: Leader not available (LEADER_NOT_AVAILABLE)");
}

TEST_CASE("a detail replaces librdkafka's general text") {
    const Error error = to_error("reading", RD_KAFKA_RESP_ERR__TRANSPORT, "connection refused");
    CHECK(error.message == "reading: connection refused (_TRANSPORT)");
}

TEST_CASE("what passes by itself is unavailable and worth a retry") {
    for (const auto code :
         {RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__TIMED_OUT,
          RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
          RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
          RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT}) {
        CAPTURE(rd_kafka_err2name(code));
        CHECK(to_error("x", code).code == ErrorCode::unavailable);
        CHECK(to_error("x", code).retriable);
    }
}

TEST_CASE("a position outside the log is never retried as it is") {
    for (const auto code :
         {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET,
          RD_KAFKA_RESP_ERR__LOG_TRUNCATION}) {
        CHECK(to_error("x", code).code == ErrorCode::out_of_range);
        CHECK_FALSE(to_error("x", code).retriable);
    }
}

TEST_CASE("what is refused waits for an operator, and names whom to grant what") {
    const kafka::Refused who{"User:alice", "orders", "connect-orders"};
    const Error topic =
        to_error("topic orders", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, {}, who);
    CHECK(topic.code == ErrorCode::denied);
    CHECK(topic.retriable);
    CHECK_MESSAGE(topic.message.find("kafka-acls.sh --add --allow-principal User:alice --operation "
                                     "Read --topic orders") != std::string::npos,
                  topic.message);
    const Error group = to_error("group", RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, {}, who);
    CHECK_MESSAGE(group.message.find("--operation Describe --group connect-orders") != std::string::npos,
                  group.message);
    const Error cluster = to_error("x", RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, {}, who);
    CHECK_MESSAGE(cluster.message.find("grant Describe to User:alice: kafka-acls.sh --add --allow-principal "
                                       "User:alice --operation Describe --cluster") != std::string::npos,
                  cluster.message);
    const Error password = to_error("x", RD_KAFKA_RESP_ERR__AUTHENTICATION, {}, who);
    CHECK(password.code == ErrorCode::denied);
    CHECK(password.retriable);
    CHECK(password.message.find("User:alice") != std::string::npos);
    CHECK(password.message.find("kafka.sasl.password") != std::string::npos);
}

TEST_CASE("what is refused names the operation that was wanted, where it is not to read") {
    const auto said = [](rd_kafka_resp_err_t code, std::string_view operation) {
        const kafka::Refused who{
            .principal = "User:alice", .topic = "orders.dead", .group = "lag", .operation = operation};
        return to_error("x", code, {}, who).message;
    };
    const std::string write = said(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "Write");
    CHECK_MESSAGE(write.ends_with("; grant Write to User:alice (it includes Describe): kafka-acls.sh --add "
                                  "--allow-principal User:alice --operation Write --topic orders.dead"),
                  write);
    const std::string create = said(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "Create");
    CHECK_MESSAGE(create.ends_with("; grant Create to User:alice: kafka-acls.sh --add --allow-principal "
                                   "User:alice --operation Create --topic orders.dead"),
                  create);
    const std::string group = said(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, "Read");
    CHECK_MESSAGE(group.ends_with("; grant Read to User:alice (it includes Describe): kafka-acls.sh --add "
                                  "--allow-principal User:alice --operation Read --group lag"),
                  group);
}

TEST_CASE("a call that only timed out is told in the words of the login that was refused") {
    kafka::Complaint complaint;
    const kafka::Refused who{.principal = "User:alice"};
    const auto told = [&] { return kafka::explain("x", RD_KAFKA_RESP_ERR__TIMED_OUT, complaint, who); };
    CHECK(told().code == ErrorCode::unavailable);
    complaint.note(RD_KAFKA_RESP_ERR__TRANSPORT, "connection refused");
    CHECK(told().code == ErrorCode::unavailable);
    CHECK(told().message.find("connection refused") != std::string::npos);
    complaint.note(RD_KAFKA_RESP_ERR__AUTHENTICATION, "no such user");
    complaint.note(RD_KAFKA_RESP_ERR__TRANSPORT, "connection refused");  // says less
    CHECK(told().code == ErrorCode::denied);
    CHECK(told().message.find("no such user") != std::string::npos);
    CHECK(told().message.find("User:alice") != std::string::npos);
}

TEST_CASE("where nobody knows the principal, the command has a blank for it") {
    const Error topic = to_error("x", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    CHECK(topic.message.find("this client's principal") != std::string::npos);
    CHECK(topic.message.find("--allow-principal User:NAME") != std::string::npos);
}

TEST_CASE("librdkafka's words lose the secrets in them") {
    secrets::keep(std::vector<std::string>{"a-very-secret-word"});
    CHECK(to_error("x", RD_KAFKA_RESP_ERR__SSL, "no a-very-secret-word").message.find("a-very") ==
          std::string::npos);
}

TEST_CASE("an error nobody reacts to has failed for good") {
    const Error error = to_error("x", RD_KAFKA_RESP_ERR_POLICY_VIOLATION);
    CHECK(error.code == ErrorCode::failed);
    CHECK_FALSE(error.retriable);
}
