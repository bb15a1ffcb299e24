// One pipeline: its name, trigger and errors; source and sink have files of their own.

#include <algorithm>
#include <regex>

#include "daemon/base/text.hpp"
#include "daemon/config/sections.hpp"

namespace sluice::config {
namespace {

constexpr std::int64_t day_ms = 24LL * 3600 * 1000;

/// Checks that exactly one of `names` is there, and says which are.
bool exactly_one(Context& context, const Node& node, const std::string& path,
                 std::span<const std::string_view> names) {
    const std::vector<std::string> given = present(node, names);
    if (given.size() == 1) return true;
    const std::vector<std::string> all(names.begin(), names.end());
    context.findings.error(node.at, path,
                           "needs exactly one of " + and_list(all) + "; " +
                               (given.empty() ? "none is given" : and_list(given) + " are given"));
    return false;
}

/// The name is part of checkpoints, tokens ("pipeline/batch/range"), metrics and commands.
std::optional<std::string> refuse_pipeline_name(std::string_view name) {
    constexpr std::string_view letters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (name.empty()) return "a name is missing here";
    if (name.size() > 128) return "a name has at most 128 characters";
    if (name.find_first_not_of(letters) != std::string_view::npos || name.front() == '.' ||
        name.front() == '-') {
        return "a name has letters, digits, '.', '_' and '-' only, and begins with no '.' or '-'";
    }
    return std::nullopt;
}

bool take_name(Context& context, const Value& value) {
    const auto why = refuse_pipeline_name(value.text);
    if (why) context.findings.error(value.node->at, value.path, quoted(*value.node) + ": " + *why);
    return !why;
}

void set_once(Context& context, const Value& value, Trigger& trigger, TriggerKind kind) {
    if (!value.boolean) {
        context.findings.error(value.node->at, value.path,
                               "can only be true; leave it out to run again and again");
    }
    trigger.kind = kind;
}

void set_trigger(Context& context, const Value& value, Pipeline& pipeline) {
    static constexpr std::string_view names[] = {"processingTime", "availableNow", "once"};
    const Node& node = *value.node;
    if (node.is_broken) return;
    if (node.is_scalar() && node.text == "availableNow") {
        pipeline.trigger.kind = TriggerKind::available_now;
    } else if (node.is_scalar() && node.text == "once") {
        pipeline.trigger.kind = TriggerKind::once;
    } else if (!node.is_map()) {
        const std::string got = node.is_scalar() ? quoted(node) : std::string(kind_phrase(node));
        context.findings.error(node.at, value.path,
                               got + " is not accepted: write availableNow, once or "
                                     "{processingTime: 10s}");
    } else if (read_section(context, node, value.path, trigger_keys(), pipeline.trigger)) {
        exactly_one(context, node, value.path, names);
    }
}

void set_dead_letters(Context& context, const Value& value, Errors& errors) {
    static constexpr std::string_view names[] = {"topic", "path"};
    if (read_section(context, *value.node, value.path, dead_letters_keys(), errors)) {
        exactly_one(context, *value.node, value.path, names);
    }
}

constexpr Key<Pipeline> pipeline_table[] = {
    {{.name = "name",
      .required = true,
      .literal = true,
      .sentence = "Identity of the pipeline in checkpoints, metrics and commands."},
     [](Context& context, const Value& value, Pipeline& pipeline) {
         if (take_name(context, value)) pipeline.name = value.text;
     }},
    {{.name = "renamedFrom",
      .literal = true,
      .sentence = "The name it had before: its checkpoints are taken over."},
     [](Context& context, const Value& value, Pipeline& pipeline) {
         if (take_name(context, value)) pipeline.renamed_from = value.text;
     }},
    {{.name = "source",
      .type = Type::nested,
      .required = true,
      .form = "a map, see below",
      .sentence = "What is read."},
     [](Context& context, const Value& value, Pipeline& pipeline) {
         read_source(context, *value.node, value.path, pipeline.source);
     }},
    {{.name = "trigger",
      .type = Type::nested,
      .default_value = "{processingTime: 10s}",
      .form = "`availableNow`, `once` or a map, see below",
      .sentence = "When a batch is planned."},
     set_trigger},
    {{.name = "sink",
      .type = Type::nested,
      .required = true,
      .form = "a map: `plugin` and the plugin's own options",
      .sentence = "Where records go; `sluice plugins` lists plugins and their options."},
     nullptr},  // after the rest: a plugin's check is told the pipeline's name
    {{.name = "errors",
      .type = Type::nested,
      .default_value = "{}",
      .form = "a map, see below",
      .sentence = "What happens to records that the sink refuses."},
     [](Context& context, const Value& value, Pipeline& pipeline) {
         read_section(context, *value.node, value.path, errors_keys(), pipeline.errors);
     }},
    {{.name = "exportGroup",
      .sentence = "Consumer group under which positions are exported for lag tools; never read back."},
     [](Context& context, const Value& value, Pipeline& pipeline) {
         if (value.text.empty()) {
             context.findings.error(value.node->at, value.path,
                                    "the name of the consumer group is missing");
         }
         pipeline.export_group = value.text;
     }},
    {{.name = "stalledAfter",
      .type = Type::duration,
      .default_value = "1m",
      .minimum = 1000,
      .maximum = day_ms,
      .sentence = "How long nothing may move, in an open batch or past a due trigger, before it is STALLED."},
     [](Context&, const Value& value, Pipeline& pipeline) {
         pipeline.stalled_after = Milliseconds{value.number};
     }},
};

constexpr Key<Trigger> trigger_table[] = {
    {{.name = "processingTime",
      .type = Type::duration,
      .minimum = 0,
      .maximum = 365 * day_ms,
      .sentence = "At multiples of this interval; an overrun is followed at once, 0s is back to back."},
     [](Context&, const Value& value, Trigger& trigger) {
         trigger.kind = TriggerKind::processing_time;
         trigger.interval = Milliseconds{value.number};
     }},
    {{.name = "availableNow",
      .type = Type::boolean,
      .sentence = "Batches up to the end offsets of the start, then done."},
     [](Context& context, const Value& value, Trigger& trigger) {
         set_once(context, value, trigger, TriggerKind::available_now);
     }},
    {{.name = "once", .type = Type::boolean, .sentence = "One batch, then done."},
     [](Context& context, const Value& value, Trigger& trigger) {
         set_once(context, value, trigger, TriggerKind::once);
     }},
};

constexpr Key<Errors> errors_table[] = {
    {{.name = "tolerance",
      .type = Type::choice,
      .default_value = "none",
      .words = "none|all",
      .sentence = "Whether a record that the sink refuses stops the pipeline, or goes to the dead "
                  "letters."},
     [](Context&, const Value& value, Errors& errors) {
         errors.tolerance = value.word == "all" ? Errors::Tolerance::all : Errors::Tolerance::none;
     }},
    {{.name = "deadLetters",
      .type = Type::nested,
      .form = "a map, see below",
      .sentence = "Where refused records go; needed with tolerance all, refused with none."},
     set_dead_letters},
    {{.name = "retry",
      .type = Type::nested,
      .default_value = "{}",
      .form = "a map, see below",
      .sentence = "How a sink or broker that is down is tried again."},
     [](Context& context, const Value& value, Errors& errors) {
         read_section(context, *value.node, value.path, retry_keys(), errors);
     }},
    {{.name = "restart",
      .type = Type::nested,
      .default_value = "{}",
      .form = "a map, see below",
      .sentence = "How a pipeline that FAILED by a fault that can pass starts again by itself."},
     [](Context& context, const Value& value, Errors& errors) {
         read_section(context, *value.node, value.path, restart_keys(), errors);
     }},
};

constexpr Key<Errors> dead_letters_table[] = {
    {{.name = "topic", .sentence = "A topic of the same cluster."},
     [](Context& context, const Value& value, Errors& errors) {
         if (const auto why = refuse_topic_name(value.text)) {
             context.findings.error(value.node->at, value.path, quoted(*value.node) + ": " + *why);
         }
         errors.dead_letter_topic = value.text;
     }},
    {{.name = "path", .type = Type::path, .sentence = "A directory for files of dead letters."},
     [](Context& context, const Value& value, Errors& errors) {
         if (is_within(value.text, context.data_dir)) {
             context.findings.error(value.node->at, value.path,
                                    quoted(*value.node) + " is inside dataDir: nothing but the "
                                                          "checkpoints is kept there");
         }
         errors.dead_letter_path = value.text;
     }},
};

constexpr Key<Errors> retry_table[] = {
    {{.name = "timeout",
      .type = Type::duration,
      .default_note = "for ever under processingTime, 15m under availableNow and once",
      .minimum = 0,
      .maximum = 365 * day_ms,
      .sentence = "The pipeline gives up after trying for this long."},
     [](Context&, const Value& value, Errors& errors) {
         errors.retry_timeout = Milliseconds{value.number};
     }},
    {{.name = "delayMax",
      .type = Type::duration,
      .default_value = "1m",
      .minimum = 100,
      .maximum = day_ms,
      .sentence = "Longest wait between two attempts; it grows towards this."},
     [](Context&, const Value& value, Errors& errors) {
         errors.retry_delay_max = Milliseconds{value.number};
     }},
};

constexpr Key<Errors> restart_table[] = {
    {{.name = "delayMax",
      .type = Type::duration,
      .default_value = "1h",
      .minimum = 0,
      .maximum = day_ms,
      .sentence = "Longest wait before the next start; it grows towards this (2m, 6m, 12m, 20m …) and "
                  "begins anew after a commit. 0s: only a person restarts it. Under processingTime; never "
                  "after data loss, a wrong configuration or a sink's FATAL."},
     [](Context&, const Value& value, Errors& errors) {
         errors.restart_delay_max = Milliseconds{value.number};
     }},
};

/// A refused record must go somewhere, exactly one place, and not come back as input.
void check_errors(Context& context, const Node& node, const std::string& path,
                  const Pipeline& pipeline) {
    const Node* const letters = node.is_map() ? node.find("deadLetters") : nullptr;
    const bool tolerates = pipeline.errors.tolerance == Errors::Tolerance::all;
    if (tolerates && letters == nullptr) {
        context.findings.error(node.at, path, "tolerance all needs deadLetters: refused records must "
                                              "go somewhere");
    }
    if (!tolerates && letters != nullptr) {
        context.findings.error(letters->at, join_path(path, "deadLetters"),
                               "has no effect with tolerance none: write tolerance: all, or leave "
                               "deadLetters out");
    }
    if (letters == nullptr || !pipeline.errors.dead_letter_topic) return;

    const std::string& topic = *pipeline.errors.dead_letter_topic;
    bool is_read = false;
    if (const auto* const topics = std::get_if<Topics>(&pipeline.source.subscription)) {
        is_read = std::find(topics->names.begin(), topics->names.end(), topic) != topics->names.end();
    } else if (const auto* const assigned = std::get_if<Assignment>(&pipeline.source.subscription)) {
        is_read = assigned->partitions.contains(topic);
    } else if (const auto* const pattern = std::get_if<TopicPattern>(&pipeline.source.subscription)) {
        try {
            is_read = std::regex_search(topic, std::regex(pattern->regex, std::regex::ECMAScript));
        } catch (const std::regex_error&) {
            // A pattern that is wrong was reported with the source; one too deep is not judged here.
        }
    }
    if (is_read) {
        const Node& place = *letters->find("topic");
        context.findings.error(place.at, join_path(path, "deadLetters.topic"),
                               "the pipeline reads topic " + quoted(place) + " itself: its dead "
                               "letters would come back to it");
    }
}

}  // namespace

std::span<const Key<Pipeline>> pipeline_keys() { return pipeline_table; }
std::span<const Key<Trigger>> trigger_keys() { return trigger_table; }
std::span<const Key<Errors>> errors_keys() { return errors_table; }
std::span<const Key<Errors>> dead_letters_keys() { return dead_letters_table; }
std::span<const Key<Errors>> retry_keys() { return retry_table; }
std::span<const Key<Errors>> restart_keys() { return restart_table; }

void read_pipeline(Context& context, const Node& node, const std::string& path, Pipeline& pipeline) {
    read_section(context, node, path, pipeline_keys(), pipeline);
    if (!node.is_map()) return;
    const std::string errors_path = join_path(path, "errors");
    if (const Node* const errors = node.find("errors");
        errors != nullptr && !context.findings.has_error_in(errors_path)) {
        check_errors(context, *errors, errors_path, pipeline);
    }
    // Without any plugin each would be called unknown.
    if (const Node* const sink = node.find("sink"); sink != nullptr && !context.findings.has_error_in("pluginDir")) {
        read_sink(context, *sink, join_path(path, "sink"), pipeline);
    }
}

}  // namespace sluice::config
