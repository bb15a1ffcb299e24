#pragma once
// What an error of the cluster means for the batch. Pure: librdkafka's code in, a decision out.

#include <librdkafka/rdkafka.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace sluice::plugins::kafka {

enum class ErrorKind {
    retry,   ///< may work later: the network, a broker that moves, an ACL that is missing
    fenced,  ///< another producer has this transactional id, or the transaction ran out of time
    fatal,   ///< a person has to look
};
ErrorKind kind_of(rd_kafka_resp_err_t code);

/// Whether the same question is worth asking again at once: a coordinator that loads, moves, or
/// ends a transaction.
bool is_passing(rd_kafka_resp_err_t code);

/// What the report of a record that was not delivered says.
enum class Delivery {
    other,    ///< it failed with the batch: what counts is the report of another one
    suspect,  ///< this one, or another one of the same request
    failed,   ///< no record is to blame; kind_of() says how to go on
};
Delivery delivery_of(rd_kafka_resp_err_t code);

/// What to do about it, "" or words that begin with "; ". `topic` and `id` (transactional) fill in
/// the commands.
std::string remedy_of(rd_kafka_resp_err_t code, std::string_view topic, std::string_view id);

class ClusterError : public std::runtime_error {
 public:
    ClusterError(ErrorKind kind, const std::string& message)
        : std::runtime_error(message), kind_(kind) {}
    [[nodiscard]] ErrorKind kind() const { return kind_; }

 private:
    ErrorKind kind_;
};

}  // namespace sluice::plugins::kafka
