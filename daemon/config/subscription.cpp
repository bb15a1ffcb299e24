// What a pipeline reads (subscribe, subscribePattern, assign) and where its first batch starts.

#include <algorithm>
#include <limits>
#include <regex>

#include "daemon/base/text.hpp"
#include "daemon/config/rfc3339.hpp"
#include "daemon/config/sections.hpp"

namespace sluice::config {
namespace {

void take_topic(Context& context, const Node& at, const std::string& path, std::string_view name,
                std::vector<std::string>& names) {
    Node shown_name = at;
    if (!at.raw) shown_name.text = std::string(name);
    if (const auto why = refuse_topic_name(name)) {
        context.findings.error(at.at, path, quoted(shown_name) + ": " + *why);
    } else if (std::find(names.begin(), names.end(), name) != names.end()) {
        context.findings.error(at.at, path, "topic " + quoted(shown_name) + " is listed twice");
    } else {
        names.emplace_back(name);
    }
}

/// "a, b" as Spark writes it.
void take_topics(Context& context, const Node& node, const std::string& path,
                 std::vector<std::string>& names) {
    std::string_view rest = node.text;
    while (true) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        std::string_view name = rest.substr(0, comma);
        name.remove_prefix(std::min(name.find_first_not_of(" \t\n"), name.size()));
        name = name.substr(0, name.find_last_not_of(" \t\n") + 1);
        take_topic(context, node, path, name, names);
        if (comma == rest.size()) return;
        rest.remove_prefix(comma + 1);
    }
}

std::string_view regex_complaint(std::regex_constants::error_type code) {
    switch (code) {
        case std::regex_constants::error_brack: return "'[' without ']'";
        case std::regex_constants::error_paren:
            return "a '(' or ')' too many, or '*', '+' or '?' with nothing before it";
        case std::regex_constants::error_brace: return "'{' without '}'";
        case std::regex_constants::error_badbrace: return "no valid number of repetitions in '{}'";
        case std::regex_constants::error_range: return "a '[' that is not closed, or a range in it that runs backwards";
        case std::regex_constants::error_escape: return "an unknown escape, or a '\\' at the end";
        case std::regex_constants::error_backref: return "a reference to a group that is not there";
        case std::regex_constants::error_badrepeat: return "'*', '+', '?' or '{' with nothing before it";
        case std::regex_constants::error_ctype:
        case std::regex_constants::error_collate: return "an unknown class or element in '[[…]]'";
        default: return "too large or not understood";
    }
}

/// A partition number in `text`; nullopt when it is none.
std::optional<std::int32_t> parse_partition(std::string_view text) {
    const auto number = parse_int64(text);
    if (!number || *number < 0 || *number > std::numeric_limits<std::int32_t>::max()) {
        return std::nullopt;
    }
    return static_cast<std::int32_t>(*number);
}

void take_assigned(Context& context, const Node& list, const std::string& path,
                   std::vector<std::int32_t>& partitions) {
    if (!list.is_list() || list.items.empty()) {
        if (!list.is_broken) {
            context.findings.error(list.at, path, "expected a list of partitions such as [0, 1], got " +
                                   std::string(list.is_list() ? "an empty list" : kind_phrase(list)));
        }
        return;
    }
    for (std::size_t i = 0; i < list.items.size(); ++i) {
        const Node& item = list.items[i];
        const std::string inner = path + "[" + std::to_string(i) + "]";
        if (item.is_broken) continue;
        const auto partition = item.is_scalar() ? parse_partition(item.text) : std::nullopt;
        if (!partition) {
            const std::string got = item.is_scalar() ? quoted(item) : std::string(kind_phrase(item));
            context.findings.error(item.at, inner, got + " is not the number of a partition");
        } else if (std::find(partitions.begin(), partitions.end(), *partition) != partitions.end()) {
            context.findings.error(item.at, inner, "partition " + shown(item) + " is listed twice");
        } else {
            partitions.push_back(*partition);
        }
    }
    std::sort(partitions.begin(), partitions.end());
}

void take_offsets(Context& context, const Node& node, const std::string& path, AtOffsets& out) {
    for (std::size_t t = 0; t < node.keys.size(); ++t) {
        const std::string inner = join_path(path, node.keys[t].name);
        const Node& partitions = node.items[t];
        if (!partitions.is_map() || partitions.keys.empty()) {
            if (!partitions.is_broken) {
                context.findings.error(partitions.at, inner,
                                       "expected partitions and their offsets such as {0: 1000}, got " +
                                           std::string(partitions.is_map() ? "an empty map"
                                                                           : kind_phrase(partitions)));
            }
            continue;
        }
        for (std::size_t i = 0; i < partitions.keys.size(); ++i) {
            const Node::Key& key = partitions.keys[i];
            const Node& item = partitions.items[i];
            const auto partition = parse_partition(key.name);
            if (!partition) {
                Node name;
                name.text = key.name;
                context.findings.error(key.at, inner,
                                       quoted(name) + " is not the number of a partition");
                continue;
            }
            if (item.is_broken) continue;
            const auto offset = item.is_scalar() ? parse_int64(item.text) : std::nullopt;
            if (!offset || *offset < -2) {
                const std::string got = item.is_scalar() ? quoted(item) : std::string(kind_phrase(item));
                context.findings.error(item.at, join_path(inner, key.name),
                                       got + " is not an offset: write 0 or more, -1 for latest, -2 for "
                                             "earliest");
                continue;
            }
            out.offsets[node.keys[t].name][*partition] = *offset;
        }
    }
}

void set_timestamp(Context& context, const Value& value, AtTimestamp& at) {
    const auto time = parse_rfc3339(value.text);
    if (!time) {
        context.findings.error(value.node->at, value.path,
                               quoted(*value.node) + " is not a time: write it with its zone, as "
                               "2026-11-01T08:00:00Z or 2026-11-01T09:00:00+01:00");
    } else if (to_epoch_ms(*time) < 0) {
        context.findings.error(value.node->at, value.path,
                               quoted(*value.node) + " is before 1970, where Kafka's times begin");
    } else {
        at.timestamp = *time;
    }
}

constexpr Key<AtTimestamp> timestamp_table[] = {
    {{.name = "timestamp",
      .required = true,
      .sentence = "The first record at or after this time (RFC 3339, with its zone)."},
     set_timestamp},
    {{.name = "noMatch",
      .type = Type::choice,
      .default_value = "fail",
      .words = "fail|latest",
      .sentence = "What to do for a partition without such a record."},
     [](Context&, const Value& value, AtTimestamp& at) {
         at.fail_on_no_match = value.word == "fail";
     }},
};

constexpr Key<FromGroup> group_table[] = {
    {{.name = "group",
      .required = true,
      .sentence = "A consumer group whose committed offsets are read, once."},
     [](Context& context, const Value& value, FromGroup& from) {
         if (value.text.empty()) {
             context.findings.error(value.node->at, value.path,
                                    "the name of the consumer group is missing");
         }
         from.group = value.text;
     }},
};

}  // namespace

std::span<const Key<AtTimestamp>> timestamp_keys() { return timestamp_table; }
std::span<const Key<FromGroup>> group_keys() { return group_table; }

void set_subscribe(Context& context, const Value& value, Source& source) {
    const Node& node = *value.node;
    Topics topics;
    if (node.is_scalar() && !node.text.empty()) {
        take_topics(context, node, value.path, topics.names);
    } else if (node.is_list()) {
        for (std::size_t i = 0; i < node.items.size(); ++i) {
            const std::string path = value.path + "[" + std::to_string(i) + "]";
            const Node& item = node.items[i];
            if (item.is_scalar()) {
                if (!item.is_broken) take_topics(context, item, path, topics.names);
            } else {
                context.findings.error(item.at, path, "expected the name of a topic, got " +
                                                          std::string(kind_phrase(item)));
            }
        }
        if (node.items.empty()) {
            context.findings.error(node.at, value.path, "no topics to subscribe to");
        }
    } else if (node.is_map()) {
        context.findings.error(node.at, value.path, "expected a list of topics, got a map; partitions "
                                                    "of topics are given by 'assign'");
    } else {
        context.findings.error(node.at, value.path, "no topics to subscribe to");
    }
    source.subscription = std::move(topics);
}

void set_pattern(Context& context, const Value& value, Source& source) {
    static constexpr std::size_t pattern_bytes_max = 1000;
    source.subscription = TopicPattern{value.text};
    const auto refuse = [&](std::string_view why) {
        context.findings.error(value.node->at, value.path, quoted(*value.node) +
                               " is not a regular expression: " + std::string(why));
    };
    if (value.text.empty()) {
        context.findings.error(value.node->at, value.path, "the pattern to subscribe to is empty");
    } else if (value.text.size() > pattern_bytes_max) {
        refuse("longer than 1000 characters");
    } else {
        try {
            const std::regex compiled(value.text, std::regex::ECMAScript);
        } catch (const std::regex_error& error) {
            refuse(regex_complaint(error.code()));
        } catch (const std::exception&) {
            refuse("too large");
        }
    }
}

void set_assign(Context& context, const Value& value, Source& source) {
    const Node& node = *value.node;
    Assignment assignment;
    if (!node.is_map() || node.keys.empty()) {
        if (!node.is_broken) {
            context.findings.error(node.at, value.path,
                                   "expected topics and their partitions such as {orders: [0, 1]}, got " +
                                       std::string(node.is_map() ? "an empty map" : kind_phrase(node)));
        }
    } else {
        for (std::size_t i = 0; i < node.keys.size(); ++i) {
            const Node::Key& topic = node.keys[i];
            if (const auto why = refuse_topic_name(topic.name)) {
                Node name;
                name.text = topic.name;
                context.findings.error(topic.at, value.path, quoted(name) + ": " + *why);
                continue;
            }
            take_assigned(context, node.items[i], join_path(value.path, topic.name),
                          assignment.partitions[topic.name]);
        }
    }
    source.subscription = std::move(assignment);
}

void set_starting_offsets(Context& context, const Value& value, Source& source) {
    const Node& node = *value.node;
    static constexpr std::string_view forms =
        "earliest, latest, {topic: {partition: offset}}, {timestamp: …} or {group: …}";
    if (node.is_broken) return;
    if (node.is_scalar() && node.text == "earliest") {
        source.starting_offsets = Earliest{};
    } else if (node.is_scalar() && node.text == "latest") {
        source.starting_offsets = Latest{};
    } else if (node.is_scalar()) {
        context.findings.error(node.at, value.path,
                               quoted(node) + " is not accepted: write " + std::string(forms));
    } else if (!node.is_map() || node.keys.empty()) {
        context.findings.error(node.at, value.path,
                               "expected " + std::string(forms) + ", got " +
                                   std::string(node.is_map() ? "an empty map" : kind_phrase(node)));
    } else if (const Node* time = node.find("timestamp"); time != nullptr && !time->is_map()) {
        AtTimestamp at;
        read_section(context, node, value.path, timestamp_keys(), at);
        source.starting_offsets = at;
    } else if (const Node* group = node.find("group"); group != nullptr && !group->is_map()) {
        FromGroup from;
        read_section(context, node, value.path, group_keys(), from);
        source.starting_offsets = std::move(from);
    } else {
        AtOffsets offsets;
        take_offsets(context, node, value.path, offsets);
        source.starting_offsets = std::move(offsets);
    }
}

}  // namespace sluice::config
