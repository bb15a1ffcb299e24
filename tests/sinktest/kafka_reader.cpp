// What a read_committed reader sees of a topic that the kafka sink wrote, for `sluice sink-test --reader`:
//   kafka_reader BOOTSTRAP TOPIC TRANSACTIONAL_ID
// A line of JSON for each record, under the names it had in its source.

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

#include "plugins/common/json_lines.hpp"
#include "tests/integration/kafka_sink/target.hpp"

using namespace sluice::test;

namespace {

sluice_bytes raw(const std::optional<std::string>& bytes) {
    if (!bytes) return {nullptr, 0};
    return {reinterpret_cast<const std::uint8_t*>(bytes->data()), bytes->size()};
}

/// A commit is answered once it is decided; what it decided is shown a moment later.
void await_decided(const std::string& bootstrap, const std::string& transactional_id) {
    const bool is_shown = wait_until([&] {
        const auto state = transaction_state(bootstrap, transactional_id);
        return state != TransactionState::prepare_commit && state != TransactionState::prepare_abort;
    });
    if (!is_shown) throw std::runtime_error("a transaction that was decided does not end");
}

}  // namespace

int main(int count, char** arguments) try {
    if (count != 4) throw std::runtime_error("usage: kafka_reader BOOTSTRAP TOPIC TRANSACTIONAL_ID");
    const std::string bootstrap = arguments[1];
    await_decided(bootstrap, arguments[3]);
    std::string lines;
    for (const Delivered& record : read_topic(bootstrap, arguments[2])) {
        const Origin origin = origin_of(record);
        sluice_record source{};
        source.key = raw(record.key);
        source.value = raw(record.value);
        source.topic = {origin.partition.topic.data(), origin.partition.topic.size()};
        source.partition = origin.partition.partition;
        source.offset = origin.offset;
        sluice::plugins::append_json_line(lines, source, {nullptr, 0},
                                          sluice::plugins::ValueMode::text);
    }
    std::fwrite(lines.data(), 1, lines.size(), stdout);
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "kafka_reader: %s\n", error.what());
    return 1;
}
