#pragma once
// How people name things on a command line, and the same in JSON bodies: "orders/812" is batch 812 of
// the pipeline orders; "orders/0@8123" is offset 8123 of partition 0 of the topic orders.

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"
#include "daemon/plan/types.hpp"

namespace sluice::operations {

struct BatchName {
    std::string pipeline;
    std::uint64_t batch_id = 0;
};
/// "orders/812". Errors: `invalid_argument`, naming the form.
Result<BatchName> parse_batch_name(std::string_view text);

struct BatchSpan {
    std::string pipeline;
    std::uint64_t first = 0;
    std::uint64_t last = 0;  ///< at least `first`
};
/// "orders/812..815", "orders/812". Errors: `invalid_argument`, naming the form.
Result<BatchSpan> parse_batch_span(std::string_view text);

struct RecordName {
    plan::TopicPartition topic_partition;
    std::int64_t offset = 0;
};
/// "orders/0@8123". Errors: `invalid_argument`, naming the form.
Result<RecordName> parse_record_name(std::string_view text);
/// "orders/0@8123".
std::string to_string(const RecordName& record);

/// "orders" or "orders/0": a topic, or one partition of it. Topic names hold no '/'.
struct Scope {
    std::string topic;
    std::optional<std::int32_t> partition;

    [[nodiscard]] bool covers(const plan::TopicPartition& topic_partition) const {
        return topic_partition.topic == topic &&
               (!partition || *partition == topic_partition.partition);
    }
};
Result<Scope> parse_scope(std::string_view text);

/// JSON text of a request body; "" is {}. Errors: `invalid_argument` when it is no object.
Result<boost::json::object> parse_body(std::string_view text);

}  // namespace sluice::operations
