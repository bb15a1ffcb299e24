#include <algorithm>
#include <string>
#include <string_view>

#include "daemon/base/secrets.hpp"
#include "daemon/kafka/handles.hpp"

namespace sluice::kafka {
namespace {

struct Rule {
    rd_kafka_resp_err_t code;
    ErrorCode as;
    bool retriable;
    std::string_view remedy = {};
};

constexpr bool retry = true;
constexpr bool give_up = false;

constexpr std::string_view check_credentials =
    "check kafka.security.protocol, kafka.sasl.mechanisms, kafka.sasl.username and "
    "kafka.sasl.password, or the client certificate, against what the broker's listener expects";
// Everything a caller may react to; what is not listed is `failed` and not worth a retry.
constexpr Rule rules[] = {
    // The network, or a broker that is starting, stopping, or moving its leaderships.
    {RD_KAFKA_RESP_ERR__TRANSPORT, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR__RESOLVE, ErrorCode::unavailable, retry,
     "check the host names in kafka.bootstrap.servers, and the brokers' advertised.listeners"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, ErrorCode::unavailable, retry},
    // As often a certificate that is not trusted: the files must be read again for the next try.
    {RD_KAFKA_RESP_ERR__SSL, ErrorCode::denied, retry,
     "check kafka.ssl.ca.location and that the listener speaks TLS"},
    {RD_KAFKA_RESP_ERR__WAIT_COORD, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR__WAIT_CACHE, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR__IN_PROGRESS, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR__NODE_UPDATE, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR__OUTDATED, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR__RETRY, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR__PARTIAL, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR__UNKNOWN_BROKER, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_NOT_CONTROLLER, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_REASSIGNMENT_IN_PROGRESS, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_FETCH_SESSION_ID_NOT_FOUND, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_INVALID_FETCH_SESSION_EPOCH, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_LISTENER_NOT_FOUND, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_STALE_BROKER_EPOCH, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_PREFERRED_LEADER_NOT_AVAILABLE, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID, ErrorCode::unavailable, retry},
    // The checksum did not match: on the wire more often than on the broker's disk.
    {RD_KAFKA_RESP_ERR_INVALID_MSG, ErrorCode::unavailable, retry},
    {RD_KAFKA_RESP_ERR__BAD_MSG, ErrorCode::unavailable, retry},

    // Metadata travels slowly after a topic was created, so even these may pass.
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, ErrorCode::not_found, retry},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, ErrorCode::not_found, retry},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, ErrorCode::not_found, retry},
    {RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND, ErrorCode::not_found, give_up},

    // The same call never succeeds; the facts must be gathered again and plan/ decides.
    {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, ErrorCode::out_of_range, give_up},
    {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, ErrorCode::out_of_range, give_up},
    {RD_KAFKA_RESP_ERR__LOG_TRUNCATION, ErrorCode::out_of_range, give_up},

    {RD_KAFKA_RESP_ERR__DESTROY, ErrorCode::stopping, give_up},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, ErrorCode::configuration, give_up,
     "topic names have up to 249 of the characters a-z A-Z 0-9 . _ -"},
    {RD_KAFKA_RESP_ERR_INVALID_GROUP_ID, ErrorCode::configuration, give_up,
     "set kafka.group.id to a name that is not empty"},

    // An operator puts these right while the pipeline waits; their remedy names whom and what.
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ErrorCode::denied, retry},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ErrorCode::denied, retry},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, ErrorCode::denied, retry},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ErrorCode::denied, retry},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, ErrorCode::denied, retry, check_credentials},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, ErrorCode::denied, retry, check_credentials},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, ErrorCode::denied, retry, check_credentials},
    {RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE, ErrorCode::denied, retry, check_credentials},
    {RD_KAFKA_RESP_ERR_SECURITY_DISABLED, ErrorCode::failed, give_up,
     "the broker has no authorizer, so it knows no ACLs"},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, ErrorCode::failed, give_up,
     "the broker is too old for this request"},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, ErrorCode::failed, give_up,
     "the broker is too old for this request"},
};

/// What to grant, and to whom; empty for errors that no ACL would help.
std::string acl_for(rd_kafka_resp_err_t code, const Refused& refused) {
    const std::string whom = refused.principal.empty() ? "User:NAME" : std::string(refused.principal);
    const auto grant = [&](std::string_view usual, const std::string& on) {
        const std::string operation(refused.operation.empty() ? usual : refused.operation);
        const bool has_describe = operation == "Read" || operation == "Write";
        return "grant " + operation + " to " +
               (refused.principal.empty() ? "this client's principal" : whom) +
               (has_describe ? " (it includes Describe)" : "") +
               ": kafka-acls.sh --add --allow-principal " + whom + " --operation " + operation + " " + on;
    };
    const auto named = [](std::string_view name, const char* placeholder) {
        return name.empty() ? std::string(placeholder) : std::string(name);
    };
    switch (code) {
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
            return grant("Read", "--topic " + named(refused.topic, "TOPIC"));
        case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
            return grant("Describe", "--group " + named(refused.group, "GROUP"));
        case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
            return grant("Describe", "--cluster");
        case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            return grant("Write", "--transactional-id ID");
        default:
            return {};
    }
}

bool is_login(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
           code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
}

}  // namespace

Error to_error(std::string_view context, rd_kafka_resp_err_t code, std::string_view detail,
               const Refused& refused) {
    const auto* const rule = std::find_if(std::begin(rules), std::end(rules),
                                          [&](const Rule& r) { return r.code == code; });
    std::string message;
    if (!context.empty()) message.append(context).append(": ");
    message += detail.empty() ? std::string(rd_kafka_err2str(code))
                              : secrets::redacted(std::string(detail));
    message.append(" (").append(rd_kafka_err2name(code)).append(")");
    if (rule == std::end(rules)) return {ErrorCode::failed, std::move(message), false};
    if (is_login(code) && !refused.principal.empty()) message.append(" as ").append(refused.principal);
    if (const std::string acl = acl_for(code, refused); !acl.empty()) message.append("; ").append(acl);
    if (!rule->remedy.empty()) message.append("; ").append(rule->remedy);
    return {rule->as, std::move(message), rule->retriable};
}

}  // namespace sluice::kafka
