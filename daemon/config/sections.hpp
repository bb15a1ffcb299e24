#pragma once
// The parts of a load that are more than a table; each is called once per pipeline, or once.

#include "daemon/config/reader.hpp"

namespace sluice::config {

/// Below "pipelines[i]": name, source, trigger, sink, errors. What is wrong was reported.
void read_pipeline(Context& context, const Node& node, const std::string& path, Pipeline& pipeline);

/// Below "…source".
void read_source(Context& context, const Node& node, const std::string& path, Source& source);

/// Setters of the source's table that take lists and maps.
void set_subscribe(Context& context, const Value& value, Source& source);
void set_pattern(Context& context, const Value& value, Source& source);
void set_assign(Context& context, const Value& value, Source& source);
void set_starting_offsets(Context& context, const Value& value, Source& source);

/// Below "…sink": the plugin and its options. Paths are checked against `context.data_dir`.
void read_sink(Context& context, const Node& node, const std::string& path, Pipeline& pipeline);

/// `text`, which `plugin` made of the options in `node`, without the values of references and secrets.
std::string without_values(const sink::Plugin& plugin, const Node& node, std::string text);

/// A plugin's option as one of our keys, which views it; `words` keeps its choices alive.
KeyInfo key_of(const sink::Option& option, std::string& words);

/// `path` with symbolic links followed as far as it exists.
std::filesystem::path followed(const std::filesystem::path& path);

/// True when `path` is `directory` or below it, symbolic links followed as far as they exist.
bool is_within(const std::filesystem::path& path, const std::filesystem::path& directory);

/// A pipeline with the places needed to complain about it beside the others.
struct Placed {
    Pipeline pipeline;
    const Node* node = nullptr;
    std::string path;
};

/// What can only be seen with all pipelines at hand: names given twice, a shared sink target.
void check_together(Context& context, const std::vector<Placed>& pipelines);

}  // namespace sluice::config
