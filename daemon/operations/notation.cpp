#include "daemon/operations/notation.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <limits>

#include "daemon/base/text.hpp"

namespace sluice::operations {
namespace {

/// Digits only: a sign or a space is a typing error, not a number.
std::optional<std::int64_t> parse_count(std::string_view text) {
    if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) {
        return std::nullopt;
    }
    return parse_int64(text);
}

std::optional<std::int32_t> parse_partition(std::string_view text) {
    const auto number = parse_count(text);
    if (!number || *number > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
    return static_cast<std::int32_t>(*number);
}

Error not_of_the_form(std::string_view text, const char* form) {
    return Error{ErrorCode::invalid_argument, "'" + std::string(text) + "' is not of the form " + form};
}

}  // namespace

Result<BatchName> parse_batch_name(std::string_view text) {
    const auto slash = text.rfind('/');
    if (slash != std::string_view::npos && slash > 0) {
        if (const auto id = parse_count(text.substr(slash + 1))) {
            return BatchName{std::string(text.substr(0, slash)), static_cast<std::uint64_t>(*id)};
        }
    }
    return not_of_the_form(text, "PIPELINE/BATCH, such as orders/812");
}

Result<BatchSpan> parse_batch_span(std::string_view text) {
    const auto dots = text.rfind("..");
    const auto first = parse_batch_name(text.substr(0, dots));
    if (first && dots == std::string_view::npos) {
        return BatchSpan{first->pipeline, first->batch_id, first->batch_id};
    }
    if (first) {
        const auto last = parse_count(text.substr(dots + 2));
        if (last && static_cast<std::uint64_t>(*last) >= first->batch_id) {
            return BatchSpan{first->pipeline, first->batch_id, static_cast<std::uint64_t>(*last)};
        }
    }
    return not_of_the_form(text, "PIPELINE/BATCH..BATCH, such as orders/812..815");
}

Result<RecordName> parse_record_name(std::string_view text) {
    const auto at = text.rfind('@');
    const auto slash = at == std::string_view::npos ? at : text.substr(0, at).rfind('/');
    if (slash != std::string_view::npos && slash > 0) {
        const auto partition = parse_partition(text.substr(slash + 1, at - slash - 1));
        const auto offset = parse_count(text.substr(at + 1));
        if (partition && offset) {
            return RecordName{{std::string(text.substr(0, slash)), *partition}, *offset};
        }
    }
    return not_of_the_form(text, "TOPIC/PARTITION@OFFSET, such as orders/0@8123");
}

std::string to_string(const RecordName& record) {
    return record.topic_partition.topic + "/" + std::to_string(record.topic_partition.partition) + "@" +
           std::to_string(record.offset);
}

Result<Scope> parse_scope(std::string_view text) {
    const auto slash = text.rfind('/');
    if (slash == std::string_view::npos && !text.empty()) return Scope{std::string(text), {}};
    if (slash != std::string_view::npos && slash > 0) {
        if (const auto partition = parse_partition(text.substr(slash + 1))) {
            return Scope{std::string(text.substr(0, slash)), partition};
        }
    }
    return not_of_the_form(text, "TOPIC or TOPIC/PARTITION, such as orders or orders/0");
}

Result<boost::json::object> parse_body(std::string_view text) {
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return boost::json::object{};
    boost::system::error_code wrong;
    boost::json::value value =
        boost::json::parse(boost::json::string_view(text.data(), text.size()), wrong);
    if (wrong) {
        return Error{ErrorCode::invalid_argument, "the body is not JSON: " + wrong.message()};
    }
    if (!value.is_object()) {
        return Error{ErrorCode::invalid_argument, "the body must be a JSON object"};
    }
    return std::move(value.as_object());
}

}  // namespace sluice::operations
