#pragma once
// Which topic of the target a topic of the source is written to. Pure.

#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::plugins::kafka {

/// One of `routes`, like Kafka Connect's RegexRouter: the expression has to match the whole name,
/// and $1 … in the replacement are its groups.
struct Route {
    std::string regex_text;
    std::regex regex;
    std::string replacement;
};

class TopicNames {
 public:
    /// `pattern` is for topics that no route matches: {topic} stands for the source's name.
    /// `routes_json` is [{"regex": …, "replacement": …}, …] or empty; the first match counts.
    /// Throws std::invalid_argument.
    TopicNames(std::string pattern, std::string_view routes_json);

    /// Throws std::invalid_argument when what comes out is no name of a topic.
    [[nodiscard]] std::string target_of(std::string_view source) const;

 private:
    std::string pattern_;
    std::vector<Route> routes_;
};

/// What a pipeline within one cluster has read and written since it was opened, one name for each topic: a
/// copy that it reads would feed itself, and need not be read in the batch that wrote it.
class Traffic {
 public:
    /// A topic that has been both, with these; empty: none.
    std::string add(const std::set<std::string>& sources, const std::set<std::string>& targets);

 private:
    std::set<std::string> sources_;
    std::set<std::string> targets_;
};

/// Up to 249 of a-z A-Z 0-9 . _ -, and neither "." nor "..".
bool is_topic_name(std::string_view name);

}  // namespace sluice::plugins::kafka
