#pragma once
// subscribePattern: which topic names a regular expression takes. No Kafka in here.

#include <regex>
#include <string>
#include <string_view>

#include "daemon/base/result.hpp"

namespace sluice::kafka {

/// Immutable; safe for concurrent calls.
class TopicPattern {
 public:
    /// ECMAScript, without back-references. The matcher is bounded: time is polynomial in the
    /// length of a name whatever the pattern, and pattern and repetition counts are limited,
    /// because the matcher's stack grows with them. Errors: `configuration`, saying what is wrong
    /// with the expression.
    static Result<TopicPattern> compile(const std::string& regex);

    /// Found anywhere in `name`, as Spark does; anchor with ^ and $ to match the whole of it.
    /// Topics of Kafka itself (__consumer_offsets, …) never match.
    [[nodiscard]] bool matches(const std::string& name) const;

 private:
    explicit TopicPattern(std::regex regex) : regex_(std::move(regex)) {}

    std::regex regex_;
};

/// Kafka's own bookkeeping, which is no data.
bool is_internal_topic(std::string_view name) noexcept;

}  // namespace sluice::kafka
