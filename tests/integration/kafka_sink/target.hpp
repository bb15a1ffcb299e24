#pragma once
// The cluster that is written to: a second one, which ctest started (<build>/kafka_target).

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/kafka_fixture.hpp"
#include "tests/support/ledger.hpp"

namespace sluice::test {

/// Throws, saying how to get one, when there is none: such a test fails, it is never skipped.
Kafka& target_cluster();

/// The broker ends as in a power cut, or starts again, on the same port.
void crash_target();
void start_target();

/// A record as a reader sees it.
struct Delivered {
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::vector<std::pair<std::string, std::optional<std::string>>> headers;
    std::int64_t timestamp_ms = -1;
};
/// From the start of each topic to its end, in order within a partition. read_committed waits until what is
/// decided of transactions is shown; of those that are open it shows nothing.
std::vector<Delivered> read_topic(const std::string& bootstrap, const std::string& topic,
                                  const std::string& isolation = "read_committed");

/// What the cluster last wrote down of a producer's transaction: TransactionState.java's numbers.
enum class TransactionState : std::uint8_t {
    empty,
    ongoing,
    prepare_commit,  ///< decided; its records are not all shown yet
    prepare_abort,
    complete_commit,
    complete_abort,
};
/// nullopt: the cluster does not know the id.
std::optional<TransactionState> transaction_state(const std::string& bootstrap,
                                                  const std::string& transactional_id);

/// Where a record comes from, by sluice.origin.*. Throws for one without these headers.
struct Origin {
    plan::TopicPartition partition;
    std::int64_t offset = 0;
};
Origin origin_of(const Delivered& record);
/// By origin, in the order found.
Ledger by_origin(const std::vector<Delivered>& records);

/// Empty when the records of each source partition stand in order, each partition in its own; else
/// the first that does not. `keeps` false: spread by their keys, and in order in each partition.
std::string disorder(const std::vector<Delivered>& records, bool keeps = true);

}  // namespace sluice::test
