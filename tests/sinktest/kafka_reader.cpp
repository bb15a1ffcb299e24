// What a read_committed reader sees of a topic that the kafka sink wrote, for `sluice sink-test --reader`:
//   kafka_reader BOOTSTRAP TOPIC
// A line of JSON for each record, under the names it had in its source.

#include <chrono>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "plugins/common/json_lines.hpp"
#include "tests/integration/kafka_sink/target.hpp"

using namespace sluice::test;

namespace {

sluice_bytes raw(const std::optional<std::string>& bytes) {
    if (!bytes) return {nullptr, 0};
    return {reinterpret_cast<const std::uint8_t*>(bytes->data()), bytes->size()};
}

/// Its own, before those that name its origin.
std::vector<sluice_header> headers_of(const Delivered& record) {
    constexpr std::size_t origin_headers = 3;
    std::vector<sluice_header> headers;
    for (std::size_t i = 0; i + origin_headers < record.headers.size(); ++i) {
        const auto& [name, value] = record.headers[i];
        headers.push_back({{name.data(), name.size()}, raw(value)});
    }
    return headers;
}

/// Kafka has no record without a time: such a one gets that of its sending, and one of 0 becomes 1.
bool has_its_own_time(const Delivered& record) {
    using namespace std::chrono;
    const auto now = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
    constexpr std::int64_t day_ms = 86'400'000;
    return record.timestamp_ms > 1 && (record.timestamp_ms < now - day_ms || record.timestamp_ms > now + day_ms);
}

}  // namespace

int main(int count, char** arguments) try {
    if (count != 3) throw std::runtime_error("usage: kafka_reader BOOTSTRAP TOPIC");
    const std::string bootstrap = arguments[1];
    std::string lines;
    for (const Delivered& record : read_topic(bootstrap, arguments[2])) {
        const Origin origin = origin_of(record);
        sluice_record source{};
        source.key = raw(record.key);
        source.value = raw(record.value);
        source.topic = {origin.partition.topic.data(), origin.partition.topic.size()};
        source.partition = origin.partition.partition;
        source.offset = origin.offset;
        source.timestamp_ms = record.timestamp_ms;
        source.timestamp_type = has_its_own_time(record) ? SLUICE_TIMESTAMP_CREATE : SLUICE_TIMESTAMP_NONE;
        const auto headers = headers_of(record);
        const std::size_t start = lines.size();
        sluice::plugins::append_json_line(lines, source, {headers.data(), headers.size()},
                                          sluice::plugins::ValueMode::text);
        // "none" would be a claim about the source: left out, nobody compares it.
        const std::string no_time = "\"timestamp\":null,";
        if (const auto at = lines.find(no_time, start); !has_its_own_time(record) && at != std::string::npos) {
            lines.erase(at, no_time.size());
        }
    }
    std::fwrite(lines.data(), 1, lines.size(), stdout);
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "kafka_reader: %s\n", error.what());
    return 1;
}
