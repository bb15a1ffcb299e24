#include "tests/integration/kafka_sink/target.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>

#include "tests/support/topic_reader.hpp"

namespace sluice::test {
namespace {

const std::string folder = std::string(SLUICE_TEST_BINARY_DIR) + "/kafka_target";

void script(const std::string& arguments) {
    const std::string command =
        std::string(SLUICE_TEST_SOURCE_DIR) + "/tests/support/kafka.sh " + arguments;
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

std::string bootstrap_of_target() {
    std::string line;
    std::ifstream file(folder + "/bootstrap");
    if (!std::getline(file, line) || line.empty())
        throw std::runtime_error("no second Kafka: ctest starts one (kafka_target.start)");
    return line;
}

std::optional<std::string> bytes(const void* data, std::size_t size) {
    if (data == nullptr) return std::nullopt;
    return std::string(static_cast<const char*>(data), size);
}

Delivered delivered(const rd_kafka_message_t& message) {
    Delivered record;
    record.partition = message.partition;
    record.offset = message.offset;
    record.key = bytes(message.key, message.key_len);
    record.value = bytes(message.payload, message.len);
    rd_kafka_timestamp_type_t type{};
    record.timestamp_ms = rd_kafka_message_timestamp(&message, &type);
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return record;
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    for (std::size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i)
        record.headers.emplace_back(name, bytes(value, size));
    return record;
}

std::vector<Delivered> read_as(const std::string& isolation, const std::string& bootstrap, const std::string& topic) {
    std::vector<Delivered> records;
    read_topics(bootstrap, {topic}, isolation, [&] { records.clear(); },
                [&](const rd_kafka_message_t& message) { records.push_back(delivered(message)); });
    return records;
}

/// Of every transactional id that the cluster knows: what it wrote down last.
std::map<std::string, TransactionState> transaction_states(const std::string& bootstrap) {
    // TransactionLogKey: version, then the id with its length. TransactionLogValue: version, producer id
    // and epoch, timeout, then the state (int16, int64, int16, int32, int8).
    constexpr std::size_t id_at = 4;
    constexpr std::size_t state_at = 16;
    std::map<std::string, TransactionState> states;
    for (const Delivered& record : read_as("read_uncommitted", bootstrap, "__transaction_state")) {
        if (!record.key || record.key->size() <= id_at) continue;
        const std::string id = record.key->substr(id_at);
        states.erase(id);
        if (record.value && record.value->size() > state_at)
            states[id] = static_cast<TransactionState>((*record.value)[state_at]);
    }
    return states;
}

/// A commit is answered once it is decided; what it decided is shown a moment later.
void await_decided(const std::string& bootstrap) {
    const bool is_shown = wait_until([&] {
        const auto states = transaction_states(bootstrap);
        return std::none_of(states.begin(), states.end(), [](const auto& state) {
            return state.second == TransactionState::prepare_commit ||
                   state.second == TransactionState::prepare_abort;
        });
    });
    if (!is_shown) throw std::runtime_error("a transaction that was decided does not end");
}

}  // namespace

Kafka& target_cluster() {
    static Kafka kafka{bootstrap_of_target()};
    return kafka;
}

void crash_target() {
    script("crash " + folder);
}

void start_target() {
    script("up " + std::string(SLUICE_TEST_SOURCE_DIR) + "/build/deps/kafka " + folder);
}

std::vector<Delivered> read_topic(const std::string& bootstrap, const std::string& topic,
                                  const std::string& isolation) {
    if (isolation == "read_committed") await_decided(bootstrap);
    return read_as(isolation, bootstrap, topic);
}

std::optional<TransactionState> transaction_state(const std::string& bootstrap,
                                                  const std::string& transactional_id) {
    const auto states = transaction_states(bootstrap);
    const auto found = states.find(transactional_id);
    if (found == states.end()) return std::nullopt;
    return found->second;
}

Origin origin_of(const Delivered& record) {
    const auto header = [&](const std::string& name) -> std::string {
        for (auto each = record.headers.rbegin(); each != record.headers.rend(); ++each)
            if (each->first == name && each->second) return *each->second;
        throw std::runtime_error("a record without header " + name);
    };
    return {{header("sluice.origin.topic"),
             static_cast<std::int32_t>(std::stol(header("sluice.origin.partition")))},
            std::stoll(header("sluice.origin.offset"))};
}

Ledger by_origin(const std::vector<Delivered>& records) {
    Ledger ledger;
    for (const Delivered& record : records) {
        const Origin place = origin_of(record);
        ledger[place.partition].push_back(
            {place.offset, record.value ? std::hash<std::string_view>{}(*record.value) | 1U : 0});
    }
    return ledger;
}

std::string disorder(const std::vector<Delivered>& records, bool keeps) {
    std::map<std::pair<plan::TopicPartition, std::int32_t>, std::int64_t> last;
    for (const Delivered& record : records) {
        const Origin place = origin_of(record);
        const std::string text =
            plan::to_string(place.partition) + "@" + std::to_string(place.offset);
        if (keeps && place.partition.partition != record.partition)
            return text + " is in partition " + std::to_string(record.partition);
        const auto [found, is_first] = last.try_emplace({place.partition, record.partition}, place.offset);
        if (!is_first && place.offset <= found->second) return text + " comes too late";
        found->second = place.offset;
    }
    return "";
}

}  // namespace sluice::test
