// The sink of a pipeline: a plugin, and its options by the plugin's own description of them.

#include <algorithm>

#include "daemon/base/text.hpp"
#include "daemon/config/references.hpp"
#include "daemon/config/sections.hpp"

namespace sluice::config {
namespace {

constexpr Key<Pipeline> sink_table[] = {
    {{.name = "plugin",
      .required = true,
      .literal = true,
      .sentence = "Name of the sink plugin."},
     nullptr},  // read first: the meaning of all other keys depends on it
};
constexpr const Key<Pipeline>& plugin_key = sink_table[0];

Type type_of(std::int32_t option_type) {
    switch (option_type) {
        case SLUICE_OPTION_INT: return Type::integer;
        case SLUICE_OPTION_BOOL: return Type::boolean;
        case SLUICE_OPTION_DURATION: return Type::duration;
        case SLUICE_OPTION_SIZE: return Type::size;
        case SLUICE_OPTION_CHOICE: return Type::choice;
        case SLUICE_OPTION_PATH: return Type::path;
        case SLUICE_OPTION_JSON: return Type::json;
        default: return Type::text;
    }
}

}  // namespace

KeyInfo key_of(const sink::Option& option, std::string& words) {
    for (const std::string& choice : option.choices) {
        if (!words.empty()) words += '|';
        words += choice;
    }
    KeyInfo key;
    key.name = option.name;
    key.type = type_of(option.type);
    key.required = option.required;
    key.secret = option.secret;
    key.words = words;
    key.form = "any value";
    if (option.minimum != 0 || option.maximum != 0) {
        key.minimum = option.minimum;
        key.maximum = option.maximum;
    }
    key.sentence = option.sentence;
    return key;
}

namespace {

/// The form in which the ABI hands a value over.
std::string abi_form(const KeyInfo& key, const Value& value) {
    switch (key.type) {
        case Type::boolean: return value.boolean ? "true" : "false";
        case Type::integer:
        case Type::duration:
        case Type::size: return std::to_string(value.number);
        case Type::text:
        case Type::choice:
        case Type::path:
        case Type::json:
        case Type::nested: return value.text;
    }
    return value.text;
}

/// Resolves the plugin's name; nullptr when there is none such, which was reported.
const sink::Plugin* find_plugin(Context& context, const Value& value) {
    const auto found = context.plugins.plugins.find(value.text);
    if (found != context.plugins.plugins.end()) return found->second.get();

    const auto broken = context.plugins.broken.find(value.text + ".so");
    if (broken != context.plugins.broken.end()) {
        context.findings.error(value.node->at, value.path,
                               "plugin " + quoted(*value.node) + " cannot be loaded: " +
                                   broken->second.message);
        return nullptr;
    }
    std::vector<std::string> names;
    for (const auto& [name, plugin] : context.plugins.plugins) names.push_back(name);
    std::string message = "there is no plugin " + quoted(*value.node);
    if (const auto near = nearest(value.text, names)) {
        message += "; did you mean '" + *near + "'?";
    } else if (!names.empty()) {
        message += "; there are " + and_list(names);
    } else {
        message += ", and no other: see pluginDir";
    }
    context.findings.error(value.node->at, value.path, std::move(message));
    return nullptr;
}

/// One option that is set, or has a default.
void take_option(Context& context, const sink::Option& option, const Node& node,
                 const std::string& path, sink::Settings& settings) {
    std::string words;
    const KeyInfo key = key_of(option, words);
    const auto value = read_value(context, key, node, path);
    if (!value) return;
    if (key.type == Type::text || key.type == Type::json || key.secret) {
        context.remember_secrets(node, key.secret);
    }
    if (value->text.find('\0') != std::string::npos) {
        context.findings.error(node.at, path, "an option has no NUL bytes");
        return;
    }
    if (key.type == Type::path && !context.data_dir.empty() &&
        is_within(value->text, context.data_dir)) {
        context.findings.error(node.at, path,
                               quoted(node) + " is inside dataDir: no sink may write among the "
                                              "checkpoints");
        return;
    }
    settings.insert_or_assign(option.name, abi_form(key, *value));
}

/// What the plugin says about the options together, without the values of references and secrets.
void check_by_plugin(Context& context, const sink::Plugin& plugin, const Node& node,
                     const std::string& path, const Pipeline& pipeline) {
    const auto checked = plugin.check(pipeline.name, pipeline.sink.settings);
    if (checked) return;
    context.findings.error(node.at, path, without_values(plugin, node, checked.error().message));
}

/// What the plugin calls the place it writes to; "" too when it made a mistake, which was reported.
std::string place_of(Context& context, const sink::Plugin& plugin, const Node& node, const std::string& path,
                     const Pipeline& pipeline) {
    auto place = plugin.target(pipeline.name, pipeline.sink.settings);
    if (place) return std::move(place).value();
    context.findings.error(node.at, path, without_values(plugin, node, place.error().message));
    return {};
}

/// What tells a target from others of the same plugin: the settings it requires, without secrets. How
/// it is written (compression, formats) may change, and it is the same target still. Empty for a sink
/// like `discard`, which requires nothing.
std::string target_of(const sink::Plugin& plugin, const sink::Settings& settings) {
    std::string text;
    for (const sink::Option& option : plugin.options()) {
        const auto setting = settings.find(option.name);
        if (!option.required || option.secret || setting == settings.end()) continue;
        const std::string value = option.type == SLUICE_OPTION_PATH
                                      ? followed(setting->second).string()
                                      : setting->second;
        text += (text.empty() ? "" : ",") + json_quoted(option.name) + ":" + json_quoted(value);
    }
    return text.empty() ? text : plugin.name() + " {" + text + "}";
}

}  // namespace

std::string without_values(const sink::Plugin& plugin, const Node& node, std::string text) {
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
        const auto option =
            std::find_if(plugin.options().begin(), plugin.options().end(),
                         [&](const sink::Option& each) { return each.name == node.keys[i].name; });
        const bool is_secret = option != plugin.options().end() && option->secret;
        text = redacted(std::move(text), node.items[i], is_secret);
    }
    return text;
}

std::span<const Key<Pipeline>> sink_keys() { return sink_table; }

void read_sink(Context& context, const Node& node, const std::string& path, Pipeline& pipeline) {
    if (!expect_map(context, node, path)) return;
    const std::size_t errors_before = context.findings.error_count();
    const Node* const plugin_node = node.find("plugin");
    if (plugin_node == nullptr) {
        context.findings.error(node.at, join_path(path, "plugin"), "required, but missing");
        return;
    }
    const auto name = read_value(context, plugin_key.info, *plugin_node, join_path(path, "plugin"));
    if (!name) return;
    const sink::Plugin* const plugin = find_plugin(context, *name);
    if (plugin == nullptr) return;
    pipeline.sink.plugin = plugin->name();

    std::vector<std::string> known{"plugin"};
    for (const sink::Option& option : plugin->options()) known.push_back(option.name);
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
        const Node::Key& key = node.keys[i];
        if (key.name == "plugin") continue;
        const auto option =
            std::find_if(plugin->options().begin(), plugin->options().end(),
                         [&](const sink::Option& each) { return each.name == key.name; });
        if (option == plugin->options().end()) {
            report_unknown_key(context, key, path, known);
        } else {
            take_option(context, *option, node.items[i], join_path(path, key.name),
                        pipeline.sink.settings);
        }
    }
    for (const sink::Option& option : plugin->options()) {
        if (node.find(option.name) != nullptr) continue;
        const std::string inner = join_path(path, option.name);
        if (option.required) {
            context.findings.error(node.at, inner, "required, but missing");
        } else if (option.default_value) {
            Node value;
            if (option.type == SLUICE_OPTION_JSON) {
                value = parse_default(*option.default_value, node.at);
            } else {
                value.kind = Node::Kind::scalar;
                value.at = node.at;
                value.text = *option.default_value;
            }
            take_option(context, option, value, inner, pipeline.sink.settings);
        }
    }
    if (context.findings.error_count() > errors_before) return;
    check_by_plugin(context, *plugin, node, path, pipeline);
    pipeline.sink.target = target_of(*plugin, pipeline.sink.settings);
    if (context.findings.error_count() > errors_before) return;
    pipeline.sink.place = place_of(context, *plugin, node, path, pipeline);
}

}  // namespace sluice::config
