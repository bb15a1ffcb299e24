#include "plugins/kafka/topic_names.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <stdexcept>
#include <utility>

namespace sluice::plugins::kafka {
namespace {

constexpr std::string_view placeholder = "{topic}";

std::string filled(std::string text, std::string_view source) {
    for (std::size_t at = 0; (at = text.find(placeholder, at)) != std::string::npos;
         at += source.size())
        text.replace(at, placeholder.size(), source);
    return text;
}

std::string text_of(const boost::json::object& object, const char* key) {
    const auto* const found = object.if_contains(key);
    if (found == nullptr || !found->is_string())
        throw std::invalid_argument("routes: each one is {regex: …, replacement: …}");
    return std::string(found->get_string().data(), found->get_string().size());
}

std::vector<Route> read_routes(std::string_view json) {
    std::vector<Route> routes;
    if (json.empty()) return routes;
    boost::json::error_code error;
    const boost::json::value document =
        boost::json::parse(boost::json::string_view(json.data(), json.size()), error);
    if (error || !document.is_array())
        throw std::invalid_argument(
            "routes is no list, such as [{regex: 'a-(.*)', replacement: 'b-$1'}]");
    for (const auto& item : document.get_array()) {
        if (!item.is_object() || item.get_object().size() != 2)
            throw std::invalid_argument("routes: each one is {regex: …, replacement: …}");
        Route route;
        route.regex_text = text_of(item.get_object(), "regex");
        route.replacement = text_of(item.get_object(), "replacement");
        try {
            route.regex = std::regex(route.regex_text, std::regex::ECMAScript);
        } catch (const std::regex_error& wrong) {
            throw std::invalid_argument("routes: '" + route.regex_text +
                                        "' is no regular expression: " + wrong.what());
        }
        routes.push_back(std::move(route));
    }
    return routes;
}

}  // namespace

std::string Traffic::add(const std::set<std::string>& sources, const std::set<std::string>& targets) {
    sources_.insert(sources.begin(), sources.end());
    targets_.insert(targets.begin(), targets.end());
    for (const std::string& topic : sources_)
        if (targets_.count(topic) != 0) return topic;
    return "";
}

bool is_topic_name(std::string_view name) {
    const auto is_legal = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    };
    return !name.empty() && name.size() <= 249 && name != "." && name != ".." &&
           std::all_of(name.begin(), name.end(), is_legal);
}

TopicNames::TopicNames(std::string pattern, std::string_view routes_json)
    : pattern_(std::move(pattern)), routes_(read_routes(routes_json)) {
    if (!is_topic_name(filled(pattern_, "t")))
        throw std::invalid_argument("topic '" + pattern_ +
                                    "' makes no name of a topic: a-z A-Z 0-9 . _ - and {topic}");
}

std::string TopicNames::target_of(std::string_view source) const {
    std::string target;
    const auto route = std::find_if(routes_.begin(), routes_.end(), [&](const Route& each) {
        return std::regex_match(source.begin(), source.end(), each.regex);
    });
    if (route != routes_.end()) {
        std::match_results<std::string_view::const_iterator> match;
        std::regex_match(source.begin(), source.end(), match, route->regex);
        target = match.format(route->replacement);
    } else {
        target = filled(pattern_, source);
    }
    if (!is_topic_name(target))
        throw std::invalid_argument("topic " + std::string(source) + " would be written to '" +
                                    target +
                                    "', which is no name of a topic: correct `topic` or `routes`");
    return target;
}

}  // namespace sluice::plugins::kafka
